"""Who is who on a telephone call: rules by number, trunk, header or URI -> agent and role. Whoever fits no rule is a new lead. Pure."""

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from coaching.events import CallStarted, Contact, Line
from voice.frames import Speaker
from web.phones.numbers import dialled, e164

Direction: TypeAlias = Literal["inbound", "outbound", "internal"]


@dataclass(frozen=True, slots=True)
class Party:
    """One end of a call as a way in names it; what it does not know stays empty. ``trunk``: the name of the trunk, PBX or carrier."""

    number: str = ""
    uri: str = ""
    trunk: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Agent:
    """``key``: the name in the rules. ``state``: US state, for consent; empty when unknown.

    ``ring``: where a call to this agent goes, a number or a SIP URI. ``shows``: the number that the other side sees, E.164.
    """

    key: str
    name: str = ""
    state: str = ""
    ring: str = ""
    shows: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """All that is given must fit; * and ? are wild. ``number`` is compared in E.164 and as dialled. Without agent: role prospect."""

    number: str = ""
    uri: str = ""
    trunk: str = ""
    header: str = ""  # "X-Agent: dana*"
    agent: Agent | None = None
    name: str = ""  # of a prospect who is known

    def fits(self, party: Party, country: str) -> bool:
        return (
            (not self.number or any(_like(each, self.number) for each in (e164(party.number, country), dialled(party.number)) if each))
            and (not self.uri or _like(_bare_uri(party.uri), self.uri))
            and (not self.trunk or _like(party.trunk, self.trunk))
            and (not self.header or self._header_fits(party.headers))
        )

    def _header_fits(self, headers: Mapping[str, str]) -> bool:
        name, _, wanted = (part.strip() for part in self.header.partition(":"))
        return any(given.lower() == name.lower() and _like(value.strip(), wanted) for given, value in headers.items())


@dataclass(frozen=True, slots=True)
class Who:
    """One end, recognised. ``number``: E.164, or what was dialled where it is none (an extension), or empty (withheld)."""

    role: Speaker
    number: str
    agent: Agent | None
    name: str
    known: bool


@dataclass(frozen=True, slots=True)
class Sides:
    """Who is agent and who is prospect. ``caller``: the role of whoever called."""

    agent: Who
    prospect: Who
    direction: Direction
    caller: Speaker

    @property
    def numbers(self) -> tuple[str, str]:
        """(caller's, callee's)"""
        return (self.agent.number, self.prospect.number) if self.caller == "agent" else (self.prospect.number, self.agent.number)


@dataclass(frozen=True, slots=True)
class Identity:
    """The first rule that fits a party names it."""

    rules: Sequence[Rule] = ()
    country: str = "US"

    def who(self, party: Party) -> Who:
        number = e164(party.number, self.country) or dialled(party.number)
        rule = next((rule for rule in self.rules if rule.fits(party, self.country)), None)
        if rule is None:
            return Who("prospect", number, None, "", known=False)
        name = rule.agent.name if rule.agent is not None else rule.name
        return Who("agent" if rule.agent is not None else "prospect", number, rule.agent, name, known=True)

    def sides(self, caller: Party, callee: Party, *, otherwise: Direction = "inbound") -> Sides:
        """Who is who of both ends. Where no rule knows an agent, ``otherwise`` says which way the call went; two agents are internal."""
        first, second = self.who(caller), self.who(callee)
        if first.role == second.role == "agent":
            return _sides(first, second, "internal", "agent")
        if first.role == "agent" or (second.role != "agent" and otherwise != "inbound"):
            return _sides(first, second, "outbound", "agent")
        return _sides(second, first, "inbound", "prospect")


def _sides(agent: Who, prospect: Who, direction: Direction, caller: Speaker) -> Sides:
    return Sides(replace(agent, role="agent"), replace(prospect, role="prospect"), direction, caller)


def started(sides: Sides, way: str, call: str = "") -> CallStarted:
    """The first event of such a call. ``way``: twilio, telnyx, audiosocket, sip, siprec; ``call``: its id at the carrier or PBX."""
    caller, callee = sides.numbers
    agent = sides.agent.agent
    return CallStarted(
        mode="phone",
        agent_name=sides.agent.name,
        agent_state=agent.state if agent is not None else "",
        contact=Contact(name=sides.prospect.name, number=sides.prospect.number),
        line=Line(way=way, direction=sides.direction, caller=caller, callee=callee, id=call),
    )


def _like(given: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(given.lower(), pattern.lower())


def _bare_uri(uri: str) -> str:
    """sip:dana@pbx.example of "Dana" <sip:dana@pbx.example;transport=udp>."""
    inner = uri.partition("<")[2].partition(">")[0] if "<" in uri else uri
    return inner.strip().partition(";")[0]
