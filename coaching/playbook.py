"""The words and the policy of the coach, from a file that people edit: checked with line numbers, reloaded while running."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

DEFAULT_PLAYBOOK: Final = Path(__file__).parent / "data" / "playbook.toml"
MOST_WORDS: Final = 20


class PlaybookRefused(ValueError):
    """The file is not a playbook; the message names the line."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Policy(_Strict):
    """The attention budget. Times in seconds, confidences in [0, 1]."""

    cards_per_minute: int = Field(default=1, ge=0, le=20)
    cards_per_ten_minutes: int = Field(default=6, ge=0, le=100)
    cooldown_s: int = Field(default=45, ge=0)
    expires_s: int = Field(default=40, ge=5)
    least_confidence: float = Field(default=0.55, ge=0, le=1)
    least_confidence_partial: float = Field(default=0.72, ge=0, le=1)
    light_every_s: int = Field(default=180, ge=0)


class Saying(_Strict):
    text: str
    when: Literal["", "buyer", "seller"] = ""


class Answer(_Strict):
    """``once``: one card of this kind per call is enough."""

    title: str
    why: str
    say: list[Saying] = Field(min_length=1)
    ask: str = ""
    once: bool = False


class Playbook(_Strict):
    version: int
    policy: Policy = Policy()
    objections: dict[str, Answer]
    moments: dict[str, Answer] = {}
    questions: dict[str, str] = {}
    bridges: dict[str, str] = {}
    terms: dict[str, list[str]] = {}

    def sayings(self) -> list[str]:
        """Every sentence that a card could show."""
        answers = [*self.objections.values(), *self.moments.values()]
        return (
            [s.text for a in answers for s in a.say]
            + [a.ask for a in answers if a.ask]
            + [*self.questions.values(), *self.bridges.values()]
        )


def load(file: Path = DEFAULT_PLAYBOOK, *, breaks_rule: Callable[[str], str | None] | None = None) -> Playbook:
    """Read and check a playbook. ``breaks_rule`` gives the rule that a sentence breaks, or None.

    Raises PlaybookRefused: our own words obey our own rules, and a glance holds about twenty words.
    """
    text = file.read_text()
    try:
        playbook = Playbook.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as failure:
        raise PlaybookRefused(f"{file.name}: {failure}") from failure
    except ValidationError as failure:
        first = failure.errors()[0]
        where = [str(part) for part in first["loc"]]
        raise PlaybookRefused(f"{file.name}, line {_line_of(text, where)}: {'.'.join(where)}: {first['msg']}") from failure
    for saying in playbook.sayings():
        if len(saying.split()) > MOST_WORDS:
            raise PlaybookRefused(f"{file.name}, line {_line_with(text, saying)}: more than {MOST_WORDS} words: {saying!r}")
        rule = breaks_rule(saying) if breaks_rule else None
        if rule is not None:
            raise PlaybookRefused(f"{file.name}, line {_line_with(text, saying)}: {saying!r} breaks {rule}")
    return playbook


class PlaybookFile:
    """A playbook that follows its file: current() re-reads it when it changed; a wrong file leaves the last good one."""

    def __init__(self, file: Path = DEFAULT_PLAYBOOK, *, breaks_rule: Callable[[str], str | None] | None = None) -> None:
        self._file, self._breaks_rule = file, breaks_rule
        self._stamp = self._file.stat().st_mtime_ns
        self._playbook = load(file, breaks_rule=breaks_rule)
        self.refusal = ""

    def current(self) -> Playbook:
        try:
            stamp = self._file.stat().st_mtime_ns
        except OSError:
            return self._playbook  # being replaced by an editor
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._playbook, self.refusal = load(self._file, breaks_rule=self._breaks_rule), ""
            except PlaybookRefused as refusal:
                self.refusal = str(refusal)
        return self._playbook


def _line_of(text: str, where: list[str]) -> int:
    """The line of the deepest table or key of a place that the text shows."""
    lines, best = text.splitlines(), 1
    for depth in range(len(where), 0, -1):
        table = "[" + ".".join(where[:depth]) + "]"
        for number, line in enumerate(lines, 1):
            if line.strip().startswith(table):
                best = number
                key = where[depth] if depth < len(where) else ""
                for later, inner in enumerate(lines[number:], number + 1):
                    if inner.lstrip().startswith("["):
                        break
                    if key and inner.split("=")[0].strip() == key:
                        return later
                return best
    key = where[0] if where else ""
    return next((n for n, line in enumerate(lines, 1) if line.split("=")[0].strip() == key), best)


def _line_with(text: str, saying: str) -> int:
    return next((n for n, line in enumerate(text.splitlines(), 1) if saying in line), 1)
