"""The calls that this process runs: begun, gone on with after a crash or taken over, ridden to their end."""

import asyncio
import contextlib
import datetime
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import sqlalchemy as sa
import structlog

from coaching.advice import ClaudeAdvisor
from coaching.call import Call
from coaching.events import AnyEvent, CallEnded, CallStarted
from coaching.state import CallState
from coaching.summary import outcome_preset, summarise
from coaching.uptake import learnt
from intelligence.claude_failures import ClaudeFailed
from voice.frames import Speaker
from voice.legs import Leg
from voice.legs.recording import RecordingLeg
from voice.legs.sip_bridge import SipBridgeLeg, ends
from voice.legs.webrtc_peer import WebRtcLeg, WebRtcSettings
from web.bus import Message
from web.compose import Machine
from web.database import StoreAway
from web.holding import Holder, Holding, obeyed
from web.leases import Lease, TakenOver
from web.log import CallLog, append_late
from web.recordings import Recorder
from web.settings import Settings
from web.store import Store, new_id
from web.tables import links

logger = structlog.get_logger()
_ENTERED: Final = frozenset({"call_started", "consent_changed"})  # all that enter() writes
_GIVEN_BACK: Final = frozenset({"TakenOver", "RoomLost"})  # the call goes on with another
STREAMED: Final = frozenset({"twilio", "telnyx", "audiosocket"})  # ways in whose sound never comes back once it broke off


class UnknownCall(LookupError):
    """No call has this id."""


@dataclass(slots=True)
class LiveCall:
    call: Call
    leg: Leg
    log: CallLog
    recorder: Recorder
    holding: Holding | None = None  # where several processes share a database
    task: "asyncio.Task[None] | None" = None


