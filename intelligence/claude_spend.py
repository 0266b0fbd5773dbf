"""What a question to Claude may cost and has cost: dated prices, a budget per call, a monthly cap. Pure; days are handed in."""

import datetime
import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

PRICES: Final = Path(__file__).parent / "data" / "claude.toml"
_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer. ``estimated``: it was cut off, so nobody said how many there were."""

    input: int = 0
    output: int = 0
    cache_write: int = 0
    cache_read: int = 0
    estimated: bool = False

    @property
    def prompt(self) -> int:
        return self.input + self.cache_write + self.cache_read

    @property
    def total(self) -> int:
        return self.prompt + self.output


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens, from a day on, for prompts up to a length."""

    since: datetime.date
    input: float
    output: float
    cache_write: float
    cache_read: float
    up_to_prompt_tokens: float = math.inf

    def usd(self, usage: Usage) -> float:
        return (
            usage.input * self.input
            + usage.output * self.output
            + usage.cache_write * self.cache_write
            + usage.cache_read * self.cache_read
        ) / _MILLION


@dataclass(frozen=True, slots=True)
class Model:
    """How a model is asked (empty: that field is left out) and its prices."""

    id: str
    thinking: str = ""
    effort: str = ""
    prices: tuple[Price, ...] = ()

    def price(self, prompt_tokens: int, day: datetime.date) -> Price | None:
        """The newest price of that day; of several the one for the shortest prompts that this one still fits."""
        valid = [p for p in self.prices if p.since <= day and prompt_tokens <= p.up_to_prompt_tokens]
        return min(valid, key=lambda p: (-p.since.toordinal(), p.up_to_prompt_tokens), default=None)

    def usd(self, usage: Usage, day: datetime.date) -> float | None:
        """None when no price is known."""
        price = self.price(usage.prompt, day)
        return None if price is None else price.usd(usage)

    def most_usd(self, characters: int, max_tokens: int, day: datetime.date) -> float | None:
        """The most that a question of so many characters can cost: nothing cached, the answer as long as allowed."""
        tokens = tokens_of(characters)
        price = self.price(tokens, day)
        return None if price is None else price.usd(Usage(output=max_tokens, cache_write=tokens))


def tokens_of(characters: int) -> int:
    """Tokens in so many characters of English, rather too many than too few."""
    return math.ceil(characters / 3)


def load_models(file: Path = PRICES) -> dict[str, Model]:
    """Raises ValueError with the file and what is wrong in it."""
    try:
        raw: dict[str, Any] = tomllib.loads(file.read_text())
        models = [
            Model(m["id"], m["thinking"], m["effort"], tuple(Price(since=p.pop("from"), **p) for p in m["prices"])) for m in raw["models"]
        ]
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as failure:
        raise ValueError(f"{file}: {failure}") from failure
    return {model.id: model for model in models}


def model_named(name: str, models: dict[str, Model]) -> Model:
    """The model, also under its dated name (``claude-haiku-4-5-20251001``); an unknown one has no price."""
    known = models.get(name) or next(
        (m for key, m in models.items() if name.startswith(f"{key}-") and name[len(key) + 1 :].isdigit()), None
    )
    return Model(name) if known is None else Model(name, known.thinking, known.effort, known.prices)


@dataclass(frozen=True, slots=True)
class Spent:
    """One line of the ledger. ``usd`` is None when the model has no known price."""

    call: str
    purpose: str
    model: str
    usage: Usage
    usd: float | None
    outcome: str


@dataclass(slots=True)
class CallBudget:
    """What one live call may spend. A question is admitted only if its worst case still fits."""

    most_usd: float
    most_tokens: int
    usd: float = 0.0
    tokens: int = 0
    questions: int = field(default=0)

    def admits(self, tokens: int, usd: float | None) -> bool:
        return self.tokens + tokens <= self.most_tokens and (usd is None or self.usd + usd <= self.most_usd)

    def spend(self, usage: Usage, usd: float | None) -> None:
        self.questions += 1
        self.tokens += usage.total
        self.usd += usd or 0.0


@dataclass(slots=True)
class Breaker:
    """Stops asking a service that fails: open after ``failures`` in a row, then one probe after ``rest_s``; longer each time.

    Times are seconds of any monotonic clock.
    """

    failures: int = 3
    rest_s: float = 20.0
    longest_s: float = 600.0
    _failed: int = 0
    _rests: int = 0
    _open_until: float | None = None
    _probing: bool = False

    def allows(self, now: float) -> bool:
        """Whether a question may go out now. While half open only one does, until it has succeeded or failed."""
        if self._open_until is None:
            return True
        if now < self._open_until or self._probing:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        self._failed = self._rests = 0
        self._open_until, self._probing = None, False

    def failed(self, now: float, *, rest_s: float | None = None) -> None:
        """``rest_s``: the service said how long; then it rests at once."""
        self._failed += 1
        if self._probing or rest_s is not None or self._failed >= self.failures:
            wait = self.rest_s * 2**self._rests if rest_s is None else rest_s
            self._open_until, self._probing = now + min(wait, self.longest_s), False
            self._rests = min(self._rests + 1, 10)

    def abandoned(self) -> None:
        """The question was withdrawn before anything was known: a probe may be tried again."""
        self._probing = False

    def state(self, now: float) -> str:
        if self._open_until is None:
            return "closed"
        return "open" if now < self._open_until else "half open"
