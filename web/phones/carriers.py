"""Twilio and Telnyx: their question what to do with a call, answered, and the call's sound as a stream of messages.

A request is theirs by its signature, a stream by Twilio's signature and by the secret that our own answer carried. The
voices never pass through us: a carrier forks a copy, so whatever happens here, the people go on talking.
"""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from starlette.requests import HTTPConnection, Request
from starlette.websockets import WebSocket, WebSocketDisconnect

from coaching.consent import ConsentRefused
from voice.legs import LegRefused
from voice.legs.media_streams import MediaStreamLeg, StreamStarted, StreamStopped, stream_message
from web.calls import Calls
from web.database import StoreAway
from web.phones.answers import Announcement, Carrier, Stream, connected, nothing, refused, whispered
from web.phones.dialing import may_dial
from web.phones.identity import Party, Sides, started
from web.phones.plan import Plan
from web.phones.signatures import from_telnyx, from_twilio, telnyx_key
from web.phones.tickets import Ticket, Tickets
from web.phones.ways import Ways
from web.running import LiveCall

logger = structlog.get_logger()

_BEGIN_S: Final = 10.0  # a stream that has not said by then what it is, is none
_SILENT_S: Final = 60.0  # carriers send 50 messages a second and track, silence too
_RUBBISH: Final = 50  # messages that are not understood, before a stream is given up
_REFUSED: Final = 1008
_GOING_DOWN: Final = 1001
_TRY_LATER: Final = 1013
_NOT_SET_UP: Final = "This number is not set up yet."


class NotTheirs(PermissionError):
    """The request does not come from the carrier; the message says what was wrong, for the log and the page."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A carrier's request: its form's fields, whoever it is."""

    carrier: Carrier
    form: Mapping[str, str]

    def party(self, name: str) -> Party:
        headers = {key.removeprefix("SipHeader_"): value for key, value in self.form.items() if key.startswith("SipHeader_")}
        given = self.form.get(name, "")
        return Party(number=given, uri=given, trunk=self.carrier, headers=headers)


