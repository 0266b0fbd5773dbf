"""Running a call that others may have to take over: its lease kept, its journal copied, its commands obeyed.

holding = holder.hold(lease, last)      # log: for CallParts
async with asyncio.TaskGroup() as group:
    keeping = group.create_task(holding.keep(obey, call.notice))
    await group.create_task(call.run()) # keep() raises TakenOver when somebody else has the call
    keeping.cancel()
await holding.done()
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import structlog

from coaching.call import Call
from coaching.consent import ConsentRefused
from coaching.events import (
    ConsentChanged,
    FindingNoted,
    GapMarked,
    Logged,
    OutcomeChosen,
    SuggestionChanged,
    SuggestionRefined,
    SuggestionShown,
    TranscriptRevised,
    UtteranceFinal,
)
from voice.legs import Leg, LegRefused
from voice.legs.webrtc_peer import WebRtcLeg
from web.bus import Bus, Message
from web.commands import Commands, NotAnswered, Obey, Refused
from web.database import StoreAway
from web.journal import Journal, Left, left_behind
from web.leases import Lease, Leases, TakenOver
from web.log import CallLog, append_late, enter_missing
from web.store import Store, new_id

logger = structlog.get_logger()
_LATE: Final = (
    UtteranceFinal | TranscriptRevised | SuggestionShown | SuggestionRefined | SuggestionChanged | FindingNoted | GapMarked | OutcomeChosen
)  # what is true whenever it is told; a stage or a notice of back then is not
_ANSWER_S: Final = 3.0  # in which a command that ends the call may still be answered
_REFUSALS: Final = (ConsentRefused, LegRefused, ValueError, LookupError)


class Holder:
    """One per process: what it needs to hold calls."""

    def __init__(self, store: Store, bus: Bus, lease_s: float) -> None:
        self.store, self.bus = store, bus
        self.name = f"{socket.gethostname()}:{os.getpid()}:{new_id()[:8]}"
        self.leases, self.commands = Leases(store, lease_s), Commands(store, bus, _REFUSALS)

    @property
    def journals(self) -> Path:
        return self.store.folder / "journal"

    def hold(self, lease: Lease, last: int = 0) -> "Holding":
        """Of a call that we acquired or took over; ``last`` is the number of its last event."""
        journal = Journal(self.journals, lease.call, lease.epoch)
        log = CallLog(self.store, lease.call, last, lease=lease, leases=self.leases, journal=journal, bus=self.bus)
        return Holding(self, lease, log)

    async def ask(self, call: str, name: str, body: dict[str, Any], *, within_s: float = 10.0) -> dict[str, Any]:
        """Of whoever runs the call: obeyed() there. Raises Refused, NotAnswered, StoreAway."""
        return await self.commands.ask(call, name, body, within_s=within_s)

    async def recover(self) -> int:
        """Copies what dead processes of this machine left in their journals; how many calls. Raises StoreAway."""
        recovered = 0
        with left_behind(self.journals) as journals:
            for left in journals:
                await self._recover(left)
                recovered += 1
        return recovered

    async def _recover(self, left: Left) -> None:
        events = await left.read()
        try:
            async with self.store.write() as connection:  # nobody took the call over yet: as if its process had done it
                await self.leases.fence(connection, Lease(left.call, "", left.epoch))
                await enter_missing(connection, left.call, events)
        except TakenOver:  # the numbers are another's by now: what was said and shown is added behind them
            late = [each.event for each in events if isinstance(each.event, _LATE | ConsentChanged)]
            if not await self._add(left.call, late):
                return
        logger.info("a journal of a dead process is copied", call=left.call, events=len(events))
        left.forget()

    async def _add(self, call: str, late: list[Any]) -> bool:
        there = {each.event.model_dump_json() for each in await self.store.all_events(call)}
        late = [each for each in late if each.model_dump_json() not in there]  # an earlier try may have been obeyed, but not answered
        if not there or not late:
            return True  # the call was deleted, or all is there
        if await self.leases.of(call) is None:
            await append_late(self.store, call, [each for each in late if not isinstance(each, ConsentChanged)])
            return True
        try:
            logged = [Logged(call=call, n=i, at=0.0, event=each).model_dump(mode="json") for i, each in enumerate(late, 1)]
            await self.ask(call, "adopt", {"events": logged})
        except (NotAnswered, Refused):
            return False  # whoever has it may be dying; again later
        return True


class Holding:
    """One call that this process holds."""

    def __init__(self, holder: Holder, lease: Lease, log: CallLog) -> None:
        self._holder, self.lease, self.log = holder, lease, log

    async def keep(self, obey: Obey, notice: Callable[..., Awaitable[None]]) -> None:
        """Until cancelled. ``notice`` is Call.notice: it says when the database is away. Raises TakenOver, in a group.

        Two tasks, because a command may take long and the lease may not wait for it."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._renewing(notice), name=f"renew {self.lease.call}")
            group.create_task(self._obeying(obey), name=f"obey {self.lease.call}")

    async def _renewing(self, notice: Callable[..., Awaitable[None]]) -> None:
        every_s, woken = self._holder.leases.length_s / 4, time.monotonic()
        while True:
            away = self.log.away
            try:
                await self._renew_soon(every_s * 2)
                away = False
            except StoreAway:
                away = True
            if self.log.begun.is_set():
                await notice("not_yet_saved", "the database does not answer", clear=not away)
            late_s = time.monotonic() - woken - every_s
            if late_s > self._holder.leases.length_s / 2:
                logger.warning("this process was stopped or is too busy", call=self.lease.call, late_s=round(late_s, 1))
            woken = time.monotonic()
            await asyncio.sleep(every_s / 2 if away else every_s)

    async def _obeying(self, obey: Obey) -> None:
        due, every_s = asyncio.Event(), self._holder.leases.length_s / 4

        def heard(message: Message) -> None:
            if message.kind == "command":
                due.set()

        with self._holder.bus.listening(self.lease.call, heard):
            while True:
                due.clear()
                serving = asyncio.ensure_future(self._holder.commands.serve(self.lease.call, obey))
                try:
                    await asyncio.shield(serving)
                except StoreAway:
                    pass
                except asyncio.CancelledError:  # the call is over, perhaps by this very command: whoever asked is owed an answer
                    await asyncio.wait({serving}, timeout=_ANSWER_S)
                    serving.cancel()
                    await asyncio.gather(serving, return_exceptions=True)
                    raise
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(due.wait(), every_s)

    async def _renew_soon(self, within_s: float) -> None:
        """The lease first: it is what the others wait for. A database that hangs is away."""
        try:
            await asyncio.wait_for(self._holder.leases.renew(self.lease), within_s)
        except TimeoutError as slow:
            raise StoreAway("too slow") from slow
        await self.log.settle()

    async def done(self, within_s: float = 5.0) -> None:
        """The call is over, or is given to whoever wants it: the journal is copied, the lease given back, if it can be."""
        until, lost = time.monotonic() + within_s, False
        try:
            while True:
                try:
                    await self.log.settle()
                    await self._holder.leases.release(self.lease)
                    return
                except StoreAway:
                    if time.monotonic() > until:
                        return
                    await asyncio.sleep(0.2)
        except TakenOver:
            lost = True
        finally:
            await self.log.close(lost=lost)


