"""Trunks and PBXs: our registration there, and whether they answer (OPTIONS)."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sippy.SipAddress import SipAddress
from sippy.SipFrom import SipFrom
from sippy.SipRegistrationAgent import SipRegistrationAgent
from sippy.SipRequest import SipRequest
from sippy.SipTo import SipTo
from sippy.SipURL import SipURL

from voice.sip.accounts import Trunk
from voice.sip.bridge import contact
from voice.sip.engine import Engine


@dataclass(slots=True)
class TrunkState:
    """``registered``: "", yes, or the answer that refused. ``answered``: OPTIONS' last answer; ``at``: when it came."""

    registered: str = ""
    until: float = 0.0
    answered: str = ""
    at: float = 0.0


class TrunkWatch:
    """start() once the engine runs; state() for whoever looks."""

    def __init__(self, engine: Engine, trunks: dict[str, tuple[Trunk, tuple[str, int]]]) -> None:
        self._engine, self._trunks = engine, trunks
        self.states = {name: TrunkState() for name in trunks}
        self._agents: list[Any] = []

    def start(self) -> None:
        for name, (trunk, address) in self._trunks.items():
            if trunk.registers:
                self._register(name, trunk, address)
            if trunk.options_s:
                self._ask(name, address)
                self._engine.every(float(trunk.options_s), self._asker(name, address))

    def rows(self) -> list[dict[str, Any]]:
        now = time.time()
        return [
            {
                "name": name, "address": f"{address[0]}:{address[1]}", "registers": trunk.registers, "registered": self.states[name].registered,
                "options": self.states[name].answered, "options_s_ago": round(now - self.states[name].at) if self.states[name].at else None,
            }
            for name, (trunk, address) in self._trunks.items()
        ]  # fmt: skip

    def _register(self, name: str, trunk: Trunk, address: tuple[str, int]) -> None:
        state = self.states[name]

        def accepted(until: float, _: Any, __: Any) -> None:
            state.registered, state.until = "yes", until

        def refused(line: str, _: Any) -> None:
            state.registered = line[:80]

        agent = SipRegistrationAgent(
            self._engine.gc, SipURL(username=trunk.user, host=address[0], port=address[1]),
            SipURL(username=trunk.user, host=self._engine.shown, port=self._engine.port), user=trunk.user, passw=trunk.password, exp=120,
            rok_cb=accepted, rfail_cb=refused, target=(address, "udp"),
        )  # fmt: skip
        self._agents.append(agent)
        agent.doregister()

    def _asker(self, name: str, address: tuple[str, int]) -> Callable[[], None]:
        return lambda: self._ask(name, address)

    def _ask(self, name: str, address: tuple[str, int]) -> None:
        state = self.states[name]

        def answered(answer: Any) -> None:
            code, reason = answer.getSCode()
            if code >= 200:
                state.answered, state.at = f"{code} {reason}"[:80], time.time()

        url = SipURL(host=address[0], port=address[1])
        fr0m = SipFrom(address=SipAddress(url=SipURL(username="sottovoce", host=self._engine.shown, port=self._engine.port), hadbrace=True))
        fr0m.genTag()
        request = SipRequest(
            method="OPTIONS", ruri=url, fr0m=fr0m, to=SipTo(address=SipAddress(url=url.getCopy(), hadbrace=True)), contact=contact(self._engine),
            target=(address, "udp"),
        )  # fmt: skip
        self._engine.gc["_sip_tm"].newTransaction(request, answered)
