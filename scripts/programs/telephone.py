"""A telephone for measuring and for tests: plain SIP and RTP over UDP, every packet in our hands. It imports nothing of the server.

Not a softphone: it knows one dialog at a time and does what it is told, wrong things too.
"""

import asyncio
import hashlib
import re
import secrets
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

_PACE_S = 0.02


@dataclass(slots=True)
class Message:
    """One SIP message. ``status`` is 0 for a request."""

    first: str
    headers: list[tuple[str, str]]
    body: str

    @classmethod
    def read(cls, data: bytes) -> "Message":
        head, _, body = data.decode("utf-8", "replace").partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        return cls(first, [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)], body)

    @property
    def status(self) -> int:
        return int(self.first.split()[1]) if self.first.startswith("SIP/2.0") else 0

    @property
    def method(self) -> str:
        return self.get("cseq").split()[-1] if self.status else self.first.split()[0]

    def get(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, heard: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._heard = heard

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._heard(data, addr)


@dataclass(slots=True)
class Heard:
    """An RTP packet as it came; ``at``: time.monotonic()."""

    at: float
    data: bytes

    @property
    def sequence(self) -> int:
        return int.from_bytes(self.data[2:4], "big")


class Refused(Exception):
    """The other end said no; the message is its answer's first line."""


class Telephone:
    """open(), then call() or answer(); close() at the end. ``host``: this machine's, where it listens."""

    def __init__(
        self, user: str, server: str, *, password: str = "", host: str = "127.0.0.1", formats: str = "0 101", port: int = 0
    ) -> None:
        self.user, self.password, self.host, self.formats = user, password, host, formats
        name, _, given = server.partition(":")
        self.server = (name, int(given or 5060))
        self.port, self.rtp_port = port, 0
        self.heard: list[Heard] = []
        self.requests: asyncio.Queue[Message] = asyncio.Queue(200)
        self.ended = asyncio.Event()
        self.remote_rtp: tuple[str, int] = ("127.0.0.1", 9)
        self.answer_sdp = ""
        self.call_id, self.tag, self.remote = "", "", ""
        self.cseq = 1
        self.ssrc = secrets.randbits(32)
        self._answers: asyncio.Queue[Message] = asyncio.Queue(200)
        self._target, self._peer, self._mine = "", self.server, ""
        self._sip: Any = None
        self._rtp: Any = None
        self.sequence, self.stamp = secrets.randbits(15), secrets.randbits(31)
        self.branch = ""  # of the last INVITE
        self.auto = True  # answers what comes within a call by itself

    async def open(self) -> "Telephone":
        loop = asyncio.get_running_loop()
        self._sip, _ = await loop.create_datagram_endpoint(lambda: _Udp(self._sip_heard), local_addr=(self.host, self.port))
        self.port = self._sip.get_extra_info("sockname")[1]
        self._rtp, _ = await loop.create_datagram_endpoint(lambda: _Udp(self._rtp_heard), local_addr=(self.host, 0))
        self.rtp_port = self._rtp.get_extra_info("sockname")[1]
        return self

    def close(self) -> None:
        for transport in (self._sip, self._rtp):
            if transport is not None:
                transport.close()

    async def __aenter__(self) -> "Telephone":
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        self.close()
        await asyncio.sleep(0.01)  # the ports are free when the loop has turned

    # ---- SIP

    def _sip_heard(self, data: bytes, addr: tuple[str, int]) -> None:
        message = Message.read(data)
        if message.status:
            if not self._answers.full():
                self._answers.put_nowait(message)
            return
        if message.method == "INVITE":
            self._peer = addr
        if message.method == "BYE" and message.get("call-id") == self.call_id:
            self.reply(message, 200, "OK")
            self.ended.set()
        elif self.auto and message.method in ("OPTIONS", "INFO", "UPDATE") and self.call_id:
            self.reply(message, 200, "OK")
            if not self.requests.full():
                self.requests.put_nowait(message)
        elif not self.requests.full():
            self.requests.put_nowait(message)

    def send(self, text: str, to: tuple[str, int] | None = None) -> None:
        self._sip.sendto(text.encode(), to or self._peer)

    def reply(
        self, request: Message, status: int, reason: str, body: str = "", more: Sequence[str] = (), kind: str = "application/sdp"
    ) -> None:
        to = request.get("to")
        if "tag=" not in to:
            self._mine = self._mine or secrets.token_hex(6)
            to += f";tag={self._mine}"
        lines = [
            f"SIP/2.0 {status} {reason}",
            *(f"Via: {via}" for via in request.all("via")),
            *(f"Record-Route: {r}" for r in request.all("record-route")),
        ]
        lines += [f"From: {request.get('from')}", f"To: {to}", f"Call-ID: {request.get('call-id')}", f"CSeq: {request.get('cseq')}"]
        lines += [f"Contact: <sip:{self.user}@{self.host}:{self.port}>", *more]
        self.send("\r\n".join([*lines, *_body(body, kind)]))

    def request(
        self, method: str, uri: str, body: str = "", more: Sequence[str] = (), *, to: str = "", kind: str = "application/sdp", branch: str = "",
    ) -> str:  # fmt: skip
        """Sends one request of the present dialog (or the first of a new one)."""
        self.tag = self.tag or secrets.token_hex(6)
        self.call_id = self.call_id or secrets.token_hex(12)
        branch = branch or "z9hG4bK" + secrets.token_hex(8)
        lines = [
            f"{method} {uri} SIP/2.0", f"Via: SIP/2.0/UDP {self.host}:{self.port};rport;branch={branch}", "Max-Forwards: 70",
            f"From: <sip:{self.user}@{self.server[0]}>;tag={self.tag}", f"To: {to or self.remote or f'<{uri}>'}", f"Call-ID: {self.call_id}",
            f"CSeq: {self.cseq} {method}", f"Contact: <sip:{self.user}@{self.host}:{self.port}>", *more,
        ]  # fmt: skip
        self.send("\r\n".join([*lines, *_body(body, kind)]))
        return branch

    async def final(self, method: str, within_s: float = 10.0) -> Message:
        """The next final answer to ``method``."""
        async with asyncio.timeout(within_s):
            while True:
                answer = await self._answers.get()
                if answer.status >= 200 and answer.method == method:
                    return answer

    async def asked(self, method: str, within_s: float = 10.0) -> Message:
        """The next request of this kind."""
        async with asyncio.timeout(within_s):
            while True:
                request = await self.requests.get()
                if request.method == method:
                    return request

    def _signed(self, answer: Message, method: str, uri: str) -> str:
        challenge = dict(re.findall(r'(\w+)="?([^",]+)"?', answer.get("www-authenticate") or answer.get("proxy-authenticate")))
        md5 = lambda text: hashlib.md5(text.encode()).hexdigest()  # noqa: E731  three uses, one line
        first, second = md5(f"{self.user}:{challenge['realm']}:{self.password}"), md5(f"{method}:{uri}")
        nonce = challenge["nonce"]
        if "qop" in challenge:
            response = md5(f"{first}:{nonce}:00000001:abcd:auth:{second}")
            tail = ',qop=auth,nc=00000001,cnonce="abcd",algorithm=MD5'
        else:
            response, tail = md5(f"{first}:{nonce}:{second}"), ""
        name = "Authorization" if answer.get("www-authenticate") else "Proxy-Authorization"
        return f'{name}: Digest username="{self.user}",realm="{challenge["realm"]}",nonce="{nonce}",uri="{uri}",response="{response}"{tail}'

    async def register(self, expires: int = 60) -> Message:
        """The last answer."""
        uri = f"sip:{self.server[0]}"
        more = [f"Expires: {expires}"]
        self.request("REGISTER", uri, more=more, to=f"<sip:{self.user}@{self.server[0]}>")
        answer = await self.final("REGISTER")
        if answer.status == 401:
            self.cseq += 1
            self.request("REGISTER", uri, more=[*more, self._signed(answer, "REGISTER", uri)], to=f"<sip:{self.user}@{self.server[0]}>")
            answer = await self.final("REGISTER")
        self.call_id, self.tag, self.cseq = "", "", 1
        return answer

    def sdp(self, direction: str = "sendrecv", formats: str = "", address: str = "", port: int = 0, version: int = 1) -> str:
        formats = formats or self.formats
        names = {"0": "PCMU/8000", "8": "PCMA/8000", "9": "G722/8000", "96": "opus/48000/2", "101": "telephone-event/8000", "13": "CN/8000"}
        maps = "".join(f"a=rtpmap:{number} {names[number]}\r\n" for number in formats.split())
        host = address or self.host
        return (
            f"v=0\r\no=- 1 {version} IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
            f"m=audio {port or self.rtp_port} RTP/AVP {formats}\r\n{maps}a={direction}\r\n"
        )

    async def call(
        self,
        number: str,
        sdp: str | None = None,
        more: Sequence[str] = (),
        within_s: float = 15.0,
        kind: str = "application/sdp",
        ack: str = "",
    ) -> Message:
        """Returns the 200, acknowledged (with the description ``ack``). Raises Refused, or TimeoutError while it rings."""
        uri = f"sip:{number}@{self.server[0]}:{self.server[1]}"
        body = self.sdp() if sdp is None else sdp
        self._peer = self.server
        branch = self.branch = self.request("INVITE", uri, body, more, kind=kind)
        answer = await self.final("INVITE", 5.0 if self.password else within_s)
        if answer.status in (401, 407) and self.password:
            self._acknowledge(answer, uri, branch)
            self.cseq += 1
            branch = self.branch = self.request("INVITE", uri, body, [*more, self._signed(answer, "INVITE", uri)], kind=kind)
            answer = await self.final("INVITE", within_s)
        if answer.status >= 300:
            self._acknowledge(answer, uri, branch)
            raise Refused(answer.first)
        self.remote = answer.get("to")
        self._target = _uri(answer.get("contact"))
        self._take(answer.body)
        self._acknowledge(answer, self._target, body=ack)
        return answer

    def _acknowledge(self, answer: Message, uri: str, branch: str = "", body: str = "") -> None:
        self.request("ACK", uri, body, to=answer.get("to"), branch=branch)

    async def answer(self, within_s: float = 15.0, sdp: str | None = None, early: str = "") -> Message:
        """Waits for a call, rings, takes it; the INVITE. ``early``: an SDP to send with 183 first."""
        invite = await self.asked("INVITE", within_s)
        self._take(invite.body)
        self.call_id = invite.get("call-id")
        self.reply(invite, 183, "Session Progress", early) if early else self.reply(invite, 180, "Ringing")
        self.accept(invite, sdp)
        acknowledged = await self.asked("ACK", within_s)
        if acknowledged.body:  # the answer to our offer
            self._take(acknowledged.body)
        return invite

    def accept(self, invite: Message, sdp: str | None = None) -> None:
        self.call_id = invite.get("call-id")
        self.reply(invite, 200, "OK", self.sdp() if sdp is None else sdp)
        self.remote, self._target = invite.get("from"), _uri(invite.get("contact"))
        self.tag, self.cseq = self._mine, 100

    async def within(self, method: str, body: str = "", more: Sequence[str] = (), kind: str = "application/sdp") -> Message:
        """A request of this dialog and its final answer, acknowledged where it must be. Where the other side's own change has not ended
        there yet (491: its answer and our request may overtake each other on the way) it asks again a little later, RFC 3261 14.1."""
        uri = self._target
        for wait_s in (0.2, 0.7, 1.9, 0.0):
            self.cseq += 1
            self._request_within(method, uri, body, more, kind)
            answer = await self.final(method)
            if method == "INVITE":
                self._request_within("ACK", uri)
                if answer.status < 300:
                    self._take(answer.body)
            if answer.status != 491:
                break
            await asyncio.sleep(wait_s)
        return answer

    def _request_within(self, method: str, uri: str, body: str = "", more: Sequence[str] = (), kind: str = "application/sdp") -> None:
        mine = f"<sip:{self.user}@{self.server[0]}>;tag={self.tag}"
        lines = [
            f"{method} {uri} SIP/2.0", f"Via: SIP/2.0/UDP {self.host}:{self.port};rport;branch=z9hG4bK{secrets.token_hex(8)}", "Max-Forwards: 70",
            f"From: {mine}", f"To: {self.remote}", f"Call-ID: {self.call_id}", f"CSeq: {self.cseq} {method}",
            f"Contact: <sip:{self.user}@{self.host}:{self.port}>", *more,
        ]  # fmt: skip
        self.send("\r\n".join([*lines, *_body(body, kind)]))

    async def hang_up(self) -> None:
        await self.within("BYE")
        self.ended.set()

    def _take(self, sdp: str) -> None:
        self.answer_sdp = sdp
        port, address = re.search(r"m=audio (\d+)", sdp), re.search(r"c=IN IP4 (\S+)", sdp)
        if port and address and int(port[1]):
            self.remote_rtp = (address[1], int(port[1]))

    # ---- RTP

    def _rtp_heard(self, data: bytes, addr: tuple[str, int]) -> None:  # noqa: ARG002  the relay's
        self.heard.append(Heard(time.monotonic(), data))

    def packet(self, payload: bytes, kind: int = 0, *, marker: bool = False, step: int = 160) -> bytes:
        """The next packet; its time is ``step`` behind the one before."""
        head = struct.pack("!BBHII", 0x80, kind | (0x80 if marker else 0), self.sequence & 0xFFFF, self.stamp & 0xFFFFFFFF, self.ssrc)
        self.sequence, self.stamp = self.sequence + 1, self.stamp + step
        return head + payload

    def send_rtp(self, data: bytes) -> None:
        self._rtp.sendto(data, self.remote_rtp)

    async def speak(self, code: bytes, *, kind: int = 0, size: int = 160, lose: Callable[[int], bool] = lambda _: False) -> list[float]:
        """G.711 (or what else has ``size`` bytes in 20 ms) at pace; when each packet left. ``lose``: packets that never leave."""
        left, begin = [], time.monotonic()
        for n in range(len(code) // size):
            await asyncio.sleep(max(0.0, begin + n * _PACE_S - time.monotonic()))
            if self._rtp.is_closing():
                break
            data = self.packet(code[n * size : (n + 1) * size], kind)
            left.append(time.monotonic())
            if not lose(n):
                self.send_rtp(data)
        return left


def _uri(contact: str) -> str:
    found = re.search(r"<([^>]+)>", contact)
    return found[1] if found else contact.split(";")[0]


def _body(body: str, kind: str) -> list[str]:
    if not body:
        return ["Content-Length: 0", "", ""]
    return [f"Content-Type: {kind}", f"Content-Length: {len(body.encode())}", "", body]


@dataclass(slots=True)
class Gaps:
    """``longest_ms``: between two packets that came; ``missing``: numbers that never came."""

    longest_ms: float
    missing: int
    packets: int


def gaps(heard: Sequence[Heard], ssrc: int | None = None) -> Gaps:
    """Of one sender's stream, ``ssrc`` or the only one."""
    mine = [h for h in heard if ssrc is None or int.from_bytes(h.data[8:12], "big") == ssrc]
    if len(mine) < 2:
        return Gaps(float("inf"), 0, len(mine))
    longest = max(b.at - a.at for a, b in pairwise(mine)) * 1000
    numbers = [h.sequence for h in mine]
    span = (numbers[-1] - numbers[0]) % 65_536 + 1
    return Gaps(longest, span - len(set(numbers)), len(mine))


__all__ = ["Gaps", "Heard", "Message", "Refused", "Telephone", "gaps"]
