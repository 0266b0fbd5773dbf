"""One bridged call: whoever calls us and whom we call for them, with the relay between and a copy of each side beside it."""

import ipaddress
import re
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, TypeAlias

from sippy.CCEvents import CCEventConnect, CCEventDisconnect, CCEventFail, CCEventRing, CCEventTry, CCEventUpdate
from sippy.Exceptions.SdpParseError import SdpParseError
from sippy.MsgBody import MsgBody
from sippy.Rtp_proxy.session import Rtp_proxy_session
from sippy.SipAddress import SipAddress
from sippy.SipContact import SipContact
from sippy.SipURL import SipURL
from sippy.UA import UA

from voice.sip.browsers import TRANSPORT, gate, is_secure, link_of, reachable
from voice.sip.engine import Engine
from voice.sip.prompts import CODECS, Prompt
from voice.sip.sdp import Audio, SdpRefused, audio_of, heard

SideName: TypeAlias = Literal["caller", "callee"]
SIDES: Final[tuple[SideName, SideName]] = ("caller", "callee")
_ONE_WAY_S: Final = 5.0
_LOOK_S: Final = 5.0
_AFTER_PROMPT_S: Final = 0.2
_ECHO_S: Final = 60.0
_SMALL: Final = frozenset({"opus", "telephone-event"})
_TAP_BYTES: Final = 1 << 18  # about 4 s of one side
_GIVES_WAY: Final = frozenset({404, 408, 410, 480, 486, 487, 500, 502, 503, 504, 600, 603})  # then the next target is tried

_OVER: Final = frozenset({"UaStateDisconnected", "UaStateFailed", "UaStateDead"})


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to call. ``uri``: the request's own, where it is not number@address (a phone's Contact). ``shown``: the number it sees."""

    name: str
    address: tuple[str, int]
    number: str
    uri: Any = None
    user: str = ""
    password: str = field(default="", repr=False)
    shown: str = ""
    ring_s: float = 0.0
    transport: str = "udp"


@dataclass(slots=True)
class Side:
    """What we know of one end. ``packets``: so many came from it."""

    party: dict[str, Any]
    audio: Audio | None = None
    signalled_from: str = ""
    packets: int = 0
    moved_at: float = 0.0
    held: bool = False
    link: str = ""  # a browser's connection; its name


class Listener(Protocol):
    """Who is told of a call; the server."""

    def connected(self, call: Any) -> None: ...

    def changed(self, call: Any, side: SideName) -> None: ...

    def ended(self, call: Any, reason: str) -> None: ...


def contact(engine: Engine) -> Any:
    """Ours, without the name that sippy gives it, which some programs take for a part of the address."""
    return SipContact(address=SipAddress(url=SipURL(host=engine.shown, port=engine.port), hadbrace=True))


def _reduced(sdp: str, number: int) -> str:
    """An offer with this codec and the keys only."""
    kept = {number} | {n for audio in audio_of(sdp) for n, coding in audio.formats.items() if coding.name == "telephone-event"}
    lines = []
    for line in sdp.split("\r\n"):
        if line.startswith("m=audio "):
            words = line.split()
            line = " ".join(words[:3] + [word for word in words[3:] if word.isdigit() and int(word) in kept])
        found = re.match(r"a=(?:rtpmap|fmtp|rtcp-fb):(\d+) ", line)
        if found is None or int(found[1]) in kept:
            lines.append(line)
    return "\r\n".join(lines)


def pin(end: Any, *, trusted: bool) -> None:
    """``trusted``: sound goes to the address that this end named, whoever else sends (A, for rtp-io). Otherwise, for an end behind
    a router, to where its first packet came from: then a stranger who is faster can turn the sound to himself."""
    update = type(end).update

    def updated(up: Any) -> None:
        if trusted:
            up.options += "A"
        update(end, up)

    end.update = updated


def tap_socket() -> socket.socket:
    """Where copies of one side's packets go. It belongs to this process, so that no other can ever take its port over."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _TAP_BYTES)
    made.bind(("127.0.0.1", 0))
    return made