async def obeyed(call: Call, leg: Leg, name: str, body: dict[str, Any]) -> dict[str, Any]:
    """What other processes may ask of the one that runs a call. Raises ConsentRefused, LegRefused, LookupError, ValueError."""
    match name, body:
        case "end", {"reason": str(reason)}:
            await call.end(reason)
        case "outcome", {"outcome": str(outcome)}:
            await call.outcome(outcome)
        case "card", {"card": str(card), "change": str(change)}:
            await call.card_change(card, change)
        case "consent", {"state": state, "by": str(by)}:
            await call.consent(state, by=by, record=body.get("record"), claude=body.get("claude"))
        case "legs", {"sdp": str(sdp), "tracks": dict(tracks)}:
            if not isinstance(leg, WebRtcLeg):
                raise LegRefused("This call's sound does not come from a browser.")
            return {"sdp": await leg.answer(sdp, tracks)}
        case "adopt", {"events": list(events)}:
            await _adopt(call, [Logged.model_validate(each) for each in events])
        case _:
            raise ValueError(f"no command of this name and shape: {name}")
    return {}


async def _adopt(call: Call, late: list[Logged]) -> None:
    """Words and cards of a process that died before it could save them; and a yes that was taken back there is taken back here."""
    for each in late:
        if isinstance(each.event, ConsentChanged):
            if not each.event.transcribe and call.state.consent is not None and call.state.consent.transcribe:
                with contextlib.suppress(ConsentRefused):
                    await call.consent(each.event.state, by=each.event.by)
        else:
            await call.adopt(each.event)
