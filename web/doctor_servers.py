"""What `sottovoce doctor` says of the servers that calls rest on: PostgreSQL, Redis, STUN and TURN, and the clocks.

Each line is (level, sentence), the level ok, note or missing: missing is what no call can do without; a sentence that is not ok names the fix.
"""

import asyncio
import contextlib
import ctypes
import secrets
import socket
import struct
import sys
import time
from typing import Final, TypeAlias

from web.bus import answers
from web.database import DatabaseRefused, StoreAway, look
from web.settings import Settings

Line: TypeAlias = tuple[str, str]
_OLDEST: Final = 13  # of PostgreSQL: what its makers still mend; we test with 15
_FEW_CONNECTIONS: Final = 20  # what one process of ours may open
_SKEW_S: Final = 1.0
_SLOW_S: Final = 0.05
_STUN_S: Final = 2.0
_COOKIE: Final = 0x2112A442  # RFC 8489
_UNSYNCHRONISED: Final = 5  # adjtimex(2): TIME_ERROR
_SYNCHRONISE: Final = "turn time synchronisation on (timedatectl set-ntp true)"


async def server_lines(settings: Settings) -> list[Line]:
    return [*await _database(settings), *await _redis(settings), *await _ice(settings.stun), *_clock()]


def _clock() -> list[Line]:
    match clock_is_synchronised():
        case True:
            return [("ok", "clock is synchronised")]
        case False:
            return [("note", f"clock is not synchronised: times in the log drift from other computers'; {_SYNCHRONISE}")]
        case _:
            return []


def clock_is_synchronised() -> bool | None:
    """What the kernel says; None where it cannot be asked."""
    if not sys.platform.startswith("linux"):
        return None
    with contextlib.suppress(OSError, AttributeError):
        state = int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512)))  # modes 0: read only
        return None if state < 0 else state != _UNSYNCHRONISED
    return None


async def _database(settings: Settings) -> list[Line]:
    if not settings.database:
        return [("ok", "database: SQLite in the data folder (one process; SOTTOVOCE_DATABASE is for more)")]
    try:
        seen = await look(settings.database)
    except DatabaseRefused as refused:
        return [("missing", str(refused))]
    except StoreAway as away:
        fix = "is it running, does the host and port of SOTTOVOCE_DATABASE lead to it, and does a firewall lie between?"
        return [("missing", f"PostgreSQL does not answer ({away}): {fix}")]
    lines: list[Line] = [("ok", f"PostgreSQL {seen.version} answers in {seen.answer_s * 1000:.0f} ms")]
    if int(seen.version.split(".")[0]) < _OLDEST:
        lines = [("note", f"PostgreSQL {seen.version} is not maintained any more: move to 15 or newer")]
    if seen.answer_s > _SLOW_S:
        lines.append(("note", f"PostgreSQL needs {seen.answer_s * 1000:.0f} ms: each event waits for it; put it nearer to the servers"))
    lines.append(_migrations(seen.revision, seen.newest, known=seen.revision in seen.known))
    if abs(seen.ahead_s) > _SKEW_S:
        which = "ahead of" if seen.ahead_s < 0 else "behind"
        told = f"this computer's clock is {abs(seen.ahead_s):.1f} s {which} the database's (leases do not mind, times in the log do)"
        lines.append(("note", f"{told}: {_SYNCHRONISE} on both"))
    else:
        lines.append(("ok", f"clocks of this computer and the database differ by {abs(seen.ahead_s) * 1000:.0f} ms"))
    if seen.connections - seen.connected < _FEW_CONNECTIONS:
        told = f"PostgreSQL has {seen.connected} of {seen.connections} connections in use, and each process may open {_FEW_CONNECTIONS}"
        lines.append(("note", f"{told}: raise its max_connections"))
    return lines


def _migrations(revision: str, newest: str, *, known: bool) -> Line:
    if revision == newest:
        return "ok", f"database is migrated ({newest})"
    if not revision:
        return "note", "database is empty: the next `sottovoce serve` makes its tables"
    if known:
        return "note", f"database is at {revision}: the next `sottovoce serve` brings it to {newest}; update all servers together"
    return "missing", f"database is at {revision}, which this Sottovoce does not know: a newer one made it; update this one"


async def _redis(settings: Settings) -> list[Line]:
    if not settings.redis:
        if not settings.database:
            return []
        told = "viewers of other processes look each second and see no caption grow"
        return [("note", f"no Redis: {told}; set SOTTOVOCE_REDIS")]
    began = time.monotonic()
    if wrong := await answers(settings.redis):
        fix = "is it running, and does SOTTOVOCE_REDIS (redis://:PASSWORD@HOST:6379/0) lead to it?"
        return [("note", f"Redis does not answer ({wrong}): {fix} Calls go on without it, other processes show them a second later")]
    return [("ok", f"Redis answers in {(time.monotonic() - began) * 1000:.0f} ms")]


async def _ice(urls: tuple[str, ...]) -> list[Line]:
    if not urls:
        return [("ok", "no STUN server (browsers on this network and on public addresses only; LiveKit brings its own)")]
    return [await _ice_line(url) for url in urls]


async def _ice_line(url: str) -> Line:
    scheme, _, rest = url.partition(":")
    host, port = _host_port(rest.split("?")[0], 5349 if scheme in ("stuns", "turns") else 3478)
    if scheme not in ("stun", "stuns", "turn", "turns") or not host:
        return "missing", f"SOTTOVOCE_STUN: {url!r} is no STUN or TURN URL (stun:HOST:3478)"
    found = await (_binds(host, port) if scheme in ("stun", "turn") and "transport=tcp" not in rest else _connects(host, port))
    if not found:
        return "note", f"{url} does not answer: is the name right, and may UDP port {port} leave this network?"
    if scheme in ("turn", "turns"):
        return "note", f"{url} answers, but SOTTOVOCE_STUN carries no name and password: relay by LiveKit's TURN instead (docs/scale.md)"
    return "ok", f"{url} answers"


def _host_port(text: str, usual: int) -> tuple[str, int]:
    """``HOST``, ``HOST:PORT``, ``[IPv6]`` or ``[IPv6]:PORT``."""
    host, port = text, ""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    port = port.removeprefix(":")
    return host, int(port) if port.isdigit() else usual


async def _binds(host: str, port: int) -> bool:
    """Whether a STUN binding request is answered, by UDP."""
    loop, transaction = asyncio.get_running_loop(), secrets.token_bytes(12)
    answered: asyncio.Future[bool] = loop.create_future()

    class Reads(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, _from: object) -> None:
            if data[4:20] == struct.pack("!I", _COOKIE) + transaction and not answered.done():
                answered.set_result(True)

    try:
        transport, _ = await asyncio.wait_for(loop.create_datagram_endpoint(Reads, remote_addr=(host, port)), _STUN_S)
    except (OSError, TimeoutError):
        return False
    try:
        for _ in range(3):  # a datagram may be lost
            transport.sendto(struct.pack("!HHI", 1, 0, _COOKIE) + transaction)
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(asyncio.shield(answered), _STUN_S / 3)
        return False
    finally:
        transport.close()


async def _connects(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port, family=socket.AF_UNSPEC), _STUN_S)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
