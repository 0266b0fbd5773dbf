"""Who coaches which room: calls that nobody runs are dispatched, again and again, until a worker has taken the lease.

livekit-server replaces nobody: not a job that was killed, not a worker, not a dispatch that came while the only worker
was leaving. What it lists as running proves nothing. So the lease in the database decides alone. Every web process
looks; one of them claims a vacant call for a moment and dispatches; of all that are dispatched for one epoch the first
to take the lease joins the room, the others end.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Final

import sqlalchemy as sa
import structlog

from coaching.events import CallStarted
from web.calls import Calls
from web.database import StoreAway
from web.holding import Holder
from web.leases import Lease
from web.livekit import CALL_ROOM, WHISPER
from web.livekit.server import Rooms, RoomsAway, RoomsRefused, Seat
from web.store import Store, new_id
from web.tables import rooms as rooms_table

logger = structlog.get_logger()
# A worker that was asked has taken the lease within; each time longer, while there is none. Shorter would be no gain: a
# dispatch that reaches a worker is rarely lost, and on a busy machine jobs that come too late would only keep it busy.
_AGAIN_S: Final = (4.0, 15.0)


class Dispatcher:
    """One per web process."""

    def __init__(self, calls: Calls, holder: Holder, rooms: Rooms) -> None:
        self._calls, self._holder, self.rooms = calls, holder, rooms
        self._asked: dict[tuple[str, int], int] = {}

    @property
    def _store(self) -> Store:
        return self._holder.store

    # ---- what the API asks for

    async def begin(self, user: str | None, started: CallStarted) -> str:
        """A new call in a room of its own; the id of the call. Raises RoomsAway, RoomsRefused."""
        room = CALL_ROOM + new_id()
        await self.rooms.open(room, empty_s=self._calls.settings.return_s)
        return await self.enter(user, started, room)

    async def enter(self, user: str | None, started: CallStarted, room: str, call: str = "") -> str:
        """A new call in a room that is there. Raises IntegrityError for a call or room that is known already."""
        lease = await self._calls.enter(user, started, room, call)
        await self._holder.leases.claim(lease.call, lease.epoch, _AGAIN_S[0], own=lease.holder)
        await self._send(room, lease)
        return lease.call

    async def token(self, call: str, seat: Seat, name: str = "") -> Mapping[str, str]:
        """What a browser needs to join. Raises LookupError for a call that has no room."""
        return {"url": self._calls.settings.livekit_public_url, "token": self.rooms.token(await self.room(call), seat, name)}

    async def listening(self, call: str, user: str, name: str) -> Mapping[str, str]:
        """What a supervisor's browser needs: the call's room to hear, and another, which only the agent joins, to speak in."""
        room, identity = await self.room(call), f"supervisor-{user}"
        whisper = self.rooms.token(room + WHISPER, "supervisor", name, identity=identity, speaks=True)
        return {
            "url": self._calls.settings.livekit_public_url,
            "token": self.rooms.token(room, "supervisor", name, identity=identity),
            "whisper": whisper,
        }

    async def whisper(self, call: str) -> Mapping[str, str]:
        """What the agent's browser needs to hear a supervisor; the agent says nothing there."""
        token = self.rooms.token(await self.room(call) + WHISPER, "agent", speaks=False)
        return {"url": self._calls.settings.livekit_public_url, "token": token}

    async def room(self, call: str) -> str:
        """Raises LookupError."""
        row = await self._store.row(sa.select(rooms_table.c.room).where(rooms_table.c.call == call))
        if row is None:
            raise LookupError(call)
        return str(row["room"])

    # ---- looking after the calls

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            with contextlib.suppress(StoreAway):
                await self._look()
            await asyncio.sleep(self._holder.leases.length_s / 8)

    async def _look(self) -> None:
        for vacant in await self._holder.leases.vacant(modes=("livekit",)):
            times = self._asked.get((vacant.call, vacant.epoch), 0)
            again_s = min(_AGAIN_S[1], _AGAIN_S[0] * 1.5**times)
            if not await self._holder.leases.claim(vacant.call, vacant.epoch, again_s):
                continue
            if len(self._asked) > 1000:
                self._asked.clear()
            self._asked[vacant.call, vacant.epoch] = times + 1
            if vacant.holder or times:
                logger.info("nobody runs this call; a worker is asked", call=vacant.call, epoch=vacant.epoch, times=times + 1)
            await self._send(await self.room(vacant.call), Lease(vacant.call, vacant.holder, vacant.epoch), anew=True)

    async def _send(self, room: str, lease: Lease, *, anew: bool = False) -> None:
        """``anew``: a server that was restarted has forgotten the room; made by whoever comes first, it might close before
        the time is over in which somebody must come, and the call would be taken up again and again."""
        try:
            if anew:
                await self.rooms.open(room, empty_s=self._calls.settings.return_s)
            await self.rooms.dispatch(room, lease.call, lease.epoch)
        except (RoomsAway, RoomsRefused) as failure:
            logger.warning("livekit-server could not be asked for a worker", call=lease.call, failure=type(failure).__name__)
