"""What a process asks of whichever other one runs a call: a row in a table, a wake-up, an answer in the same row.

A command survives a take-over: whoever runs the call when it is looked at obeys it, once.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import sqlalchemy as sa

from web.bus import Bus, Message
from web.store import Store, new_id
from web.tables import commands

Obey: TypeAlias = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]
_POLL_S: Final = 0.25
_OLD_S: Final = 30.0  # by then whoever asked has given up


class NotAnswered(Exception):
    """Nobody who runs the call answered in time; whether it was done is not known."""


class Refused(ValueError):
    """Whoever runs the call refused; ``kind`` is the name of the exception there, the message its words."""

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(words)
        self.kind = kind


class Commands:
    """``refusals``: exceptions of obey() that are answers, not faults."""

    def __init__(self, store: Store, bus: Bus, refusals: tuple[type[Exception], ...] = (ValueError, LookupError)) -> None:
        self._store, self._bus, self._refusals = store, bus, refusals

    async def ask(self, call: str, name: str, body: dict[str, Any], *, within_s: float = 10.0) -> dict[str, Any]:
        """Raises Refused, NotAnswered, StoreAway."""
        command, answered = new_id(), asyncio.Event()

        def heard(message: Message) -> None:
            if message.kind == "answered" and message.body.get("id") == command:
                answered.set()

        with self._bus.listening(call, heard):
            async with self._store.write() as connection:
                row = {"id": command, "call": call, "name": name, "body": body, "at": self._store.now, "taken": False}
                await connection.execute(sa.insert(commands).values(**row))
            self._bus.publish(Message(call, "command", {}))
            answer = await self._answer(command, answered, time.monotonic() + within_s)
        if "refused" in answer:
            raise Refused(answer["refused"], answer["words"])
        return answer

    async def _answer(self, command: str, answered: asyncio.Event, until: float) -> dict[str, Any]:
        mine = commands.c.id == command
        try:
            while time.monotonic() < until:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(answered.wait(), _POLL_S)
                answered.clear()
                row = await self._store.row(sa.select(commands.c.answer).where(mine))
                if row is None:
                    raise Refused("UnknownCall", "This call was deleted.")
                if row["answer"] is not None:
                    return dict(row["answer"])
            raise NotAnswered(command)
        finally:
            async with self._store.write() as connection:
                await connection.execute(sa.delete(commands).where(mine))

    async def serve(self, call: str, obey: Obey) -> int:
        """Obey what waits for this call, in order; how many there were. Raises StoreAway."""
        waiting = sa.select(commands).where(commands.c.call == call, commands.c.taken.is_(False)).order_by(commands.c.at)
        rows = await self._store.rows(waiting)
        for row in rows:
            mine = commands.c.id == row["id"]
            take = sa.update(commands).where(mine, commands.c.taken.is_(False), commands.c.at > self._store.now - _OLD_S)
            async with self._store.write() as connection:
                if not (await connection.execute(take.values(taken=True))).rowcount:
                    continue
            try:
                answer = await obey(row["name"], dict(row["body"]))
            except self._refusals as refused:
                answer = {"refused": type(refused).__name__, "words": str(refused)}
            async with self._store.write() as connection:
                await connection.execute(sa.update(commands).where(mine).values(answer=answer))
            self._bus.publish(Message(call, "answered", {"id": row["id"]}))
        return len(rows)
