"""The phones file (TOML): agents, who is who, what may be dialled, what is announced. Checked with line numbers, reloaded while running."""

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from web.phones.dialing import DialingPolicy
from web.phones.identity import Agent, Identity, Rule

NAME: Final = "phones.toml"
EMPTY: Final = """\
# Who is who on a telephone call, and what may be dialled. docs/phones.md explains every line.
country = "US"

# [agents.dana]
# name = "Dana Whitfield"
# state = "IL"
# ring = "+13125550101"      # where her calls go; a number or "sip:dana@pbx.example"
# shows = "+13125550100"     # the number that others see

# [[who]]                    # the first that fits wins; all that is given must fit; * is wild
# number = "+13125550100"    # or an extension: "1001"
# agent = "dana"

[dialing]
open = []      # abroad: countries ("CA") or prefixes ("+4420")
premium = []   # premium prefixes ("+1900")
"""
_MOST: Final = 64 * 1024
Text = Annotated[str, Field(max_length=200)]


class PlanRefused(ValueError):
    """The file is no phones file; each line of the message names a line of the file."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Agent(_Strict):
    name: Text = ""
    state: Annotated[str, Field(pattern="^([A-Z]{2})?$")] = ""
    ring: Text = ""
    shows: Annotated[str, Field(pattern=r"^(\+[1-9]\d{4,14})?$")] = ""


class _Who(_Strict):
    number: Text = ""
    uri: Text = ""
    trunk: Text = ""
    header: Annotated[str, Field(pattern=r"^([A-Za-z0-9-]+:.+)?$", max_length=200)] = ""
    agent: Text = ""
    name: Text = ""

    @model_validator(mode="after")
    def _says_something(self) -> "_Who":
        if not (self.number or self.uri or self.trunk or self.header):
            raise ValueError("a rule needs number, uri, trunk or header")
        if self.agent and self.name:
            raise ValueError("an agent's name stands in [agents]; name is for a prospect who is known")
        return self


class _Dialing(_Strict):
    open: list[Annotated[str, Field(pattern=r"^([A-Z]{2}|\+[1-9]\d{0,14})$")]] = []
    premium: list[Annotated[str, Field(pattern=r"^([A-Z]{2}|\+[1-9]\d{0,14})$")]] = []
    from_hour: Annotated[int, Field(ge=0, le=23)] = 8
    to_hour: Annotated[int, Field(ge=1, le=24)] = 21


class _Announcement(_Strict):
    """``say``: read aloud by the carrier. ``file``: played instead; a path, looked for beside the phones file."""

    say: Annotated[str, Field(max_length=500)] = ""
    file: Text = ""


class _File(_Strict):
    country: Annotated[str, Field(pattern="^[A-Z]{2}$")] = "US"
    agents: dict[str, _Agent] = {}
    who: Annotated[list[_Who], Field(max_length=1000)] = []
    dialing: _Dialing = _Dialing()
    announcement: _Announcement = _Announcement()


@dataclass(frozen=True, slots=True)
class Plan:
    """The file, read. ``announcement``: what is played before a call is connected; empty is nothing."""

    identity: Identity = field(default_factory=Identity)
    dialing: DialingPolicy = field(default_factory=DialingPolicy)
    announcement: str = ""
    announcement_file: Path | None = None


def read(text: str, file: Path) -> Plan:
    """Raises PlanRefused. ``file`` is where the text stands or will stand; it need not exist."""
    if len(text) > _MOST:
        raise PlanRefused(f"{file.name}: larger than {_MOST // 1024} KB")
    try:
        raw = tomllib.loads(text)
        given = _File.model_validate(raw)
    except tomllib.TOMLDecodeError as failure:
        said = str(failure).replace("at end of document", f"at line {len(text.splitlines())}, the last")
        raise PlanRefused(f"{file.name}: {said}") from failure
    except ValidationError as failure:
        wrong = (_sentence(text, file, [str(part) for part in e["loc"]], str(e["msg"])) for e in failure.errors()[:10])
        raise PlanRefused("\n".join(wrong)) from failure
    agents = {key: Agent(key, agent.name or key.capitalize(), agent.state, agent.ring, agent.shows) for key, agent in given.agents.items()}
    rules = []
    for index, who in enumerate(given.who):
        if who.agent and who.agent not in agents:
            raise PlanRefused(_sentence(text, file, ["who", str(index), "agent"], f"no [agents.{who.agent}] stands in this file"))
        rules.append(Rule(who.number, who.uri, who.trunk, who.header, agents.get(who.agent), who.name))
    if given.dialing.from_hour >= given.dialing.to_hour:
        raise PlanRefused(_sentence(text, file, ["dialing", "to_hour"], "to_hour must be later than from_hour"))
    sound = (file.parent / given.announcement.file).resolve() if given.announcement.file else None
    if sound is not None and not sound.is_file():
        raise PlanRefused(_sentence(text, file, ["announcement", "file"], f"there is no file {sound}"))
    return Plan(
        Identity(tuple(rules), given.country),
        DialingPolicy(
            given.country, tuple(given.dialing.open), tuple(given.dialing.premium), given.dialing.from_hour, given.dialing.to_hour
        ),
        given.announcement.say,
        sound,
    )


class PlanFile:
    """A plan that follows its file: current() re-reads it when it changed; a wrong file leaves the last good one.

    A file that does not exist is an empty plan. Raises PlanRefused when the first reading fails.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._stamp = self._stamped()
        self._plan = read(self.text(), file)
        self.refusal = ""

    def current(self) -> Plan:
        stamp = self._stamped()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._plan, self.refusal = read(self.text(), self.file), ""
            except PlanRefused as refusal:
                self.refusal = str(refusal)
        return self._plan

    def text(self) -> str:
        try:
            return self.file.read_text()
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as failure:
            raise PlanRefused(f"{self.file.name}: cannot be read as text") from failure

    def write(self, text: str) -> None:
        """Checked first, then put in place in one step. Raises PlanRefused."""
        read(text, self.file)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        new = self.file.with_suffix(".new")
        new.write_text(text)
        new.replace(self.file)

    def _stamped(self) -> int:
        try:
            return self.file.stat().st_mtime_ns
        except OSError:
            return 0


