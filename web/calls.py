"""All calls: those that run here or in another process, and the ended ones as they stand in the log."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final, Literal

import sqlalchemy as sa

from coaching.consent import ConsentRefused
from coaching.events import ConsentState, LiveState, OutcomeChosen, SuggestionChanged
from coaching.state import CallState
from voice.legs import LegRefused
from web.commands import NotAnswered, Refused
from web.compose import Machine
from web.follow import Follower
from web.holding import Holder, obeyed
from web.log import Viewer
from web.running import LiveCall, Running, UnknownCall
from web.settings import Settings
from web.store import Store
from web.tables import calls, events, leases, rooms

_END_S: Final = 15.0
_LOOK_S: Final = 0.2
_REFUSED: Final[dict[str, type[Exception]]] = {
    "ConsentRefused": ConsentRefused,
    "LegRefused": LegRefused,
    "KeyError": KeyError,
    "UnknownCall": LookupError,
}


class NotLive(ValueError):
    """This call has ended; what was asked needs a live one."""


class RunsElsewhere(LookupError):
    """This call is live in another process, and what was asked can only be done there."""


class Calls(Running):
    """One per process."""

    def __init__(self, settings: Settings, store: Store, machine: Machine, holder: Holder | None = None) -> None:
        super().__init__(settings, store, machine, holder)
        self.following: dict[str, Follower] = {}

    # ---- reading

    async def view(self, call_id: str) -> dict[str, Any]:
        """CallView of docs/protocol.md. Raises UnknownCall."""
        state = await self.state(call_id)
        view = state.view(self.machine.sentence(state.started.agent_name if state.started else ""))
        return {**view, "recorded": self.audio_file(call_id).exists()}

    async def exists(self, call_id: str) -> bool:
        return call_id in self.live or await self.store.row(sa.select(calls.c.id).where(calls.c.id == call_id)) is not None

    async def get_live(self, call_id: str) -> LiveCall:
        """Raises UnknownCall, NotLive or RunsElsewhere."""
        if (live := self.live.get(call_id)) is not None:
            return live
        if await self.elsewhere(call_id):
            raise RunsElsewhere(call_id)
        if await self.exists(call_id):
            raise NotLive("This call has ended.")
        raise UnknownCall(call_id)

    async def elsewhere(self, call_id: str) -> bool:
        """Whether another process runs this call, or will when it has taken it over."""
        if self.holder is None or call_id in self.live:
            return False
        return await self.store.row(sa.select(calls.c.id).where(calls.c.id == call_id, calls.c.ended_at.is_(None))) is not None

    async def in_room(self, call_id: str) -> bool:
        """Whether this call is held in a LiveKit room."""
        return await self.store.row(sa.select(rooms.c.call).where(rooms.c.call == call_id)) is not None

    # ---- showing

    async def last(self, call_id: str) -> int:
        """The number of the last event that anybody can have been shown, as far as this process knows."""
        if (live := self.live.get(call_id)) is not None:
            return live.log.last
        saved = await self.store.row(sa.select(sa.func.max(events.c.n).label("n")).where(events.c.call == call_id))
        follower = self.following.get(call_id)
        return max((saved and saved["n"]) or 0, follower.last if follower is not None else 0)

    @contextlib.asynccontextmanager
    async def shown_to(self, viewer: Viewer, call_id: str) -> AsyncIterator[LiveState | None]:
        """Events and states of a call go to this viewer while the block runs; yields the live state, where one is known.

        Whoever reads the log inside of it misses nothing: what comes meanwhile waits in the viewer."""
        if (live := self.live.get(call_id)) is not None:
            live.log.viewers.add(viewer)
            try:
                yield live.call.live
            finally:
                live.log.viewers.discard(viewer)
        elif self.holder is None:
            yield None
        else:
            follower = self.following.get(call_id)
            if follower is None:
                last = await self.last(call_id)
                follower = self.following.setdefault(call_id, Follower(self.holder, call_id, last))
            if not follower.viewers:
                self._watch(follower.run(), f"follow {call_id}")
            follower.viewers.add(viewer)
            try:
                yield follower.live
            finally:
                follower.viewers.discard(viewer)
                if not follower.viewers:
                    self.following.pop(call_id, None)

    # ---- changing

    async def _ask(self, call_id: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """Of whoever runs the call, here or elsewhere; waits through a take-over. Raises UnknownCall, NotLive, NotAnswered,
        StoreAway, ConsentRefused, LegRefused, LookupError or ValueError."""
        if (live := self.live.get(call_id)) is not None:
            return await obeyed(live.call, live.leg, name, body)
        if self.holder is None or not await self.elsewhere(call_id):
            await self.get_live(call_id)
            raise UnknownCall(call_id)
        try:
            return await self.holder.ask(call_id, name, body)
        except Refused as refused:
            raise _REFUSED.get(refused.kind, ValueError)(str(refused)) from refused

    async def end(self, call_id: str, reason: str) -> None:
        """Hang up, and wait for the summary as long as it usually takes."""
        try:
            await self._ask(call_id, "end", {"reason": reason})
        except NotAnswered:
            if await self.elsewhere(call_id):
                await self._end_for_whoever_had_it(call_id, reason)
        live = self.live.get(call_id)
        if live is not None and live.task is not None:
            await asyncio.wait([live.task], timeout=_END_S)
        elif live is None and self.holder is not None:
            await self._summed_up(call_id)

    async def _end_for_whoever_had_it(self, call_id: str, reason: str) -> None:
        """Nobody runs the call, or whoever does is stuck: it is taken from them and ended as it stands. Raises NotAnswered."""
        assert self.holder is not None  # somebody was asked
        seen = await self.store.row(sa.select(leases.c.epoch).where(leases.c.call == call_id))
        lease = await self.holder.leases.takeover(call_id, self.holder.name, seen["epoch"]) if seen is not None else None
        if lease is None:
            raise NotAnswered(call_id)
        state = CallState.of(await self.store.all_events(call_id))
        holding = self.holder.hold(lease, state.last)
        await self._close_log(holding.log, state, reason)
        await holding.done()

    async def _summed_up(self, call_id: str) -> None:
        query = sa.select(events.c.n).where(events.c.call == call_id, events.c.type == "summary_made")
        for _ in range(int(_END_S / _LOOK_S)):
            if await self.store.row(query) is not None:
                return
            await asyncio.sleep(_LOOK_S)

    async def consent(self, call_id: str, state: ConsentState, *, by: str, record: bool | None, claude: bool | None) -> None:
        """Raises ConsentRefused."""
        await self._ask(call_id, "consent", {"state": state, "by": by, "record": record, "claude": claude})

    async def answer(self, call_id: str, sdp: str, tracks: dict[str, Any]) -> str:
        """The answer to a browser's offer, by whoever runs the call. Raises LegRefused."""
        return str((await self._ask(call_id, "legs", {"sdp": sdp, "tracks": tracks}))["sdp"])

    async def outcome(self, call_id: str, outcome: str) -> None:
        if call_id in self.live or await self.elsewhere(call_id):
            await self._ask(call_id, "outcome", {"outcome": outcome})
            return
        await self.state(call_id)
        await self._late(call_id, OutcomeChosen(outcome=outcome))

    async def card(self, call_id: str, card: str, change: Literal["thumbs_up", "thumbs_down", "dismissed"]) -> None:
        """Raises KeyError for an unknown card."""
        if call_id in self.live or await self.elsewhere(call_id):
            await self._ask(call_id, "card", {"card": card, "change": change})
            return
        if card not in (await self.state(call_id)).cards:
            raise KeyError(card)
        await self._late(call_id, SuggestionChanged(card=card, change=change))

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
        elif await self.elsewhere(call_id):
            with contextlib.suppress(NotAnswered):  # whoever runs it finds its lease gone
                await self.end(call_id, "deleted")
        await self.store.delete_calls([call_id])

    async def delete_contact(self, contact: str) -> None:
        for row in await self.store.rows(sa.select(calls.c.id).where(calls.c.contact == contact)):
            await self.delete(row["id"])
        await self.store.delete_contact(contact)