class Carriers:
    """One per process; ``ways`` counts what comes and what is refused."""

    def __init__(self, calls: Calls, ways: Ways) -> None:
        self._calls, self.ways, self._tickets = calls, ways, Tickets()
        self._open: set[WebSocket] = set()
        settings = calls.settings
        self._origins = sorted(settings.allowed_origins())
        key = settings.telnyx_key if ways["telnyx"].on else ""
        self._telnyx: Ed25519PublicKey | None = telnyx_key(key) if key else None

    async def going_down(self) -> None:
        for socket in list(self._open):
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await socket.close(_GOING_DOWN)

    # ---- what to do with a call

    async def asked(self, carrier: Carrier, request: Request) -> Asked:
        """Raises NotTheirs."""
        body = await request.body()
        form = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=200)
        if not self._signed(carrier, request, body, form):
            why = "a request without a right signature"
            self.ways[carrier].refuse(why)
            raise NotTheirs(why)
        return Asked(carrier, dict(form))

    async def voice(self, asked: Asked, request: Request) -> str:
        """The answer to a call: whom to ring, and a copy of both voices for us."""
        plan, way = self._calls.machine.phones.current(), self.ways[asked.carrier]
        sides = plan.identity.sides(asked.party("From"), asked.party("To"))
        agent = sides.agent.agent
        if sides.direction == "inbound":
            if agent is None or not agent.ring:
                way.refuse("a call to a number that belongs to no agent with a place to ring")
                return refused(_NOT_SET_UP)
            to, caller_id, whisper = agent.ring, "", False
        else:
            try:
                verdict = await may_dial(plan.dialing, self._calls.store, asked.form.get("To", ""))
            except StoreAway:
                return refused("The do-not-call list cannot be read now. Dial from your own telephone.")
            if not verdict.allowed:
                way.refuse(f"dialling refused: {verdict.refused}")
                return refused(verdict.why)
            to, caller_id, whisper = verdict.number, agent.shows if agent is not None else "", True
        stream, secret = self._stream(asked, plan, sides, request)
        announcement = self._announcement(plan, request) if stream is not None else None
        if not whisper:
            return connected(asked.carrier, to, stream, caller_id=caller_id, announcement=announcement)
        document = f"{self._public(request)}/carriers/{asked.carrier}/announce/{secret}" if announcement else ""
        return connected(asked.carrier, to, stream, caller_id=caller_id, whisper=document)

    def announce(self, asked: Asked, secret: str, request: Request) -> str:
        """To the called side, before it is connected."""
        announcement = self._announcement(self._calls.machine.phones.current(), request)
        if self._tickets.find(secret, time.time()) is None or not announcement:
            return nothing()
        return whispered(announcement, f"{self._public(request)}/carriers/{asked.carrier}/announced/{secret}")

    async def announced(self, secret: str) -> str:
        """The carrier goes on behind the announcement: it was heard."""
        ticket = self._tickets.find(secret, time.time())
        if ticket is not None:
            ticket.announced = True
            live = self._calls.live.get(ticket.live)
            if live is not None:
                await _told(live, ticket)
        return nothing()

    def _stream(self, asked: Asked, plan: Plan, sides: Sides, request: Request) -> tuple[Stream | None, str]:
        """None where this call is not coached: between two agents, or when as many are live as may be."""
        way = self.ways[asked.carrier]
        if sides.direction == "internal":
            return None, ""
        if len(self._calls.live) >= self._calls.settings.phone_calls:
            way.refuse("as many calls are coached as SOTTOVOCE_PHONE_CALLS allows; this one was connected without coaching")
            return None, ""
        ticket = Ticket(asked.carrier, sides, asked.form.get("CallSid", "")[:200], told=_played(plan))
        ticket.announced = bool(ticket.told) and sides.direction == "inbound"  # verbs run in order: the stream begins behind it
        secret = self._tickets.issue(ticket, time.time())
        address = self._public(request).replace("http", "ws", 1)
        return Stream(f"{address}/carriers/{asked.carrier}/stream", secret), secret

    def _announcement(self, plan: Plan, request: Request) -> Announcement:
        if plan.announcement_file is not None:
            return Announcement(url=f"{self._public(request)}/carriers/announcement")
        return Announcement(say=plan.announcement)

    # ---- the sound

    async def stream(self, carrier: Carrier, socket: WebSocket) -> None:
        """One call's stream, to its end."""
        way = self.ways[carrier]
        if not way.on or (carrier == "twilio" and not self._signed_socket(socket)):
            way.refuse("a stream without a right signature" if way.on else "a stream of a carrier that is not set up")
            await socket.close(_REFUSED)  # before it is accepted: HTTP 403
            return
        await socket.accept()
        try:
            async with asyncio.timeout(_BEGIN_S):
                first, text = await _begun(socket)
            ticket = self._tickets.take(first.parameters.get("secret", ""), time.time())
            if ticket is None or ticket.way != carrier:
                raise LegRefused("a stream with a secret that we did not give, or a second time")
            if carrier == "twilio" and ticket.id != first.call:
                raise LegRefused("a stream of another call than the one that its secret was given for")
            leg = MediaStreamLeg(inbound=ticket.sides.caller)
            leg.message(text)
        except (LegRefused, TimeoutError, WebSocketDisconnect, RuntimeError) as failure:
            way.refuse(str(failure) or "a stream that did not say what it is")
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await socket.close(_REFUSED)
            return
        try:
            live = await self._calls.ring(started(ticket.sides, carrier, ticket.id or first.call), leg)
        except StoreAway:
            way.refuse("a call while the database was away; it was connected without coaching")
            await socket.close(_TRY_LATER)
            return
        ticket.live = live.call.id
        way.begun()
        self._open.add(socket)
        try:
            if ticket.announced:
                await _told(live, ticket)
            await self._carry(socket, leg, live)
        finally:
            self._open.discard(socket)
            way.over()
            way.lost_chunks += leg.given_up

    async def _carry(self, socket: WebSocket, leg: MediaStreamLeg, live: LiveCall) -> None:
        """Messages into the leg until the stream stops, breaks off, or the call is ended here."""
        reading = asyncio.create_task(_read(socket, leg), name=f"stream of {live.call.id}")
        waiting = {reading} if live.task is None else {reading, live.task}
        stopped = False
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                stopped = reading.result()
        finally:
            reading.cancel()
            await asyncio.wait({reading})
            if not stopped and live.call.id in self._calls.live:
                await live.call.end("the carrier's stream broke off")
            leg.disconnected()
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await socket.close()

    # ---- whose request it is

    def _signed(self, carrier: Carrier, request: Request, body: bytes, form: list[tuple[str, str]]) -> bool:
        headers, settings = request.headers, self._calls.settings
        if carrier == "twilio":
            url = self._public(request) + request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return from_twilio(url, form, settings.twilio_token, headers.get("x-twilio-signature", ""))
        if self._telnyx is None:
            return False
        signature, stamp = headers.get("telnyx-signature-ed25519", ""), headers.get("telnyx-timestamp", "")
        return from_telnyx(self._telnyx, stamp, body, signature, time.time())

    def _signed_socket(self, socket: WebSocket) -> bool:
        url = self._public(socket).replace("http", "ws", 1) + socket.url.path
        return from_twilio(url, (), self._calls.settings.twilio_token, socket.headers.get("x-twilio-signature", ""))

    def _public(self, connection: HTTPConnection) -> str:
        """This server as the carrier sees it: whatever stands in front of it, the guard let only names of ours pass."""
        host = connection.headers.get("host", "")
        known = [origin for origin in self._origins if origin.split("://", 1)[1] == host]
        return max(known, key=lambda origin: origin.startswith("https://"), default=f"https://{host}")


