"""What `sottovoce doctor` says of rooms: server and keys, the way for sound, telephones, codecs; each with the fix in words."""

import asyncio
import secrets
import time
from typing import Final, TypeAlias

from voice.legs import LegRefused
from voice.legs.livekit_room import RoomLeg
from web.livekit.server import Rooms, RoomsAway, RoomsRefused
from web.livekit.trunks import Trunks
from web.settings import Settings

Line: TypeAlias = tuple[str, str]  # (ok, note or missing; a sentence)
_JOIN_S: Final = 10.0


async def lines(settings: Settings) -> list[Line]:
    rooms = Rooms(settings)
    try:
        try:
            there = len(await rooms.names())
        except RoomsAway as away:
            fix = "start it, or correct SOTTOVOCE_LIVEKIT_URL; its port (7880) must be open to this computer"
            return [("missing", f"livekit-server at {settings.livekit_url} does not answer ({away}); {fix}")]
        except RoomsRefused as refused:
            fix = "SOTTOVOCE_LIVEKIT_KEY and SOTTOVOCE_LIVEKIT_SECRET must be one of the server's `keys`, and both clocks right"
            return [("missing", f"{refused} {fix}")]
        told: list[Line] = [("ok", f"livekit-server at {settings.livekit_url}, keys accepted, {there} rooms")]
        return [*told, await _sound(settings, rooms), *await _telephones(settings, rooms)]
    finally:
        await rooms.aclose()


async def _sound(settings: Settings, rooms: Rooms) -> Line:
    """A real joining: signalling, ICE and DTLS."""
    room, leg, began = f"doctor-{secrets.token_hex(4)}", RoomLeg(), time.monotonic()
    try:
        await asyncio.wait_for(leg.join(settings.livekit_url, rooms.token(room, "agent")), _JOIN_S)
    except (LegRefused, TimeoutError) as failure:
        ports = "`rtc.udp_port` or the range `rtc.port_range_start` to `port_range_end` (UDP), `rtc.tcp_port` (7881), or TURN on 443"
        return "missing", f"a room cannot be joined from here ({type(failure).__name__}): open the server's {ports}, and set `rtc.node_ip`"
    else:
        return "ok", f"a room was joined in {time.monotonic() - began:.1f} s; sound passes (Opus, 48 kHz)"
    finally:
        await leg.end()
        await rooms.close(room)


async def _telephones(settings: Settings, rooms: Rooms) -> list[Line]:
    if not settings.trunk:
        return [("note", "no telephones in rooms: SOTTOVOCE_TRUNK is not set")]
    try:
        found = await Trunks(settings, rooms).check()
    except (RoomsAway, RoomsRefused) as failure:
        return [("missing", f"telephones in rooms: {failure}; livekit-server and its SIP service must share a Redis")]
    if found.wrong:
        return [("missing", f"telephones in rooms: {wrong}; run `sottovoce sip setup`") for wrong in found.wrong]
    return [
        (
            "ok",
            f"trunk {settings.trunk}, {len(settings.trunk_numbers)} numbers; telephones speak G.722, PCMU or PCMA, as the carrier offers",
        )
    ]
