"""Who may call: softphones that register here (RFC 3261 section 10, digest by RFC 2617), and trunks by their address."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sippy.SipHeader import SipHeader
from sippy.SipURL import SipURL
from sippy.SipWWWAuthenticate import SipWWWAuthenticate

from voice.sip.accounts import Accounts, Phone, Trunk, resolved
from voice.sip.browsers import TRANSPORT, link_of

_LONGEST_S: Final = 600
_SHORTEST_S: Final = 30


@dataclass(frozen=True, slots=True)
class Binding:
    """Where a phone is. ``contact``: its own URI; ``address``: where its packets come from, which is where ours go: for a browser
    (``transport`` wss) the name of its connection. ``host``: the address that it really has."""

    contact: str
    address: tuple[str, int]
    until: float
    agent: str
    transport: str = "udp"
    host: str = ""


class Registrar:
    """``on_change``: told the addresses of everybody who may send much. Bindings outlive a restart in ``file``."""

    def __init__(self, accounts: Accounts, realm: str, file: Path, on_change: Callable[[set[str]], None]) -> None:
        self._phones = {phone.user: phone for phone in accounts.phone}
        self._realm, self._file, self._on_change = realm, file, on_change
        self.trunks: dict[str, tuple[Trunk, tuple[str, int]]] = {}
        self._takes: dict[tuple[str, int], Trunk] = {}  # port 0: any
        for trunk in accounts.trunk:
            self.trunks[trunk.name] = (trunk, resolved(trunk.address))
            for host in trunk.takes or (trunk.address.partition(":")[0],):
                self._takes[resolved(host, 0)] = trunk
        self._bindings: dict[str, Binding] = {}
        self.refused = 0
        self._read()

    def phone(self, user: str) -> Phone | None:
        return self._phones.get(user)

    def binding(self, user: str) -> Binding | None:
        found = self._bindings.get(user)
        return found if found is not None and found.until > time.time() else None

    def trunk_at(self, address: tuple[str, int]) -> Trunk | None:
        return self._takes.get(address) or self._takes.get((address[0], 0))

    def known(self) -> set[str]:
        """Addresses of trunks and of phones that are registered."""
        now = time.time()
        return {host for host, _ in self._takes} | {b.host or b.address[0] for b in self._bindings.values() if b.until > now}

    # ---- digest

    def caller(self, request: Any) -> Phone | None:
        """The phone whose password signed this request; None when nobody did, or wrongly."""
        if request.countHFs("authorization"):
            given = request.getHFBody("authorization")
        elif request.countHFs("proxy-authorization"):
            given = request.getHFBody("proxy-authorization")
        else:
            return None
        try:
            phone = self._phones.get(given.username if given.parsed or given.parse() is None else "")
            if phone is not None and given.realm == self._realm and given.verify(phone.password, request.getMethod()):
                return phone
        except (ValueError, TypeError, AttributeError, IndexError, KeyError):  # a header that is none
            pass
        self.refused += 1
        return None

    def challenge(self, request: Any) -> Any:
        answer = request.genResponse(401, "Unauthorized")
        answer.appendHeader(SipHeader(body=SipWWWAuthenticate(realm=self._realm, algorithm="MD5")))
        return answer

    # ---- REGISTER

    def register(self, request: Any) -> Any:
        """The answer."""
        phone = self.caller(request)
        if phone is None:
            return self.challenge(request)
        if request.getHFBody("to").getUrl().username != phone.user:
            self.refused += 1
            return request.genResponse(403, "This account may register itself only")
        contacts = request.getHFBodys("contact")
        if contacts:
            wanted = self._wanted_s(request, contacts[0])
            if contacts[0].asterisk or wanted == 0:
                self._bindings.pop(phone.user, None)
            elif wanted < _SHORTEST_S:
                return self._too_brief(request)
            else:
                until = time.time() + min(wanted, _LONGEST_S)
                agent = str(request.getHFBody("user-agent").name)[:80] if request.countHFs("user-agent") else ""
                self._bindings[phone.user] = Binding(str(contacts[0].getUrl()), *_where(request, until, agent))
            self._on_change(self.known())
            self._write()
        answer = request.genResponse(200, "OK")
        if (found := self.binding(phone.user)) is not None:
            left = max(1, round(found.until - time.time()))
            answer.appendHeader(SipHeader(f"Contact: <{found.contact}>;expires={left}"))
        return answer

    def _wanted_s(self, request: Any, contact: Any) -> int:
        try:
            if not contact.asterisk and "expires" in contact.address.params:
                return max(0, int(contact.address.params["expires"]))
            if request.countHFs("expires"):
                return max(0, int(request.getHFBody("expires").getNum()))
        except (ValueError, TypeError):
            pass
        return _LONGEST_S

    def _too_brief(self, request: Any) -> Any:
        answer = request.genResponse(423, "Interval Too Brief")
        answer.appendHeader(SipHeader(f"Min-Expires: {_SHORTEST_S}"))
        return answer

    def gone(self, connection: str) -> None:
        """A browser closed its connection: it cannot be called any more."""
        for user, binding in list(self._bindings.items()):
            if binding.address[0] == connection:
                del self._bindings[user]
        self._on_change(self.known())

    # ---- memory

    def _read(self) -> None:
        try:
            kept = json.loads(self._file.read_text())
            for user, (contact, host, port, until, agent) in kept.items():
                if user in self._phones:
                    self._bindings[user] = Binding(str(contact), (str(host), int(port)), float(until), str(agent))
        except (OSError, ValueError, TypeError, AttributeError):
            pass  # the first start, or a damaged file: phones register again within minutes
        self._on_change(self.known())

    def _write(self) -> None:
        kept = {user: (b.contact, *b.address, b.until, b.agent) for user, b in self._bindings.items() if b.transport == "udp"}
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(kept))
        new.replace(self._file)


def _where(request: Any, until: float, agent: str) -> tuple[tuple[str, int], float, str, str, str]:
    """A binding's fields behind its contact."""
    address, transport = request.getSource(2)
    if transport == TRANSPORT:
        return (link_of(request), address[1]), until, agent, transport, address[0]
    return (address[0], address[1]), until, agent, transport, address[0]


def uri_of(binding: Binding) -> Any:
    """The request's URI for a phone: its own Contact."""
    return SipURL(binding.contact)
