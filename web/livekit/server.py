"""livekit-server's API as far as calls need it: rooms, who is in them, dispatches, tokens, webhooks.

Its failures are translated here: RoomsAway may work again in a moment, RoomsRefused will not.
"""

import asyncio
import contextlib
import datetime
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from voice.legs import RoomsMissing
from web.livekit import AGENT_NAME, COACH
from web.settings import Settings

try:
    import aiohttp
    from livekit import api
    from livekit.protocol.agent_dispatch import JobRestartPolicy
except ImportError as missing:
    raise RoomsMissing("Calls from LiveKit rooms need further packages: run scripts/setup --livekit.") from missing

Seat: TypeAlias = Literal["agent", "prospect", "supervisor"]
ROLE: Final = "sottovoce.role"  # as voice/legs/livekit_room.py reads it
_TOKEN_S: Final = 15 * 60.0  # in which to join; who is in a room gets new ones from the server itself
_ANSWER_S: Final = 10.0  # a server that was just restarted takes seconds for some answers
_LEFT_S: Final = 1.0  # in which a participant that was removed is gone
_LOOK_S: Final = 0.05


class RoomsAway(ConnectionError):
    """livekit-server does not answer, or not now."""


class RoomsRefused(ValueError):
    """livekit-server refuses: keys, or what was asked; the message is for a person."""


@dataclass(frozen=True, slots=True)
class Present:
    """Somebody in a room. ``attributes`` of a phone: sip.phoneNumber, sip.callID, sip.callStatus, …"""

    identity: str
    kind: str
    attributes: dict[str, str]
    joined_at: float


class Rooms:
    """One per process; for one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        url = settings.livekit_url.replace("ws", "http", 1) if settings.livekit_url.startswith("ws") else settings.livekit_url
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
        self.api = api.LiveKitAPI(url, settings.livekit_key, settings.livekit_secret, timeout=timeout)

    async def aclose(self) -> None:
        await self.api.aclose()

    # ---- rooms and who is in them

    async def open(self, room: str, *, empty_s: float, left_s: float = 30.0) -> None:
        """Makes the room, or leaves it as it is. It closes when nobody came for ``empty_s``, and ``left_s`` after the last has left."""
        async with translated():
            wanted = api.CreateRoomRequest(name=room, empty_timeout=int(empty_s) + 1, departure_timeout=int(left_s) + 1)
            await self.api.room.create_room(wanted)

    async def close(self, room: str) -> None:
        """Everybody is sent out, phones are hung up. A room that is not there is fine."""
        async with translated("not_found"):
            await self.api.room.delete_room(api.DeleteRoomRequest(room=room))

    async def names(self) -> list[str]:
        async with translated():
            found = (await self.api.room.list_rooms(api.ListRoomsRequest())).rooms
        return [each.name for each in found]

    async def present(self, room: str) -> list[Present]:
        """Nobody, where there is no such room."""
        found = list[api.ParticipantInfo]()
        async with translated("not_found"):
            found.extend((await self.api.room.list_participants(api.ListParticipantsRequest(room=room))).participants)
        kind = api.ParticipantInfo.Kind.Name
        return [Present(each.identity, kind(each.kind).lower(), dict(each.attributes), float(each.joined_at)) for each in found]

    async def remove(self, room: str, identity: str) -> None:
        """Whoever is not there is gone already."""
        async with translated("not_found"):
            await self.api.room.remove_participant(api.RoomParticipantIdentity(room=room, identity=identity))

    async def send_out(self, room: str, seat: Seat) -> None:
        """Everybody with this role."""
        for each in await self.present(room):
            if each.attributes.get(ROLE) == seat:
                await self.remove(room, each.identity)

    # ---- dispatch

    async def dispatch(self, room: str, call: str, epoch: int) -> None:
        """Asks for a worker; none may be there, and a dispatch may be lost without a word: whoever calls this looks at the lease.

        A coach that is still in the room is dead or has given the call back, or nobody would be asked for. It is sent out first:
        where it meets the newer one, livekit-server ends the newer one's job as well (verified), and the call would change
        hands once more when the framework's 15 s for an ended job are over."""
        with contextlib.suppress(RoomsAway):  # of a server that was killed Redis remembers who was there, and nobody can send them out
            until = time.monotonic() + _LEFT_S
            while any(each.identity == COACH for each in await self.present(room)) and time.monotonic() < until:
                await self.remove(room, COACH)
                await asyncio.sleep(_LOOK_S)
        async with translated():
            told = json.dumps({"call": call, "epoch": epoch})
            wanted = api.CreateAgentDispatchRequest(
                agent_name=AGENT_NAME, room=room, metadata=told, restart_policy=JobRestartPolicy.JRP_NEVER
            )
            await self.api.agent_dispatch.create_dispatch(wanted)

    # ---- what the server tells

    def told(self, body: bytes, authorization: str) -> str:
        """The room that a webhook is about; empty for one about none. Raises RoomsRefused when it is not livekit-server's."""
        receiver = api.WebhookReceiver(api.TokenVerifier(self._settings.livekit_key, self._settings.livekit_secret))
        try:
            event = receiver.receive(body.decode(), authorization)
        except Exception as failure:  # the SDK raises jwt's errors, bare Exceptions and protobuf's; each means that it proves nothing
            raise RoomsRefused("This webhook is not livekit-server's.") from failure
        return event.room.name

    # ---- tokens

    def token(self, room: str, seat: Seat, name: str = "", *, identity: str = "", speaks: bool | None = None) -> str:
        """Into one room, with one role, to hear and to speak by microphone and nothing else; a supervisor only hears, unless
        ``speaks`` says otherwise."""
        speaks = seat != "supervisor" if speaks is None else speaks
        grants = api.VideoGrants(
            room_join=True, room=room, can_subscribe=True, can_publish=speaks, can_publish_data=False,
            can_publish_sources=["microphone"] if speaks else None, can_update_own_metadata=False,
        )  # fmt: skip
        made = api.AccessToken(self._settings.livekit_key, self._settings.livekit_secret).with_identity(identity or seat).with_name(name)
        made = made.with_grants(grants).with_ttl(datetime.timedelta(seconds=_TOKEN_S)).with_attributes({ROLE: seat})
        return made.to_jwt()


@contextlib.asynccontextmanager
async def translated(fine: str = "") -> AsyncIterator[None]:
    """``fine``: a code that is no failure here; the block is then left."""
    try:
        yield
    except api.TwirpError as failure:
        if failure.code == fine:
            return
        if failure.status >= 500 or failure.code in ("unavailable", "deadline_exceeded", "resource_exhausted"):
            raise RoomsAway(failure.code) from failure
        raise RoomsRefused(f"livekit-server refuses: {failure.message} ({failure.code}).") from failure
    except (aiohttp.ClientError, TimeoutError, OSError) as failure:
        raise RoomsAway(type(failure).__name__) from failure
