"""A call's log in the store: committed, then sent. And who is watching: viewers of the two lanes."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from coaching.events import (
    AnyEvent,
    CallEnded,
    ConsentChanged,
    LegChanged,
    LiveState,
    Logged,
    OutcomeChosen,
    SuggestionShown,
    TranscriptRevised,
    UtteranceFinal,
)
from coaching.experiments import CHOSEN
from web.bus import Bus, Message
from web.database import StoreAway
from web.do_not_call import keep_off, request_in
from web.journal import Journal
from web.leases import Lease, Leases
from web.store import Store, folded
from web.tables import calls, consents, events, strategies

logger = structlog.get_logger()
_WAITING_EVENTS: Final = 512
_RECENT: Final = 24  # events that go with each that could not be saved
_SAVE_S: Final = 2.0  # a commit that takes longer counts as a database that is away


class TooSlow(Exception):
    """This viewer did not read for so long that its queue is full; it comes back by number."""


class Replaced(Exception):
    """What this viewer was shown before it was saved is lost, and others have its numbers: it must begin anew."""


class Viewer:
    """One page that watches a call. 512 events may wait for it, then it is closed; of states only the newest waits."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[Logged] = asyncio.Queue(_WAITING_EVENTS)
        self._state: LiveState | None = None
        self._wake = asyncio.Event()
        self._slow = self._anew = False

    def start_anew(self) -> None:
        self._anew = True
        self._wake.set()

    def drop(self) -> None:
        """Whoever fed this viewer does not run the call any more; it comes back by number and finds who does."""
        self._slow = True
        self._wake.set()

    def event(self, logged: Logged) -> None:
        try:
            self._events.put_nowait(logged)
        except asyncio.QueueFull:
            self._slow = True
        self._wake.set()

    def state(self, state: LiveState) -> None:
        self._state = state
        self._wake.set()

    async def next(self) -> Logged | LiveState:
        """Events first. Raises TooSlow, Replaced."""
        while True:
            if self._anew:
                raise Replaced
            if self._slow:
                raise TooSlow
            if not self._events.empty():
                return self._events.get_nowait()
            if self._state is not None:
                state, self._state = self._state, None
                return state
            self._wake.clear()
            await self._wake.wait()


class CallLog:
    """The EventLog of one call. ``n`` counts from 1 without gaps; append() returns when the events are on disk.

    With a ``lease`` an append by whoever lost the call is refused (TakenOver). With a ``journal`` an append while the
    database is away goes there, marked as not yet saved; settle() copies it."""

    def __init__(
        self,
        store: Store,
        call: str,
        last: int = 0,
        *,
        lease: Lease | None = None,
        leases: Leases | None = None,
        journal: Journal | None = None,
        bus: Bus | None = None,
    ) -> None:
        self._store, self.call, self.last = store, call, last
        self.lease, self._leases = lease, leases
        self._journal, self._bus = journal, bus or Bus()
        self._lock = asyncio.Lock()
        self._hanging: asyncio.Task[None] | None = None
        self._recent: deque[Logged] = deque(maxlen=_RECENT)
        self.away = False  # events wait in the journal
        self.viewers: set[Viewer] = set()
        self.begun = asyncio.Event()
        self.joined = False  # somebody's sound came while this process held the call

    async def append(self, new: Sequence[AnyEvent]) -> list[Logged]:
        async with self._lock:
            now = time.time()
            logged = [Logged(call=self.call, n=self.last + i, at=now, event=event) for i, event in enumerate(new, 1)]
            # A cancelled call must not leave a committed event that nobody was told of: the commit runs to its end.
            commit = asyncio.ensure_future(self._keep(logged))
            try:
                kept = await asyncio.shield(commit)
            except asyncio.CancelledError:
                self._committed(await commit)
                raise
            self._committed(kept)
            return kept

    async def _keep(self, logged: list[Logged]) -> list[Logged]:
        """In the database, else in the journal, in order: while anything lies there everything goes there."""
        if self._journal is None:
            await self._commit(logged)
            return logged
        if not self.away:
            try:
                await self._soon(logged)
            except StoreAway:
                logger.warning("the database is away; events go to the journal", call=self.call)
            else:
                return logged
        marked = [each.model_copy(update={"unsaved": True}) for each in logged]
        await asyncio.to_thread(self._journal.append, marked)
        self.away = True
        return marked

    async def _soon(self, logged: list[Logged]) -> None:
        """Raises StoreAway when it takes too long: the call does not wait for a database that hangs."""
        commit = asyncio.create_task(self._commit(logged), name=f"commit of {self.call}")
        done, _ = await asyncio.wait({commit}, timeout=_SAVE_S)
        if not done:
            self._hanging = commit
            commit.cancel()
            raise StoreAway("too slow")
        commit.result()

    async def settle(self) -> None:
        """Copies the journal, in order, each event once. Raises StoreAway, TakenOver."""
        async with self._lock:
            if self._journal is None or not self.away:
                return
            if self._hanging is not None:  # whether it was committed is not known before it has ended
                await asyncio.wait({self._hanging})
                if not self._hanging.cancelled():
                    self._hanging.exception()
                self._hanging = None
            waiting = await asyncio.to_thread(self._journal.read)
            async with self._store.write() as connection:
                if self.lease is not None and self._leases is not None:
                    await self._leases.fence(connection, self.lease)
                await enter_missing(connection, self.call, waiting)
            await asyncio.to_thread(self._journal.clear)
            self.away = False
            logger.info("the journal is copied", call=self.call, events=len(waiting))
            self._bus.publish(Message(self.call, "wake", {"n": self.last}))

    async def _commit(self, logged: list[Logged]) -> None:
        async with self._store.write() as connection:
            if self.lease is not None and self._leases is not None:
                await self._leases.fence(connection, self.lease)
            await enter(connection, logged)

    def _committed(self, logged: list[Logged]) -> None:
        if not logged:
            return
        self.last = logged[-1].n
        self.begun.set()
        for each in logged:
            if isinstance(each.event, LegChanged) and each.event.state == "joined":
                self.joined = True
            for viewer in self.viewers:
                viewer.event(each)
        self._recent.extend(logged)
        if logged[-1].unsaved:  # with those before it: nobody can read what was missed
            recent = [each.model_dump(mode="json") for each in self._recent]
            self._bus.publish(Message(self.call, "unsaved", {"events": recent}))
        else:
            self._bus.publish(Message(self.call, "wake", {"n": self.last}))

    def state(self, state: LiveState) -> None:
        for viewer in self.viewers:
            viewer.state(state)
        self._bus.publish(Message(self.call, "state", state.model_dump(mode="json")))

    async def close(self, *, lost: bool = False) -> None:
        """This process is done with the call; what still lies in the journal is recovered later. ``lost``: its numbers are another's."""
        if self._hanging is not None:
            await asyncio.wait({self._hanging}, timeout=_SAVE_S)
        if self._journal is not None:
            self._journal.close()
        for viewer in self.viewers:
            if lost and self.away:
                viewer.start_anew()
            else:
                viewer.drop()