async def _begun(socket: WebSocket) -> tuple[StreamStarted, str]:
    """The message that says which call it is; whatever comes before it is passed over, a little of it."""
    for _ in range(5):
        text = await _text(socket)
        message = stream_message(text)
        if isinstance(message, StreamStarted):
            return message, text
    raise LegRefused("a stream that did not say what it is")


async def _read(socket: WebSocket, leg: MediaStreamLeg) -> bool:
    """True when the carrier said that the stream is over; False when it broke off or sent too much that is no message."""
    rubbish = 0
    while True:
        try:
            async with asyncio.timeout(_SILENT_S):
                text = await _text(socket)
        except (WebSocketDisconnect, RuntimeError, TimeoutError):
            return False
        try:
            if isinstance(leg.message(text), StreamStopped):
                return True
        except LegRefused:
            rubbish += 1
            if rubbish >= _RUBBISH:
                return False


async def _text(socket: WebSocket) -> str:
    """Raises WebSocketDisconnect."""
    received = await socket.receive()
    if received["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(received.get("code", 1000))
    return received.get("text") or ""


async def _told(live: LiveCall, ticket: Ticket) -> None:
    with contextlib.suppress(ConsentRefused):  # the agent was faster, and has an answer already
        await live.call.consent("announced", by="announcement", told=ticket.told)


def _played(plan: Plan) -> str:
    """What the consent record says was played: the words, or the file by its name and fingerprint."""
    if plan.announcement_file is not None:
        try:
            print_ = hashlib.sha256(plan.announcement_file.read_bytes()).hexdigest()[:16]
        except OSError:
            return ""
        return f"announcement played before the call was connected: file {plan.announcement_file.name}, SHA-256 {print_}…"
    return f"announcement read before the call was connected: “{plan.announcement}”" if plan.announcement else ""