class BridgedCall:
    """``route``: asked once, with the number dialled; it calls go() or refuse(), now or later."""

    way = "sip"

    def __init__(
        self, engine: Engine, identity: str, parties: Mapping[SideName, dict[str, Any]], listener: Listener,
        route: "Callable[[BridgedCall, str], None]", *, otherwise: str,
    ) -> None:  # fmt: skip
        self.id, self.otherwise, self._engine, self._listener, self._route = identity, otherwise, engine, listener, route
        self.sides: dict[SideName, Side] = {name: Side(dict(parties[name])) for name in SIDES}
        self.sip_id = ""
        self.began_at, self.answered_at = time.time(), 0.0
        self.announced = ""  # what was played, to its end
        self.trouble = ""
        self.figures: dict[str, Any] = {}
        self.targets: list[Target] = []
        self.session: Any = Rtp_proxy_session(engine.gc)
        self.session.caller.raddress = self.session.callee.raddress = (engine.gc["_sip_address"], 0)
        self.a: Any = UA(engine.gc, self._event, disc_cbs=(self._gone,), fail_cbs=(self._gone,))
        self.a.lContact = contact(engine)
        self.a.on_remote_sdp_change = self._caller_sdp
        self.b: Any = None
        self._offer: Any = None
        self._only: int | None = None  # the one codec, once we have answered with it ourselves
        self.tested_at = 0.0
        self._gone_links: set[str] = set()
        self._gates: dict[SideName, Any] = {}  # relays between a browser and ours
        self._taps: dict[SideName, socket.socket] = {}
        self._tapped = False
        self._over = False
        self._look: Any = None

    # ---- beginning

    def receive(self, request: Any, transaction: Any) -> Any:
        """The INVITE that makes it."""
        address, transport = request.getSource(2)
        self.sides["caller"].signalled_from = address[0]
        if transport == TRANSPORT:
            self._open_gate("caller")
            self.sides["caller"].link = link_of(request)
        self.sip_id = str(request.getHFBody("call-id"))
        return self.a.recvRequest(request, transaction)

    def go(self, targets: list[Target]) -> None:
        """Call the first of them; the others in turn when it does not answer."""
        if self._over:
            return
        self.targets = list(targets)
        self._next("Not Found" if not targets else "")

    def announce(self, prompt: Prompt, then: Callable[[], None]) -> None:
        """Answer the caller, play this, then go on. What cannot be played to is put through without, and not called announced."""
        audio = self.sides["caller"].audio
        playable = [
            n for n, coding in (audio.formats if audio is not None else {}).items() if coding.name in CODECS.values() and n in CODECS
        ]
        if not playable:
            then()
            return
        self._only = playable[0]

        def answered(body: Any, ex: Exception | None = None) -> None:
            if body is None or self._over:
                self.refuse(500, "The relay failed" if ex else "Over")
                return
            self.a.recvEvent(CCEventConnect((200, "OK", body)))
            self.session.rtpp_seq.send_command(
                f"P1 {self.session.call_id}-0 {prompt.name} {self._only} {self.session.from_tag} {self.session.to_tag}", _nothing
            )
            self._engine.after(prompt.seconds + _AFTER_PROMPT_S, self._announced, prompt.told, then)

        self._answer_alone(answered, "127.0.0.1", 9)

    def _announced(self, told: str, then: Callable[[], None]) -> None:
        if not self._over:
            self.announced = told
            then()

    def echo(self) -> None:
        """A test call: the caller hears himself, by way of the relay."""

        def answered(body: Any, ex: Exception | None = None) -> None:
            if body is None or self._over:
                self.refuse(500, "The relay failed" if ex else "Over")
                return
            self.a.recvEvent(CCEventConnect((200, "OK", body)))
            self.tested_at = time.time()
            self._engine.after(_ECHO_S, self.hang_up)
            self._look = self._engine.every(_LOOK_S, self._count)

        # The relay's own port for the other side: what it sends there comes back as if the other side had said it.
        offered = audio_of(str(self._offer.getData()[3]))
        self._answer_alone(answered, offered[0].address, offered[0].port)

    def _answer_alone(self, answered: Callable[..., None], address: str, port: int) -> None:
        audio = self.sides["caller"].audio
        assert audio is not None  # only a call with an offer comes here
        formats = {n: c for n, c in audio.formats.items() if self._only is None or n == self._only or c.name == "telephone-event"}
        lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", f"c=IN IP4 {address}", "t=0 0"]
        lines.append(f"m=audio {port} RTP/AVP {' '.join(map(str, formats))}")
        lines += [
            f"a=rtpmap:{n} {c.name.upper() if c.name not in _SMALL else c.name}/{c.rate}{'/2' if c.name == 'opus' else ''}"
            for n, c in formats.items()
        ]
        self._through("callee", MsgBody("\r\n".join([*lines, "a=sendrecv"]) + "\r\n"), answered)

    def refuse(self, code: int, why: str) -> None:
        if not self._over:
            self.a.recvEvent(CCEventFail((code, why)))
            self._end("refused")

    def hang_up(self, reason: str = "hung_up") -> None:
        """Both sides."""
        if self._over:
            return
        for ua in (self.a, self.b):
            if ua is not None:
                ua.recvEvent(CCEventDisconnect())
        self._end(reason)

    def drop(self) -> None:
        """It never came to be."""
        self._end("refused")

    @property
    def up(self) -> bool:
        return self.answered_at > 0 and not self._over

    def _next(self, why_not: str = "") -> None:
        if not self.targets:
            self.refuse(404 if why_not else 480, why_not or "Temporarily Unavailable")
            return
        target = self.targets.pop(0)
        body = self._offer.getData()[3]
        if body is not None:
            body = body.getCopy() if self._only is None else MsgBody(_reduced(str(body), self._only))
        self._close_gate("callee")
        self.sides["callee"].party["trunk"] = target.name
        self.sides["callee"].signalled_from = target.address[0]
        if target.transport != TRANSPORT:
            self._dial(target, body)
            return
        self._open_gate("callee")
        self.sides["callee"].link = target.address[0]
        if body is None:
            self._dial(target, None)
            return

        def passed(described: Any, ex: Exception | None = None) -> None:
            if self._over:
                return
            if described is None:
                self.refuse(500, "The relay failed" if ex else "Over")
                return
            self._dial(target, MsgBody(self._seen(str(described))))

        # What the caller offers came through our relay before anybody knew that a browser would be called.
        self._gates["callee"].on_caller_sdp_change(MsgBody(self._inside(str(body))), passed)

    def _dial(self, target: Target, body: Any) -> None:
        if body is not None:
            body.needs_update = False
        name = self._offer.getData()[5]
        event = CCEventTry((None, target.shown or self.sides["caller"].party["number"] or "anonymous", target.number, body, None, name))
        event.max_forwards = self._offer.max_forwards
        if target.uri is not None:
            event.onUacSetupComplete = lambda ua: setattr(ua, "rTarget", target.uri.getCopy())
        self.b = UA(
            self._engine.gc, self._event, username=target.user or None, password=target.password or None,
            nh_address=target.address, nh_transport=target.transport, expire_time=target.ring_s or None, disc_cbs=(self._gone,), fail_cbs=(self._gone,),
        )  # fmt: skip
        self.b.lContact = contact(self._engine)
        self.b.on_remote_sdp_change = self._callee_sdp
        self.b.recvEvent(event)

    # ---- what the two sides do

    def _event(self, event: Any, ua: Any) -> None:
        if self._over:
            return
        if ua is self.a:
            self._from_caller(event)
        elif ua is self.b:
            self._from_callee(event)

    def _from_caller(self, event: Any) -> None:
        if self._offer is None:
            if not isinstance(event, CCEventTry):
                self._end("hung_up")
                return
            self._offer = event
            self._route(self, event.getData()[2] or "")
        elif self.b is not None:
            self._settle(event)
            self.b.recvEvent(event)
            if isinstance(event, CCEventConnect) and not self.answered_at:
                self._connected()  # the answer came with the caller's ACK: it had offered nothing
        if self._is_end(event):
            self._end("hung_up")

    def _from_callee(self, event: Any) -> None:
        if not self.answered_at and self.targets and self._gives_way(event):
            self._next()
            return
        self._settle(event)
        if isinstance(event, CCEventRing) and event.getData()[0] == 100:
            return
        self.a.recvEvent(event)
        if isinstance(event, CCEventConnect) and not self.answered_at:
            self._connected()
        elif self._is_end(event):
            self._end("hung_up")

    def _gives_way(self, event: Any) -> bool:
        return isinstance(event, CCEventDisconnect) or (isinstance(event, CCEventFail) and event.getData()[0] in _GIVES_WAY)

    def _is_end(self, event: Any) -> bool:
        """A call that stands does not end because one side refuses to change it."""
        return isinstance(event, CCEventDisconnect) or (isinstance(event, CCEventFail) and not self.answered_at)

    def _connected(self) -> None:
        self.answered_at = time.time()
        self._look = self._engine.every(_LOOK_S, self._count)
        self._listener.connected(self)

    def _settle(self, event: Any) -> None:
        """The relay's address stands in the body already; no later hand may write another."""
        data = event.getData()
        body = data[2] if isinstance(event, CCEventConnect | CCEventRing) and data else data if isinstance(event, CCEventUpdate) else None
        if body is not None:
            body.needs_update = False
        if isinstance(event, CCEventConnect | CCEventUpdate) and self._tapped:
            self.tap()  # the relay may have taken other ports

    # ---- sound

    def _caller_sdp(self, body: Any, done: Callable[..., None]) -> Any:
        return self._described("caller", body, done)

    def _callee_sdp(self, body: Any, done: Callable[..., None]) -> Any:
        return self._described("callee", body, done)

    def _described(self, name: SideName, body: Any, done: Callable[..., None]) -> Any:
        """A description goes through the relays in the order in which that side's sound does."""
        own = self._engine.gc["_sip_address"]
        if name in self._gates:
            if not is_secure(str(body)):
                raise SdpParseError("a browser's sound must be encrypted")
            body.content, body.parsed = reachable(str(body), own), False
        self._learn(name, body)
        return self._through(name, body, done)

    def _through(self, name: SideName, body: Any, done: Callable[..., None]) -> Any:
        relays = [relay for relay in (self._gates.get(name), self.session, self._gates.get(_other(name))) if relay is not None]
        if len(relays) == 1:
            return getattr(self.session, f"on_{name}_sdp_change")(body, done)

        def passed(described: Any, ex: Exception | None = None) -> None:
            if described is None or ex is not None or self._over:
                done(described, ex=ex)
                return
            text = str(described)
            if relays:
                getattr(relays.pop(0), f"on_{name}_sdp_change")(MsgBody(self._inside(text)), passed)
                return
            body.content = self._seen(text)
            body.parsed = body.needs_update = False  # what sippy sends on is this very body
            done(body)

        getattr(relays.pop(0), f"on_{name}_sdp_change")(MsgBody(str(body)), passed)
        return None

    def _inside(self, sdp: str) -> str:
        """From one of our relays to the next it goes by our own address, whatever others see."""
        return sdp.replace(f"IN IP4 {self._engine.shown}", f"IN IP4 {self._engine.gc['_sip_address']}")

    def _seen(self, sdp: str) -> str:
        """The relay knows of ``public`` everywhere but in its candidates."""
        return re.sub(rf"(a=candidate:.* ){re.escape(self._engine.gc['_sip_address'])} ", rf"\g<1>{self._engine.shown} ", sdp)

    def _open_gate(self, name: SideName) -> None:
        made = self._gates[name] = gate(self._engine.gc, name)
        pin(getattr(made, _other(name)), trusted=True)  # there is our own relay

    def _close_gate(self, name: SideName) -> None:
        if (old := self._gates.pop(name, None)) is not None:
            old.delete()

    def _learn(self, name: SideName, body: Any) -> None:
        try:
            found = audio_of(str(body))
        except SdpRefused as refused:
            raise SdpParseError(str(refused)) from refused
        if not found:
            raise SdpParseError("no sound is offered")
        side = self.sides[name]
        side.audio = found[0]
        gated = name in self._gates
        pin(getattr(self.session, name), trusted=gated or found[0].address == side.signalled_from)
        side.held = found[0].held
        if self.answered_at:
            self._listener.changed(self, name)

    def formats(self, name: SideName) -> dict[str, list[Any]]:
        """How to read what this side sends: payload type -> name, rate."""
        own, other = self.sides[name].audio, self.sides["callee" if name == "caller" else "caller"].audio
        if own is None or other is None:
            return {}
        return {str(number): [coding.name, coding.rate] for number, coding in heard(own, other).items()}

    def tap(self) -> None:
        """Copies of each side's packets go to a socket of this machine from now on. Whoever analyses has been given both ends
        of them (taps()); while nobody reads, the kernel keeps a few seconds and drops the rest."""
        session = self.session
        if session is None:
            return
        self._tapped = True
        for name, ours, theirs in (("caller", session.from_tag, session.to_tag), ("callee", session.to_tag, session.from_tag)):
            audio = self.sides[name].audio  # type: ignore[index]  # one of the two
            if audio is not None:
                port = self._taps[name].getsockname()[1]  # type: ignore[index]  # as above
                session.rtpp_seq.send_command(f"C {session.call_id}-{audio.number} udp:127.0.0.1:{port} {ours} {theirs}", _nothing)

    def taps(self) -> list[socket.socket]:
        """The caller's, the callee's."""
        if not self._taps:
            self._taps = {name: tap_socket() for name in SIDES}
        return [self._taps[name] for name in SIDES]

    def _count(self) -> None:
        if self.session is not None:
            audio = self.sides["caller"].audio
            self.session.stats(self._counted, audio.number if audio is not None else 0)

    def _counted(self, figures: tuple[int, int, int, int, int] | None) -> None:
        """ttl, packets from the caller, from the callee, passed on, thrown away: as rtp-io counts them."""
        if figures is None or self._over:
            return
        now = time.time()
        for name, packets in zip(SIDES, figures[1:3], strict=True):
            side = self.sides[name]
            if packets != side.packets:
                side.packets, side.moved_at = packets, now
        self.trouble = self._one_way(now)
        if self._page_died(now):
            self.hang_up("lost")

    def _page_died(self, now: float) -> bool:
        wss = self._engine.wss
        gone = (side for side in self.sides.values() if side.link in self._gone_links)
        return wss is not None and any(now - max(side.moved_at, self.answered_at) > wss.closed_s for side in gone)

    def link_gone(self, link: str) -> None:
        """A browser's connection ended. Its sound may go on, and it may come back; when neither happens the call is over."""
        if any(side.link == link for side in self.sides.values()):
            self._gone_links.add(link)

    def _one_way(self, now: float) -> str:
        if now - self.answered_at < _ONE_WAY_S:
            return ""
        silent = [name for name in SIDES if not self.sides[name].packets]
        if len(silent) != 1 or self.sides[silent[0]].held or self.sides[_other(silent[0])].held:
            return ""
        return f"no sound has come from the {silent[0]}: {cause(self.sides[silent[0]])}"

    def quiet_s(self) -> float:
        """For how long no packet has come from either side."""
        return time.time() - max(self.answered_at, *(side.moved_at for side in self.sides.values()))

    # ---- end

    def _gone(self, *_: Any) -> None:
        """A side's dialog is over. Its event, which ends the other's, follows at once; this is for the case that none does."""
        self._engine.after(1.0, self._surely_over)

    def _surely_over(self) -> None:
        gone = [ua for ua in (self.a, self.b) if ua is not None and type(ua.state).__name__ in _OVER]
        if self.a in gone or (self.answered_at and gone):
            self.hang_up()

    def _end(self, reason: str) -> None:
        if self._over:
            return
        self._over = True
        if self._look is not None:
            self._look.cancel()
        for ua in (self.a, self.b):
            if ua is not None:
                ua.on_remote_sdp_change = None
        session, self.session = self.session, None
        session.delete()
        for name in SIDES:
            self._close_gate(name)
        for tap in self._taps.values():
            tap.close()
        self._listener.ended(self, reason)


def cause(side: Side) -> str:
    """Why no sound comes from a side, as far as its own words tell."""
    if side.audio is None:
        return "it never said where its sound comes from"
    said, seen = side.audio.address, side.signalled_from
    if said != seen and _private(said) and not _private(seen):
        return f"it stands behind a router (NAT) and wrote its private address {said} into the session description; switch on STUN or ICE there"
    if said != seen:
        return (
            f"its session description names {said}, its signalling comes from {seen}: a wrong address, or a media gateway that is shut off"
        )
    return "a firewall between it and our media ports, or its microphone sends nothing"


def _private(address: str) -> bool:
    return ipaddress.ip_address(address).is_private


def _other(name: SideName) -> SideName:
    return "callee" if name == "caller" else "caller"


def _nothing(*_: Any) -> None:
    pass
