"""Browsers' telephones: SIP over secure WebSockets (RFC 7118), and their sound (ICE, DTLS-SRTP) made plain before it enters a call.

sippy has a WebSocket server of its own. It answers in binary frames, bounds nothing, prints strangers' addresses and stands on a part of
`websockets` that is going away; this one is fenced like the UDP port.
"""

import asyncio
import contextlib
import logging
import re
import secrets
import ssl
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any, Final

from sippy.Core.EventDispatcher import ED2
from sippy.Network_server import Network_server, Network_server_opts, Remote_address
from sippy.Rtp_proxy.Session import side as _side
from sippy.Rtp_proxy.session import Rtp_proxy_session
from sippy.Rtp_proxy.Session.subcommand_ice import subcommand_deice
from sippy.Time.MonoTime import MonoTime
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from voice.sip.accounts import SipRefused
from voice.sip.fence import LONGEST, Fence

MODULES: Final = ("dtls_gw", "ice_lite")
TRANSPORT: Final = "wss"
_MOST: Final = 500  # connections
_WAITING: Final = 100  # messages to one browser
_OPEN_S: Final = 5.0
_CANDIDATES: Final = 8
_IPV4: Final = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_SECURE: Final = re.compile(r"^m=audio \d+ (?:UDP/TLS/)?RTP/SAVPF? ", re.M)


def link_of(request: Any) -> str:
    """The name of the connection that a browser's request came by."""
    return str(request.getHFBody("via").params.get("received", ""))


class BrowserDoor(Network_server):  # type: ignore[misc]  # sippy has no types
    """``received``: the transaction manager's. ``gone``: told the name of a connection that ended.

    sippy knows a connection by a name that ends in .invalid, which stands where an address would."""

    transport = TRANSPORT

    def __init__(self, address: tuple[str, int], received: Callable[..., None], fence: Fence, gone: Callable[[str], None]) -> None:
        super().__init__(Network_server_opts(address, received))
        self._fence, self._gone = fence, gone
        self._links: dict[str, asyncio.Queue[str]] = {}
        self._server: Server | None = None

    def open(self, certificate: Path, key: Path) -> None:
        """Raises OSError when the port is taken, SipRefused when the files are no certificate and its key."""
        self._files = (certificate, key)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            self._context.load_cert_chain(certificate, key)
        except OSError as failure:  # ssl.SSLError is one
            raise SipRefused(f"wss: {certificate} and {key} cannot be used: {failure}") from failure
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="browsers", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(_OPEN_S)

    def renew(self) -> None:
        """New connections get what the files hold now: certificates are renewed without a restart, which would drop calls."""
        with contextlib.suppress(OSError):  # half written, or gone: the old one holds until the next time
            self._context.load_cert_chain(*self._files)

    async def _serve(self) -> None:
        host, port = self.uopts.laddress
        quiet = logging.getLogger("sottovoce.browsers")  # what fails here is strangers' words
        quiet.disabled = True
        self._server = await serve(
            self._link, host, port, ssl=self._context, subprotocols=["sip"], compression=None,  # type: ignore[list-item]  # a str
            max_size=LONGEST, max_queue=16, open_timeout=_OPEN_S, logger=quiet, server_header=None,
        )  # fmt: skip

    async def _link(self, connection: ServerConnection) -> None:
        if connection.subprotocol != "sip" or len(self._links) >= _MOST:
            return
        name = f"{secrets.token_hex(12)}.invalid"
        queue = self._links[name] = asyncio.Queue(_WAITING)
        source = Remote_address(connection.remote_address[:2], TRANSPORT)
        source.received = name
        sending = asyncio.create_task(self._send(connection, queue))
        try:
            async for message in connection:
                data = message.encode() if isinstance(message, str) else message
                if not self._fence.lets_in(data, source.address[0]):
                    continue
                ED2.callFromThread(self.handle_read, data, source, MonoTime())
        except ConnectionClosed:
            pass
        finally:
            del self._links[name]
            sending.cancel()
            ED2.callFromThread(self._gone, name)

    async def _send(self, connection: ServerConnection, queue: "asyncio.Queue[str]") -> None:
        try:
            while True:
                await connection.send(await queue.get())
        except ConnectionClosed:
            pass

    def send_to(self, data: bytes | str, address: Any, *_: Any, **__: Any) -> None:
        """For any thread."""
        name = address[0][0] if isinstance(address[0], tuple) else address[0]
        text = data.decode() if isinstance(data, bytes) else data
        self._loop.call_soon_threadsafe(self._put, name, text)

    def _put(self, name: str, text: str) -> None:
        queue = self._links.get(name)
        if queue is None or queue.full():  # it reads nothing: SIP will send again, or give up
            self._fence.counts["unreachable"] += 1
        else:
            queue.put_nowait(text)

    def join(self) -> None:
        pass  # Network_server's wish; close() ends the thread

    def close(self) -> None:
        """Only of what open() opened."""

        async def end() -> None:
            if self._server is not None:
                self._server.close()
                await self._server.wait_closed()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(_OPEN_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_OPEN_S)
        self._loop.close()


def is_secure(sdp: str) -> bool:
    """A browser's description: its sound is encrypted (SRTP)."""
    return _SECURE.search(sdp) is not None


def reachable(sdp: str, address: str) -> str:
    """A browser's description with only those candidates that our relay can use: UDP, IPv4, literal; names of the kind 7f3a.local
    would be looked up. ``address`` stands in until its checks have shown where it is (we are ICE lite); nothing is sent there before."""
    lines, left = [], _CANDIDATES
    for line in sdp.replace("\r\n", "\n").rstrip("\n").split("\n"):
        if line.startswith("a=candidate:"):
            words = line.split()
            if left == 0 or len(words) < 8 or words[2].lower() != "udp" or not _IPV4.fullmatch(words[4]):
                continue
            left -= 1
        elif line.startswith(("a=end-of-candidates", "a=rtcp:")):
            continue
        elif line.startswith("c="):
            line = f"c=IN IP4 {address}"
        elif line.startswith("m=audio ") and not line.startswith("m=audio 0 "):
            line = re.sub(r"^m=audio \d+", "m=audio 9", line)
        lines.append(line)
    return "\r\n".join(lines) + "\r\n"


class _Deice(subcommand_deice):  # type: ignore[misc]  # as above
    """Every candidate that reachable() has left. sippy's own throws away all of 192.0.0.0/8 but 192.168, where browsers are too."""

    def __init__(self, description: Any, section: Any) -> None:
        super().__init__(description, section)
        self.commands: list[str] = self.commands[:1]
        for header in section.a_headers:
            if header.name == "candidate":
                self.append(f"{self.i_mod} C {header.value}")


_side.subcommand_deice = _Deice


def gate(gc: Any, browser: str) -> Any:
    """A relay of its own between a browser ("caller" or "callee" of the call) and the call's: encrypted there, plain here. The call's
    relay can copy only what is plain."""
    session = Rtp_proxy_session(gc)
    session.caller.raddress = session.callee.raddress = (gc["_sip_address"], 0)
    for name in ("caller", "callee"):
        side = getattr(session, name)
        side.deice = name == browser
        side.gateway_dtls = "dtls" if name == browser else "rtp"
    return session
