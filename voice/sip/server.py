"""The phone process put together: whose call is taken, where it goes, who is told of it."""

import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import structlog
from sippy.Exceptions.SipHandlingError import SipHandlingError
from sippy.Exceptions.SipParseError import SipParseError

from voice.legs.siprec import MetadataRefused, recorded
from voice.sip.accounts import ECHO, Accounts, Phone, SipRefused, Trunk
from voice.sip.bridge import SIDES, BridgedCall, SideName, Target
from voice.sip.door import Door, Visitor
from voice.sip.engine import Engine
from voice.sip.prompts import Prompt
from voice.sip.recording import RecordingSession
from voice.sip.registrar import Registrar, uri_of
from voice.sip.trunks import TrunkWatch

logger = structlog.get_logger()
_ASK_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Dialled:
    """What may become of a number. ``emergency``: it is never put through; ``why``: a sentence, empty when it may be dialled."""

    number: str
    why: str = ""
    emergency: bool = False


Weigh = Callable[[str], Dialled]
AnyCall: TypeAlias = BridgedCall | RecordingSession


class SipServer:
    """``weigh``: the dialling rules that need no list. run() until stop(); one per process, in the thread that imported sippy."""

    def __init__(
        self, accounts: Accounts, folder: Path, door: Path, weigh: Weigh, announcement: Callable[[], Prompt | None] = lambda: None
    ) -> None:
        """``folder``, ``door``: absolute. ``announcement``: what a caller from outside hears before a phone rings; None is nothing."""
        self.accounts, self._weigh, self._announcement = accounts, weigh, announcement
        self.engine = Engine(
            accounts.listen, accounts.limits.strangers, folder / "relay", lambda line: logger.warning("sip", what=line), accounts.wss
        )
        self.registrar = Registrar(accounts, str(accounts.listen.address), folder / "phones.json", self._known)
        self.trunks = TrunkWatch(self.engine, self.registrar.trunks)
        self._door = Door(door, self.engine.call, self._heard, self._left)
        self._analysis: Visitor | None = None
        self.calls: dict[str, AnyCall] = {}
        self.counts: Counter[str] = Counter()
        self._sources: Counter[str] = Counter()
        self._asked: dict[int, Callable[[bool, str], None]] = {}
        self._n = 0
        self._began_at = time.time()

    def run(self, started: Callable[[], None] = lambda: None) -> None:
        """Raises OSError when a port or the socket is taken, SipRefused when a certificate is none."""
        self._door.open()
        try:
            self.engine.start(self._request, self._link_gone)
            started()
            self.engine.every(1.0, self._tick)
            self.trunks.start()
            self.engine.run()
        finally:
            self._door.close()
            self.engine.close()

    def stop(self) -> None:
        self.engine.call(self._hang_up_all)
        self.engine.call(lambda: self.engine.after(0.3, self.engine.stop))

    # ---- requests

    def _request(self, request: Any, transaction: Any) -> Any:
        """(answer, on cancel, on no ACK), or None for no answer."""
        try:
            return self._taken(request, transaction)
        except (SipHandlingError, SipParseError):
            raise  # sippy answers what these say
        except Exception as failure:  # a stranger's oddity that nobody foresaw; without an answer he would ask again and again
            self.counts["failed"] += 1
            logger.warning("sip request", failure=type(failure).__name__)
            return request.genResponse(400, "Bad Request"), None, None

    def _taken(self, request: Any, transaction: Any) -> Any:
        method = request.getMethod()
        if request.getHFBody("to").getTag() is not None:
            return request.genResponse(481, "Call Leg/Transaction Does Not Exist"), None, None
        match method:
            case "REGISTER":
                return self.registrar.register(request), None, None
            case "OPTIONS":
                return request.genResponse(200, "OK"), None, None
            case "INVITE":
                return self._invite(request, transaction)
            case "NOTIFY" | "PING":
                return request.genResponse(200, "OK"), None, None
            case _:
                return request.genResponse(405, "Method Not Allowed"), None, None

    def _invite(self, request: Any, transaction: Any) -> Any:
        address, transport = request.getSource(2)
        trunk = self.registrar.trunk_at((address[0], address[1])) if transport == "udp" else None
        source: Phone | Trunk | None = trunk or self.registrar.caller(request)
        if source is None:
            self.counts["unauthenticated"] += 1
            return self.registrar.challenge(request), None, None
        name = source.user if isinstance(source, Phone) else source.name
        if len(self.calls) >= self.accounts.limits.calls or self._sources[name] >= self.accounts.limits.per_source:
            self.counts["over_limit"] += 1
            return request.genResponse(503, "Too many calls"), None, None
        if not self.engine.relay.online:
            return request.genResponse(503, "Starting"), None, None
        if request.countHFs("contact") == 0:
            return request.genResponse(400, "No Contact"), None, None
        call: AnyCall
        if isinstance(source, Trunk) and source.siprec:
            try:
                call = self._recording(request, name)
            except MetadataRefused as refused:
                self.counts["refused_recordings"] += 1
                return request.genResponse(refused.code, str(refused)), None, None
        else:
            call = self._call(request, source, name)
        self.calls[call.id] = call
        self._sources[name] += 1
        self.counts["calls"] += 1
        try:
            return call.receive(request, transaction)
        except Exception:  # its session description, most often; sippy answers, and nothing of it may stay here
            call.drop()
            raise

    def _recording(self, request: Any, name: str) -> RecordingSession:
        """Raises MetadataRefused."""
        body = request.getBody()
        found = recorded(str(body.mtype), str(body)) if body is not None else recorded("", "")
        if len(found.participants) < 2:
            raise MetadataRefused(400, "The metadata must say whose voice two streams carry")
        return RecordingSession(self.engine, self._identity(), found, name, _headers(request), self)

    def _identity(self) -> str:
        return f"{os.getpid():x}-{time.time_ns():x}"

    def _call(self, request: Any, source: Phone | Trunk, name: str) -> BridgedCall:
        caller = request.getHFBody("from").getUrl()
        party: dict[str, Any] = {"number": str(caller.username or ""), "uri": str(caller), "trunk": name, "headers": _headers(request)}
        if isinstance(source, Phone):
            party |= {"number": source.number or source.user, "uri": f"sip:{source.user}@{self.engine.shown}"}
        called = request.getRURI()
        callee = {"number": str(called.username or ""), "uri": str(called), "trunk": "", "headers": {}}
        way = "outbound" if isinstance(source, Phone) else "inbound"
        identity = self._identity()

        def route(call: BridgedCall, dialled: str) -> None:
            if isinstance(source, Phone):
                self._out(call, source, dialled)
            else:
                self._in(call, source, dialled)

        return BridgedCall(self.engine, identity, {"caller": party, "callee": callee}, self, route, otherwise=way)

    # ---- where a call goes

    def _out(self, call: BridgedCall, phone: Phone, dialled: str) -> None:
        if dialled == ECHO:
            call.echo()
            return
        if (other := self.registrar.phone(dialled)) is not None:
            call.go(self._phones((other.user,), shown=phone.user))
            return
        weighed = self._weigh(dialled)
        if weighed.why:
            self.counts["emergency" if weighed.emergency else "closed"] += 1
            call.refuse(403, weighed.why)
            return
        targets = [self._trunk(trunk, weighed.number, phone.number) for trunk, _ in self.registrar.trunks.values() if trunk.outbound]
        self._ask(weighed.number, lambda allowed, why: call.go(targets) if allowed else self._closed(call, why))

    def _in(self, call: BridgedCall, trunk: Trunk, dialled: str) -> None:
        if trunk.to:
            weighed = self._weigh(dialled)
            if weighed.emergency:
                self.counts["emergency"] += 1
                call.refuse(403, weighed.why)
                return
            other, _ = self.registrar.trunks[trunk.to]
            call.go([self._trunk(other, dialled, "")])
            return
        ring = next((n.ring for n in self.accounts.number if _same(n.number, dialled)), trunk.ring)
        if (extension := self.registrar.phone(dialled)) is not None and not ring:
            ring = (extension.user,)
        if not ring:
            call.refuse(404, "Not Found")
            return
        prompt = self._announcement()
        if prompt is None:
            call.go(self._phones(ring))
        else:
            call.announce(prompt, lambda: call.go(self._phones(ring)))

    def _closed(self, call: BridgedCall, why: str) -> None:
        self.counts["closed"] += 1
        call.refuse(503 if why == _AWAY else 403, why)

    def _phones(self, users: tuple[str, ...], shown: str = "") -> list[Target]:
        found = ((user, self.registrar.binding(user)) for user in users)
        return [
            Target(
                user,
                binding.address,
                user,
                uri=uri_of(binding),
                shown=shown,
                ring_s=float(self.accounts.limits.ring_s),
                transport=binding.transport,
            )
            for user, binding in found
            if binding is not None
        ]

    def _trunk(self, trunk: Trunk, number: str, shown: str) -> Target:
        _, address = self.registrar.trunks[trunk.name]
        return Target(trunk.name, address, number, user=trunk.user, password=trunk.password, shown=trunk.number or shown)

    def _ask(self, number: str, answer: Callable[[bool, str], None]) -> None:
        """Whether a number asked not to be called: the analysis has the list."""
        if self._analysis is None:
            allowed = self.accounts.limits.when_away == "connect"
            answer(allowed, "" if allowed else _AWAY)
            return
        self._n += 1
        n = self._n
        self._asked[n] = answer
        self._analysis.send({"event": "may_dial", "ask": n, "number": number})
        self.engine.after(_ASK_S, self._answered, n, self.accounts.limits.when_away == "connect", _AWAY)

    def _answered(self, n: int, allowed: bool, why: str) -> None:
        if (answer := self._asked.pop(n, None)) is not None:
            answer(allowed, why)

    # ---- what calls tell

    def connected(self, call: AnyCall) -> None:
        self._tell_of(call)

    def changed(self, call: AnyCall, side: SideName) -> None:
        for name in SIDES:
            self._tell({"event": "media", "call": call.id, "side": name, "formats": call.formats(name)})
        self._tell({"event": "held" if call.sides[side].held else "resumed", "call": call.id, "side": side})

    def ended(self, call: AnyCall, reason: str) -> None:
        if self.calls.pop(call.id, None) is not None:
            self._sources -= Counter([str(call.sides["caller"].party["trunk"])])
            if call.answered_at:
                self._tell({"event": "ended", "call": call.id, "reason": reason})

    def _tell_of(self, call: AnyCall, *, again: bool = False) -> None:
        if self._analysis is None:
            return
        self._analysis.send({
            "event": "call", "call": call.id, "way": call.way, "sip_id": call.sip_id, "otherwise": call.otherwise, "answered_at": call.answered_at,
            "announced": call.announced, "again": again,
            "sides": {name: {**call.sides[name].party, "formats": call.formats(name), "held": call.sides[name].held} for name in SIDES},
        }, call.taps())  # fmt: skip

    def _tell(self, message: dict[str, Any]) -> None:
        if self._analysis is not None:
            self._analysis.send(message)

    # ---- the door

    def _heard(self, visitor: Visitor, message: dict[str, Any]) -> None:
        call = self.calls.get(str(message.get("call", "")))
        match message.get("do"):
            case "analyse":
                self._take_on(visitor)
            case "state":
                visitor.send({"event": "state", **self.state()})
            case "answer" if visitor is self._analysis:
                self._answered(int(message.get("ask", 0)), bool(message.get("allowed")), str(message.get("why", "")))
            case "tap" if visitor is self._analysis and call is not None:
                call.tap()
            case "figures" if visitor is self._analysis and call is not None:
                call.figures = dict(message.get("figures", {}))
            case "hang_up" if call is not None:
                call.hang_up()
            case _:
                pass  # of a call that has ended meanwhile, or of a newer version

    def _take_on(self, visitor: Visitor) -> None:
        if self._analysis is not None and not self._analysis.gone:
            visitor.send({"event": "taken"})
            return
        self._analysis = visitor
        visitor.send({"event": "welcome", "sip_ids": [call.sip_id for call in self.calls.values() if call.up]})
        for call in self.calls.values():
            if call.up:
                self._tell_of(call, again=True)

    def _left(self, visitor: Visitor) -> None:
        if visitor is self._analysis:
            self._analysis = None
            for n in list(self._asked):
                self._answered(n, self.accounts.limits.when_away == "connect", _AWAY)

    # ---- time

    def _tick(self) -> None:
        self._door.flush()
        for call in list(self.calls.values()):
            held = any(side.held for side in call.sides.values())
            if call.up and not held and call.quiet_s() > self.accounts.limits.silent_s:
                self.counts["silent"] += 1
                call.hang_up("lost")

    def _link_gone(self, link: str) -> None:
        self.registrar.gone(link)
        for call in list(self.calls.values()):
            if isinstance(call, BridgedCall):
                call.link_gone(link)

    def _known(self, hosts: set[str]) -> None:
        self.engine.known(hosts)

    def _hang_up_all(self) -> None:
        for call in list(self.calls.values()):
            call.hang_up("ended")

    def state(self) -> dict[str, Any]:
        """What `sottovoce doctor` and the settings page show; no password, no words."""
        now = time.time()
        phones = []
        for phone in self.accounts.phone:
            found = self.registrar.binding(phone.user)
            phones.append({
                "user": phone.user, "registered": found is not None, "at": (found.host or found.address[0]) if found else "",
                "for_s": round(found.until - now) if found else 0, "program": found.agent if found else "",
            })  # fmt: skip
        return {
            "since": self._began_at, "address": f"{self.engine.shown}:{self.engine.port}", "analysis": self._analysis is not None,
            "phones": phones, "trunks": self.trunks.rows(), "counts": {**self.counts, **self.engine.fence.counts, "refused": self.registrar.refused},
            "calls": [self._row(call) for call in self.calls.values()],
        }  # fmt: skip

    def _row(self, call: AnyCall) -> dict[str, Any]:
        return {
            "call": call.id, "up": call.up, "since": call.answered_at or call.began_at, "trouble": call.trouble, "figures": call.figures,
            "sides": {
                name: {
                    "trunk": side.party["trunk"], "packets": side.packets, "held": side.held,
                    "coding": next((c[0] for c in call.formats(name).values()), "") if side.audio else "",
                }
                for name, side in call.sides.items()
            },
        }  # fmt: skip


_AWAY: Final = "The do-not-call list cannot be asked now; dial by your own line"


def _headers(request: Any) -> dict[str, str]:
    """What rules may look at: X-headers and the asserted identity."""
    found: dict[str, str] = {}
    for header in request.headers:
        name = str(header.name)
        if len(found) < 20 and (name.startswith("x-") or name in ("p-asserted-identity", "diversion")):
            found[name[:60]] = str(header.body)[:200]
    return found


def _same(one: str, other: str) -> bool:
    """The same number, with or without + and a leading 1."""
    digits = [number.lstrip("+") for number in (one, other)]
    return bool(digits[0]) and (digits[0] == digits[1] or digits[0].removeprefix("1") == digits[1].removeprefix("1"))


__all__ = ["Dialled", "SipRefused", "SipServer"]
