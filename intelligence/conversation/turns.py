"""What every detector reads and writes: turns in, findings out."""

import itertools
import math
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from voice.models import Side

Speaker: TypeAlias = Literal["agent", "prospect", "supervisor"]
Family: TypeAlias = Literal["objection", "signal", "compliance", "moment"]
Vectors: TypeAlias = NDArray[np.float32]
Embed: TypeAlias = Callable[[list[str]], Awaitable[Vectors]]
EmbedOf: TypeAlias = Callable[[Side, list[str]], Awaitable[Vectors]]
Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"


@dataclass(frozen=True, slots=True)
class TurnWord:
    text: str
    start_ms: int
    end_ms: int
    probability: float


@dataclass(frozen=True, slots=True)
class Turn:
    """One speaker's words. A live turn that is not over yet has ``partial=True`` and holds settled words only, or with
    ``paused=True`` all that was said before a silence that may be its end: then it is judged like a turn that is over.
    """

    speaker: Speaker
    text: str
    start_ms: int = 0
    end_ms: int = 0
    utterance: str = ""
    partial: bool = False
    words: tuple[TurnWord, ...] = ()  # empty for text that nobody recognised (e-mails, files)
    paused: bool = False

    @property
    def growing(self) -> bool:
        """More is likely to be said: what is heard in it must be surer."""
        return self.partial and not self.paused


@dataclass(frozen=True, slots=True)
class Reading:
    """A turn, read: its sentences and their unit vectors (float32, shape (n, 384)), made once for all detectors.

    ``second`` holds, for sentences that left a detector in doubt, their unit vectors of the second model of this speaker; ``in_context``
    the unit vector (shape (384,)) of the whole turn behind what the other side said last, where a model reads that.
    """

    turn: Turn
    sentences: tuple[str, ...]
    vectors: Vectors
    second: Mapping[str, Vectors] = field(default_factory=dict)
    in_context: Vectors | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something heard. ``label`` is a wire name of the taxonomy; ``quote`` the words that show it.

    ``why`` says in words what made us think so, ``rule`` is the stable id of the rule or model behind it
    (``objections-model@<hash8>`` or ``fair-housing/proxy-safety``), ``source`` the law or text a rule rests on.
    ``confidence`` in [0, 1]. ``values`` are JSON-ready (amounts, dates, relations; the shape is the detector's).
    """

    family: Family
    label: str
    speaker: Speaker
    quote: str
    start_ms: int
    end_ms: int
    confidence: float
    why: str
    rule: str
    source: str = ""
    utterance: str = ""
    partial: bool = False
    values: Mapping[str, "Json"] = field(default_factory=dict)


@dataclass(slots=True)
class Conversation:
    """What was said and found so far; bounded, the oldest goes (a call of two hours has about 2,000 turns)."""

    turns: list[Turn] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    fresh: list[Finding] = field(default_factory=list)  # in the turn being read, by the modules that were fed before
    today: str = ""  # ISO date on which the call takes place: relative dates are counted from it
    limit: int = 4000

    def add(self, turn: Turn, findings: Sequence[Finding]) -> None:
        self.turns.append(turn)
        self.findings.extend(findings)
        del self.turns[: max(0, len(self.turns) - self.limit)]
        del self.findings[: max(0, len(self.findings) - self.limit)]


@runtime_checkable
class Doubting(Protocol):
    """A detector that wants a second opinion on a turn, or on some sentences of it, before it is fed."""

    def at_once(self, turn: Turn, sentences: Sequence[str], *, in_context: bool) -> list[str]:
        """What it will ask about whatever the vectors say, so that the second model need not wait for the first; empty: it depends.

        ``in_context``: the turn is being read behind what the other side said as well.
        """
        ...

    def doubts(self, reading: Reading) -> list[str]:
        """The turn, or sentences of it, the most doubtful first, few: each costs some 7 ms."""
        ...


class Detector(Protocol):
    """A module that listens. Pure: no clock, no I/O. It may keep state of this one call."""

    name: str

    def feed(self, reading: Reading, so_far: Conversation) -> list[Finding]: ...


def surety(turn: Turn, quote: str) -> float:
    """The least recognition probability of the quoted words in [0, 1]; 1 for text that nobody recognised.

    Words are matched by their letters. Where the quote is written otherwise than it was heard ("$420,000" for "four
    twenty") none match, and the least probability of the whole turn stands for it.
    """
    wanted = set(_bare(quote))
    found = [w.probability for w in turn.words if set(_bare(w.text)) & wanted]
    return round(min(found or [w.probability for w in turn.words] or [1.0]), 3)


def _bare(text: str) -> list[str]:
    return [w for w in (re.sub(r"[^a-z0-9]", "", part) for part in text.lower().split()) if w]


SURE: Final = 0.5  # what was recognised with less is shown with "?" and never becomes a fact
_STOP: Final = re.compile(r"[.?!](?=\s|$)")
_SENTENCE_END: Final = re.compile(r"(?<=[.?!])\s+(?=\S)")


def sentences_of(text: str) -> tuple[str, ...]:
    """The sentences of a turn, by end punctuation; a turn without any is one sentence."""
    return tuple(s for s in (part.strip() for part in _SENTENCE_END.split(text)) if s)


def words_around(text: str, start: int, end: int) -> tuple[int, int, int]:
    """Where the sentence around a place of the text begins and ends, and how many words it has."""
    first = max((m.end() for m in _STOP.finditer(text, 0, start)), default=0)
    last = next((m.start() for m in _STOP.finditer(text, end)), len(text))
    return first, last, len(text[first:last].split())


def with_next(sentences: Sequence[str], most_words: float = math.inf) -> list[int]:
    """Where a sentence and the one behind it have no more than so many words together."""
    lengths = [len(each.split()) for each in sentences]
    return [at for at, (one, other) in enumerate(itertools.pairwise(lengths)) if one + other <= most_words]


def texts_with_pairs(sentences: Sequence[str], most_words: float = math.inf) -> list[str]:
    """The sentences of a turn, and behind them each two that follow each other: what needs both is in neither half."""
    return [*sentences, *(f"{sentences[at]} {sentences[at + 1]}" for at in with_next(sentences, most_words))]


def vectors_with_pairs(reading: Reading, most_words: float = math.inf) -> Vectors:
    """The unit vectors of ``texts_with_pairs``: float32, shape (n, 384). A pair's is the mean of its two, made unit again."""
    first = np.array(with_next(reading.sentences, most_words), np.intp)
    pairs = reading.vectors[first] + reading.vectors[first + 1] if len(first) else reading.vectors[:0]
    pairs = pairs / np.maximum(np.linalg.norm(pairs, axis=1, keepdims=True), 1e-9)
    return np.concatenate((reading.vectors, pairs)).astype(np.float32)


async def read(turn: Turn, embed: Embed) -> Reading:
    """Split a turn and embed its sentences (one call to the engine)."""
    sentences = sentences_of(turn.text)
    vectors = await embed(list(sentences)) if sentences else np.zeros((0, 384), np.float32)
    return Reading(turn, sentences, vectors)
