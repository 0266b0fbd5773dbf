"""The calls that are live in this process, and the ended ones as they stand in the log."""

import asyncio
import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import sqlalchemy as sa
import structlog

from coaching.advice import ClaudeAdvisor
from coaching.call import Call
from coaching.events import CallEnded, CallStarted, OutcomeChosen, SuggestionChanged
from coaching.state import CallState
from coaching.summary import outcome_preset, summarise
from coaching.uptake import learnt
from intelligence.claude_failures import ClaudeFailed
from voice.legs import Leg
from voice.legs.recording import RecordingLeg
from voice.legs.webrtc_peer import WebRtcLeg, WebRtcSettings
from web.compose import Machine
from web.log import CallLog, append_late
from web.recordings import Recorder
from web.settings import Settings
from web.store import Store, new_id
from web.tables import calls, links

logger = structlog.get_logger()
_END_S: Final = 15.0


class UnknownCall(LookupError):
    """No call has this id."""


class NotLive(ValueError):
    """This call has ended; what was asked needs a live one."""


@dataclass(slots=True)
class LiveCall:
    call: Call
    leg: Leg
    log: CallLog
    recorder: Recorder
    task: "asyncio.Task[None] | None" = None


class Calls:
    """One per process."""

    def __init__(self, settings: Settings, store: Store, machine: Machine) -> None:
        self.settings, self.store, self.machine = settings, store, machine
        self.live: dict[str, LiveCall] = {}
        self._watching: set[asyncio.Task[None]] = set()

    # ---- beginning

    async def start(self, user: str | None, started: CallStarted) -> LiveCall:
        """A call whose sound comes by WebRTC."""
        return await self._begin(user, started, WebRtcLeg(WebRtcSettings(stun=self.settings.stun)))

    async def replay(self, user: str | None, file: Path, agent: Literal["left", "right", "mono"], pace: float) -> LiveCall:
        """A recording as a call; the file is deleted when it has been heard."""
        started = CallStarted(mode="replay")
        two = file.with_name(file.name + ".two.wav")
        if agent != "mono" and await asyncio.to_thread(self.machine.two_sided, file, two):
            file.unlink(missing_ok=True)
            file, agent = two, "left"
        live = await self._begin(user, started, RecordingLeg(file, agent=agent, pace=pace))
        if live.task is not None:
            live.task.add_done_callback(lambda _: file.unlink(missing_ok=True))
        return live

    async def _begin(self, user: str | None, started: CallStarted, leg: Leg) -> LiveCall:
        call_id = new_id()
        today = datetime.datetime.now().astimezone().date().isoformat()
        started = await self.store.start_call(call_id, user, started.model_copy(update={"today": today}))
        log, recorder = CallLog(self.store, call_id), self._recorder(call_id)
        call = Call(call_id, started, await self._parts(call_id, started, leg, log, recorder))
        live = LiveCall(call, leg, log, recorder)
        self._run(live)
        await log.begun.wait()
        return live

    async def resume_all(self) -> int:
        """Calls that were live when this server last died go on, or are ended when nobody comes back."""
        for call_id in await self.store.live_calls():
            events = await self.store.all_events(call_id)
            state = CallState.of(events)
            if state.started is None:  # died between the call's row and its first event
                await self.store.delete_calls([call_id])
                continue
            log, recorder = CallLog(self.store, call_id, state.last), self._recorder(call_id)
            if state.started.mode in ("replay", "listen"):
                await self._close_log(log, state, "the server was stopped")
                continue
            leg = WebRtcLeg(WebRtcSettings(stun=self.settings.stun), began_at=state.started_at)
            call = Call.resume(events, await self._parts(call_id, state.started, leg, log, recorder))
            self._run(LiveCall(call, leg, log, recorder))
        return len(self.live)

    async def _parts(self, call_id: str, started: CallStarted, leg: Leg, log: CallLog, recorder: Recorder) -> Any:
        parts = self.machine.parts(call_id, started, leg, log, recorder)
        parts.on_state = log.state
        parts.suggestions.learn(learnt(await self.store.card_events(), self.machine.playbook.current().sayings()))
        return parts

    def _recorder(self, call_id: str) -> Recorder:
        return Recorder(self.audio_file(call_id))

    def audio_file(self, call_id: str) -> Path:
        return self.store.folder / "audio" / f"{call_id}.pcm"

    def _run(self, live: LiveCall) -> None:
        self.live[live.call.id] = live
        live.task = asyncio.create_task(self._ride(live), name=f"call {live.call.id}")
        self._watch(self._deserted(live), f"desertion of {live.call.id}")

    def _watch(self, work: Any, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)

    async def _ride(self, live: LiveCall) -> None:
        """A call to its end; what fails in it ends this call and no other."""
        try:
            await live.call.run()
        except Exception as failure:  # the leg, the engine seam or the log gave up
            logger.error("call failed", call=live.call.id, failure=_kinds(failure))
            live.log.begun.set()
            try:
                await self._close_log(live.log, CallState.of(await self.store.all_events(live.call.id)), "error")
            except Exception as second:  # the database is gone as well; the next start closes this call
                logger.error("call could not be closed", call=live.call.id, failure=_kinds(second))
        finally:
            live.recorder.close()
            self.live.pop(live.call.id, None)
        await self._expire_links(live.call.id)
        if isinstance(advisor := live.call.advisor, ClaudeAdvisor):
            self._watch(self._sum_up(live.call.id, advisor), f"summary of {live.call.id}")

    async def _sum_up(self, call_id: str, advisor: ClaudeAdvisor) -> None:
        """A better summary where there may be one; the local one is in the log already."""
        try:
            better = await advisor.sum_up(await self.state(call_id))
            if better is not None:
                await append_late(self.store, call_id, [better])
        except (ClaudeFailed, UnknownCall) as failure:
            logger.info("no better summary", call=call_id, failure=type(failure).__name__)

    async def _deserted(self, live: LiveCall) -> None:
        await asyncio.sleep(self.settings.return_s)
        if not live.log.joined and live.call.id in self.live:
            await live.call.end("nobody came")

    async def _close_log(self, log: CallLog, state: CallState, reason: str) -> None:
        if state.ended is None:
            outcome, why = outcome_preset(state)
            for logged in await log.append([CallEnded(reason=reason, outcome_preset=outcome, outcome_why=why, audio_ms=state.audio_ms)]):
                state.apply(logged)
            await log.append([summarise(state)])

    async def _expire_links(self, call_id: str) -> None:
        async with self.store.write() as connection:
            await connection.execute(sa.delete(links).where(links.c.call == call_id))

    # ---- reading

    async def state(self, call_id: str) -> CallState:
        """Raises UnknownCall."""
        if (live := self.live.get(call_id)) is not None:
            return live.call.state
        events = await self.store.all_events(call_id)
        if not events:
            raise UnknownCall(call_id)
        return CallState.of(events)

    async def view(self, call_id: str) -> dict[str, Any]:
        """CallView of docs/protocol.md. Raises UnknownCall."""
        state = await self.state(call_id)
        view = state.view(self.machine.sentence(state.started.agent_name if state.started else ""))
        return {**view, "recorded": self.audio_file(call_id).exists()}

    async def exists(self, call_id: str) -> bool:
        return call_id in self.live or await self.store.row(sa.select(calls.c.id).where(calls.c.id == call_id)) is not None

    async def get_live(self, call_id: str) -> LiveCall:
        """Raises UnknownCall or NotLive."""
        if (live := self.live.get(call_id)) is not None:
            return live
        if await self.exists(call_id):
            raise NotLive("This call has ended.")
        raise UnknownCall(call_id)

    # ---- changing

    async def end(self, call_id: str, reason: str) -> None:
        """Hang up, and wait for the summary as long as it usually takes."""
        live = await self.get_live(call_id)
        await live.call.end(reason)
        if live.task is not None:
            await asyncio.wait([live.task], timeout=_END_S)

    async def outcome(self, call_id: str, outcome: str) -> None:
        if (live := self.live.get(call_id)) is not None:
            await live.call.outcome(outcome)
            return
        await self.state(call_id)
        await append_late(self.store, call_id, [OutcomeChosen(outcome=outcome)])

    async def card(self, call_id: str, card: str, change: Literal["thumbs_up", "thumbs_down", "dismissed"]) -> None:
        """Raises KeyError for an unknown card."""
        if (live := self.live.get(call_id)) is not None:
            await live.call.card_change(card, change)
            return
        if card not in (await self.state(call_id)).cards:
            raise KeyError(card)
        await append_late(self.store, call_id, [SuggestionChanged(card=card, change=change)])

    async def delete(self, call_id: str) -> None:
        """A live call is ended first."""
        if not await self.exists(call_id):
            raise UnknownCall(call_id)
        if (live := self.live.get(call_id)) is not None:
            await live.call.end("deleted")
            if live.task is not None:
                await asyncio.wait([live.task], timeout=_END_S)
                if not live.task.done():
                    live.task.cancel()
                    await asyncio.wait([live.task])
        await self.store.delete_calls([call_id])

    async def delete_contact(self, contact: str) -> None:
        for row in await self.store.rows(sa.select(calls.c.id).where(calls.c.contact == contact)):
            await self.delete(row["id"])
        await self.store.delete_contact(contact)

    async def close(self) -> None:
        """The server goes down: live calls stay live in the log, so that the next start resumes them."""
        tasks = [live.task for live in self.live.values() if live.task is not None] + list(self._watching)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


def _kinds(failure: BaseException) -> list[str]:
    """The kinds of what failed, never their words: these may be a customer's."""
    if isinstance(failure, BaseExceptionGroup):
        return [kind for each in failure.exceptions for kind in _kinds(each)]
    return [type(failure).__name__]