class Running:
    """One per process; what it runs is in ``live``."""

    def __init__(self, settings: Settings, store: Store, machine: Machine, holder: Holder | None = None) -> None:
        self.settings, self.store, self.machine = settings, store, machine
        self.holder = holder  # None: SQLite, and no other process runs calls
        self.live: dict[str, LiveCall] = {}
        self.lines: dict[str, SipBridgeLeg] = {}  # of telephone calls that this process took up and has not heard yet, by the line's id
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

    async def ring(self, started: CallStarted, leg: Leg) -> LiveCall:
        """A call that came over telephones."""
        return await self._begin(None, started, leg)

    async def _begin(self, user: str | None, started: CallStarted, leg: Leg) -> LiveCall:
        call_id = new_id()
        today = datetime.datetime.now().astimezone().date().isoformat()
        started = started.model_copy(update={"today": today})
        holding: Holding | None = None
        if self.holder is None:
            started = await self.store.start_call(call_id, user, started, experiment=self.settings.experiment)
            log = CallLog(self.store, call_id)
        else:
            length_s = self.holder.leases.length_s
            started = await self.store.start_call(
                call_id, user, started, holder=self.holder.name, lease_s=length_s, experiment=self.settings.experiment
            )
            holding = self.holder.hold(Lease(call_id, self.holder.name, 1))
            log = holding.log
        recorder = self._recorder(call_id)
        call = Call(call_id, started, await self._parts(call_id, started, leg, log, recorder))
        live = LiveCall(call, leg, log, recorder, holding)
        self._run(live)
        await log.begun.wait()
        return live

    async def resume_all(self) -> int:
        """Calls that were live when this server last died go on, or are ended when nobody comes back."""
        if self.holder is not None:
            self._watch(self._take_vacant(self.holder), "take what is vacant")
            return 0
        for call_id in await self.store.live_calls():
            await self._resume(call_id, None)
        return len(self.live)

    async def enter(self, user: str | None, started: CallStarted, room: str, call_id: str = "") -> Lease:
        """A call in the log for somebody else to run, in a LiveKit room; its lease is ours until then."""
        assert self.holder is not None  # whoever offers rooms has a database that many share
        lease = Lease(call_id or new_id(), self.holder.name, 1)
        started = started.model_copy(update={"today": datetime.datetime.now().astimezone().date().isoformat()})
        holder, length_s = self.holder.name, self.holder.leases.length_s
        started = await self.store.start_call(
            lease.call, user, started, holder=holder, lease_s=length_s, room=room, experiment=self.settings.experiment
        )
        log = CallLog(self.store, lease.call, lease=lease, leases=self.holder.leases, bus=self.holder.bus)
        await log.append([started, self.machine.consent.begin(started.mode, started.agent_state, started.prospect_state)])
        return lease

    async def take_up(self, lease: Lease, leg_for: Callable[[float | None], Leg]) -> LiveCall | None:
        """Run a call here that we took over, or that was entered for us; None when it has ended. ``leg_for`` is told the wall
        clock of the call's beginning."""
        assert self.holder is not None  # it gave us the lease
        return await self._resume(lease.call, self.holder.hold(lease), leg_for)

    async def _resume(self, call_id: str, holding: Holding | None, leg_for: Callable[[float | None], Leg] | None = None) -> LiveCall | None:
        events = await self.store.all_events(call_id)
        state = CallState.of(events)
        if state.started is None:  # died between the call's row and its first event
            await self.store.delete_calls([call_id])
            return None
        if holding is not None:
            holding.log.last = state.last
        log, recorder = holding.log if holding else CallLog(self.store, call_id, state.last), self._recorder(call_id)
        gone = state.started.mode in ("replay", "listen") or state.started.line.way in STREAMED  # nobody sends it again
        if gone or state.ended is not None:
            await self._close_log(log, state, "the server was stopped")
            if holding is not None:
                await holding.done()
            return None
        if leg_for is None:
            leg = self._leg_again(state.started, state.started_at)
            why = "the server was started again"
        else:
            leg = leg_for(state.started_at)
            why = "" if all(each.event.type in _ENTERED for each in events) else "another worker took the call over"
        live = LiveCall(
            Call.resume(events, await self._parts(call_id, state.started, leg, log, recorder), why), leg, log, recorder, holding
        )
        self._run(live)
        return live

    def _leg_again(self, started: CallStarted, began_at: float | None) -> Leg:
        """Where the sound of a call may come back to. A telephone call of ours goes on in the phone process, which will tell."""
        if started.line.way in ("sip", "siprec"):
            caller: Speaker = "prospect" if started.line.direction == "inbound" else "agent"
            leg = self.lines[started.line.id] = SipBridgeLeg(ends(caller), began_at=began_at)
            return leg
        return WebRtcLeg(WebRtcSettings(stun=self.settings.stun), began_at=began_at)

    async def line_lives(self, line: str) -> bool:
        """Whether a call that came over this telephone line has not ended yet, whoever ran it."""
        for call_id in await self.store.live_calls():
            first = await self.store.events(call_id, limit=1)
            if first and isinstance(first[0].event, CallStarted) and first[0].event.line.id == line:
                return True
        return False

    async def _take_vacant(self, holder: Holder) -> None:
        """Calls whose process died or stopped go on here, if no other process is faster; rooms have a dispatcher of their own."""
        while True:
            try:
                await holder.recover()
                for vacant in await holder.leases.vacant(except_modes=("livekit",)):
                    lease = await holder.leases.takeover(vacant.call, holder.name, vacant.epoch)
                    if lease is not None:
                        logger.info("taken over", call=lease.call, epoch=lease.epoch)
                        await self._resume(lease.call, holder.hold(lease))
            except StoreAway:
                pass
            except TakenOver:
                logger.info("taken over by another meanwhile")
            await asyncio.sleep(holder.leases.length_s / 8)

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
        lost = False
        try:
            await self._held(live)
        except Exception as failure:  # the leg, the engine seam or the log gave up
            lost = not _GIVEN_BACK.isdisjoint(_kinds(failure))
            logger.error("call given to another" if lost else "call failed", call=live.call.id, failure=_kinds(failure))
            live.log.begun.set()
            if not lost:
                await self._close_failed(live)
        finally:
            live.recorder.close()
            self.live.pop(live.call.id, None)
            if live.holding is not None:
                await live.holding.done()
        if lost or live.call.state.ended is None:
            return
        await self._expire_links(live.call.id)
        if isinstance(advisor := live.call.advisor, ClaudeAdvisor):
            self._watch(self._sum_up(live.call.id, advisor), f"summary of {live.call.id}")

    async def _held(self, live: LiveCall) -> None:
        """The call, and beside it what keeps it ours. Raises what ended it, alone or in a group."""
        if live.holding is None:
            await live.call.run()
            return
        obey = functools.partial(obeyed, live.call, live.leg)
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(live.holding.keep(obey, live.call.notice), name=f"keep {live.call.id}")
            await group.create_task(live.call.run(), name=f"run {live.call.id}")
            keeping.cancel()

    async def _close_failed(self, live: LiveCall) -> None:
        try:
            await self._close_log(live.log, CallState.of(await self.store.all_events(live.call.id)), "error")
        except Exception as second:  # the database is gone as well; the next start closes this call
            logger.error("call could not be closed", call=live.call.id, failure=_kinds(second))

    async def _sum_up(self, call_id: str, advisor: ClaudeAdvisor) -> None:
        """A better summary where there may be one; the local one is in the log already."""
        try:
            better = await advisor.sum_up(await self.state(call_id))
            if better is not None:
                await self._late(call_id, better)
        except (ClaudeFailed, UnknownCall, StoreAway) as failure:
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
        with contextlib.suppress(StoreAway):  # a link leads to a live call only, and grows old
            async with self.store.write() as connection:
                await connection.execute(sa.delete(links).where(links.c.call == call_id))

    # ---- the log of a call

    async def state(self, call_id: str) -> CallState:
        """Raises UnknownCall."""
        if (live := self.live.get(call_id)) is not None:
            return live.call.state
        events = await self.store.all_events(call_id)
        if not events:
            raise UnknownCall(call_id)
        return CallState.of(events)

    async def _late(self, call_id: str, event: AnyEvent) -> None:
        """Into the log of an ended call."""
        (logged,) = await append_late(self.store, call_id, [event])
        if self.holder is not None:
            self.holder.bus.publish(Message(call_id, "wake", {"n": logged.n}))

    # ---- end

    async def settled(self, within_s: float = 10.0) -> None:
        """What still follows an ended call: a better summary."""
        if summaries := [task for task in self._watching if task.get_name().startswith("summary")]:
            await asyncio.wait(summaries, timeout=within_s)

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