def _sentence(text: str, file: Path, where: list[str], wrong: str) -> str:
    return f"{file.name}, line {line_of(text, where)}: {'.'.join(where)}: {wrong.removeprefix('Value error, ')}"


def line_of(text: str, where: list[str]) -> int:
    """The line of a place such as who.2.agent: the key in its table, else the table's head, else 1."""
    lines = text.splitlines()
    head, begin = "", 0
    for depth in range(len(where), 0, -1):
        if where[depth - 1].isdigit() and depth > 1:
            heads = [n for n, line in enumerate(lines) if re.match(rf"\s*\[\[\s*{re.escape('.'.join(where[: depth - 1]))}\s*\]\]", line)]
            index = int(where[depth - 1])
            if index < len(heads):
                head, begin = where[depth] if depth < len(where) else "", heads[index]
                break
        heads = [n for n, line in enumerate(lines) if re.match(rf"\s*\[\s*{re.escape('.'.join(where[:depth]))}\s*\]", line)]
        if heads:
            head, begin = where[depth] if depth < len(where) else "", heads[0]
            break
    else:
        return next((n for n, line in enumerate(lines, 1) if line.split("=")[0].strip() == where[0]), 1) if where else 1
    for number in range(begin + 1, len(lines)):
        if lines[number].lstrip().startswith("["):
            break
        if head and lines[number].split("=")[0].strip() == head:
            return number + 1
    return begin + 1


def plan_file(data: Path, chosen: Path | None = None) -> PlanFile:
    """The one that SOTTOVOCE_PHONES names, else phones.toml in the data folder."""
    return PlanFile(chosen or data / NAME)


def summary(plan: Plan) -> dict[str, Any]:
    """What the page shows of it."""
    return {
        "country": plan.identity.country,
        "rules": [
            {
                "fits": ", ".join(x for x in (r.number, r.uri, r.trunk, r.header) if x),
                "who": r.agent.name if r.agent else r.name or "prospect",
            }
            for r in plan.identity.rules
        ],
        "open": list(plan.dialing.open),
        "premium": list(plan.dialing.premium),
        "hours": [plan.dialing.from_hour, plan.dialing.to_hour],
        "announcement": str(plan.announcement_file.name) if plan.announcement_file else plan.announcement,
    }