async def enter(connection: AsyncConnection, logged: Sequence[Logged]) -> None:
    """Events into the log, with what they change in the tables by which calls are found."""
    if not logged:
        return
    rows = [
        {
            "call": each.call,
            "n": each.n,
            "at": each.at,
            "type": each.event.type,
            "v": each.event.v,
            "body": each.event.model_dump(mode="json"),
        }
        for each in logged
    ]
    await connection.execute(sa.insert(events), rows)
    for each in logged:
        for statement, values in _found_by(each):
            await connection.execute(statement, values)
        if (request := request_in(each.event)) is not None:
            await keep_off(connection, each.call, each.at, request)


async def enter_missing(connection: AsyncConnection, call: str, waiting: Sequence[Logged]) -> None:
    """Those of a journal that are not in the log yet: the commit whose answer never came may have been done."""
    last = (await connection.execute(sa.select(sa.func.max(events.c.n)).where(events.c.call == call))).scalar() or 0
    await enter(connection, [each for each in waiting if each.n > last])


async def append_late(store: Store, call: str, new: Sequence[AnyEvent]) -> list[Logged]:
    """To a call that nobody runs any more: one transaction at a time, of whichever process. Raises StoreAway."""
    async with store.write() as connection:
        await store.alone(connection)
        last = (await connection.execute(sa.select(sa.func.max(events.c.n)).where(events.c.call == call))).scalar() or 0
        logged = [Logged(call=call, n=last + i, at=time.time(), event=event) for i, event in enumerate(new, 1)]
        await enter(connection, logged)
    return logged


_FORGET: Final = sa.text("DELETE FROM words WHERE call = :call AND utterance = :utterance")
_REMEMBER: Final = sa.text("INSERT INTO words (call, utterance, text) VALUES (:call, :utterance, :text)")


def _found_by(logged: Logged) -> list[tuple[Any, dict[str, Any]]]:
    """What an event changes in the tables by which calls are found."""
    event, call = logged.event, logged.call
    match event:
        case UtteranceFinal() | TranscriptRevised():
            place = {"call": call, "utterance": event.utterance}
            return [(_FORGET, place), (_REMEMBER, {**place, "text": folded(event.text)})] if event.text else [(_FORGET, place)]
        case ConsentChanged():
            values = {"call": call, "n": logged.n, "at": logged.at, "state": event.state, "by": event.by, "rule": event.rule}
            return [(sa.insert(consents), values)]
        case CallEnded():
            return [(sa.update(calls).where(calls.c.id == call).values(ended_at=logged.at), {})]
        case OutcomeChosen():
            return [
                (sa.update(calls).where(calls.c.id == call).values(outcome=event.outcome), {}),
                (sa.update(strategies).where(strategies.c.call == call).values(outcome=event.outcome), {}),
            ]
        case SuggestionShown() if event.card.moment in CHOSEN:
            tried = sa.update(strategies).where(strategies.c.call == call, strategies.c.exposed_at.is_(None))
            return [(tried.values(exposed_at=logged.at), {})]
        case _:
            return []
