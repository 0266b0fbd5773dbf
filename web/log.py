"""A call's log in the store: committed, then sent. And who is watching: viewers of the two lanes."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from coaching.events import (
    AnyEvent,
    CallEnded,
    ConsentChanged,
    LegChanged,
    LiveState,
    Logged,
    OutcomeChosen,
    TranscriptRevised,
    UtteranceFinal,
)
from web.do_not_call import keep_off, request_in
from web.leases import Lease, Leases
from web.store import Store, folded
from web.tables import calls, consents, events

_WAITING_EVENTS: Final = 512


class TooSlow(Exception):
    """This viewer did not read for so long that its queue is full; it comes back by number."""


class Viewer:
    """One page that watches a call. 512 events may wait for it, then it is closed; of states only the newest waits."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[Logged] = asyncio.Queue(_WAITING_EVENTS)
        self._state: LiveState | None = None
        self._wake = asyncio.Event()
        self._slow = False

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
        """Events first. Raises TooSlow."""
        while True:
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

    With a ``lease`` an append by whoever lost the call is refused (TakenOver)."""

    def __init__(self, store: Store, call: str, last: int = 0, *, lease: Lease | None = None, leases: Leases | None = None) -> None:
        self._store, self.call, self.last = store, call, last
        self.lease, self._leases = lease, leases
        self._lock = asyncio.Lock()
        self.viewers: set[Viewer] = set()
        self.begun = asyncio.Event()
        self.joined = False  # somebody's sound came while this process held the call

    async def append(self, new: Sequence[AnyEvent]) -> list[Logged]:
        async with self._lock:
            now = time.time()
            logged = [Logged(call=self.call, n=self.last + i, at=now, event=event) for i, event in enumerate(new, 1)]
            # A cancelled call must not leave a committed event that nobody was told of: the commit runs to its end.
            commit = asyncio.ensure_future(self._commit(logged))
            try:
                await asyncio.shield(commit)
            except asyncio.CancelledError:
                await commit
                self._committed(logged)
                raise
            self._committed(logged)
            return logged

    async def _commit(self, logged: list[Logged]) -> None:
        async with self._store.write() as connection:
            if self.lease is not None and self._leases is not None:
                await self._leases.fence(connection, self.lease)
            await enter(connection, logged)

    def _committed(self, logged: list[Logged]) -> None:
        self.last = logged[-1].n if logged else self.last
        self.begun.set()
        for each in logged:
            if isinstance(each.event, LegChanged) and each.event.state == "joined":
                self.joined = True
            for viewer in self.viewers:
                viewer.event(each)

    def state(self, state: LiveState) -> None:
        for viewer in self.viewers:
            viewer.state(state)


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
            return [(sa.update(calls).where(calls.c.id == call).values(outcome=event.outcome), {})]
        case _:
            return []
