"""Who is in the rooms: callers that wait, telephones that were forgotten, rooms whose call is over.

A webhook says at once which room to look at; looking at all of them every few seconds finds the same, so a webhook that
was missed changes nothing in the end. Both do the same, and so do two web processes: a caller's call has an id that
follows from its room, and an agent's telephone is rung by whoever has noted it first.
"""

import asyncio
import contextlib
import hashlib
import time
from typing import Final

import sqlalchemy as sa
import structlog

from web.calls import Calls
from web.database import StoreAway
from web.livekit import CALL_ROOM, PHONE_ROOM, WHISPER
from web.livekit.dispatch import Dispatcher
from web.livekit.server import ROLE, Present, Rooms, RoomsAway, RoomsRefused
from web.livekit.trunks import Trunks
from web.phones.identity import Agent, Party, Sides, started
from web.tables import calls as calls_table
from web.tables import rooms as rooms_table

logger = structlog.get_logger()
_EVERY_S: Final = 5.0
_ALONE_S: Final = 10.0
_RINGING: Final = frozenset({"ringing", "dialing"})


class Callers:
    """One per web process."""

    def __init__(self, calls: Calls, dispatcher: Dispatcher) -> None:
        self._calls, self._dispatcher, self._settings = calls, dispatcher, calls.settings
        self.rooms: Rooms = dispatcher.rooms
        self.trunks = Trunks(calls.settings, dispatcher.rooms)
        self._alone: dict[str, float] = {}  # since when a telephone is alone in a room

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            with contextlib.suppress(StoreAway, RoomsAway):
                for room in await self.rooms.names():
                    await self.look(room)
            await asyncio.sleep(_EVERY_S)

    async def look(self, room: str) -> None:
        """Raises StoreAway, RoomsAway."""
        if not room.startswith((CALL_ROOM, PHONE_ROOM)) or room.endswith(WHISPER):
            return
        query = sa.select(calls_table.c.id, calls_table.c.ended_at).join(rooms_table, rooms_table.c.call == calls_table.c.id)
        known = await self._calls.store.row(query.where(rooms_table.c.room == room))
        if known is not None and known["ended_at"] is not None:
            await self.rooms.close(room)
            return
        people = [each for each in await self.rooms.present(room) if each.kind in ("sip", "standard")]
        phones = [each for each in people if each.kind == "sip"]
        for phone in phones:
            if phone.attributes.get("sip.callStatus") in _RINGING and time.time() - phone.joined_at > self._settings.ring_s:
                logger.info("nobody answered", room=room)
                await self.rooms.remove(room, phone.identity)
        if self._forgotten(room, people):
            logger.info("a telephone was left alone", room=room)
            await self.rooms.remove(room, people[0].identity)
        if room.startswith(PHONE_ROOM):
            await self._caller(room, phones, new=known is None)

    def _forgotten(self, room: str, people: list[Present]) -> bool:
        """An answered telephone whose other side has gone: nobody coaches the call now, who would have ended it."""
        if len(people) != 1 or people[0].kind != "sip" or people[0].attributes.get("sip.callStatus") != "active":
            self._alone.pop(room, None)
            return False
        return time.time() - self._alone.setdefault(room, time.time()) > _ALONE_S

    # ---- a caller

    async def _caller(self, room: str, phones: list[Present], *, new: bool) -> None:
        caller = next((each for each in phones if each.attributes.get(ROLE, "prospect") == "prospect"), None)
        if caller is None:
            return
        sides = self._sides(caller)
        if new:
            await self._begin(room, caller, sides)
        agent = sides.agent.agent
        if agent is not None and agent.ring and not any(each.attributes.get(ROLE) == "agent" for each in phones):
            await self._ring(room, agent)

    def _sides(self, caller: Present) -> Sides:
        said = caller.attributes
        trunk = said.get("sip.trunkID", "")
        identity = self._calls.machine.phones.current().identity
        return identity.sides(
            Party(number=said.get("sip.phoneNumber", ""), trunk=trunk), Party(number=said.get("sip.trunkPhoneNumber", ""), trunk=trunk)
        )

    async def _begin(self, room: str, caller: Present, sides: Sides) -> None:
        begun = started(sides, "livekit", caller.attributes.get("sip.callIDFull") or caller.attributes.get("sip.callID", ""))
        with contextlib.suppress(sa.exc.IntegrityError):  # another process has just entered it
            await self._dispatcher.enter(None, begun.model_copy(update={"mode": "livekit"}), room, call_of(room))
            logger.info("a caller", call=call_of(room))

    async def _ring(self, room: str, agent: Agent) -> None:
        """Once, then again when nobody can be ringing any more."""
        store = self._calls.store
        rung = rooms_table.c.rung_at
        mine = sa.update(rooms_table).where(rooms_table.c.room == room, sa.or_(rung.is_(None), rung < store.now - self._settings.ring_s))
        async with store.write() as connection:
            if not (await connection.execute(mine.values(rung_at=store.now))).rowcount:
                return
        try:
            await self.trunks.dial(room, "agent", agent.ring, name=agent.name)
        except (RoomsAway, RoomsRefused) as failure:
            logger.warning("the agent's telephone could not be rung", room=room, failure=type(failure).__name__)


def call_of(room: str) -> str:
    """The id of the call of a caller's room: the same in every process."""
    return hashlib.sha256(room.encode()).hexdigest()[:32]
