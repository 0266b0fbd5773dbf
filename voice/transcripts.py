"""Words, as they are recognised: an open tail that may change, settled words that stay, and finals."""

from dataclasses import dataclass, field, replace
from typing import TypeAlias

from voice.frames import Speaker
from voice.numerals import written


@dataclass(frozen=True, slots=True)
class Word:
    """One word as shown (with its punctuation), in media time of the call; ``probability`` in [0, 1].

    ``level_db``: loudness of its sound in dBFS; None where it was not measured."""

    text: str
    start_ms: int
    end_ms: int
    probability: float
    level_db: float | None = None


@dataclass(frozen=True, slots=True)
class PartialTranscript:
    """What is known of an utterance that still goes on.

    ``settled``: all words so far that two passes agree on (they stay; only a final may still revise them).
    ``open_tail``: words after them that the next pass may change.
    ``stamps``: wall-clock seconds of each hop (``heard``, ``queued``, ``decoded``), the latency ledger.
    """

    utterance: str
    speaker: Speaker
    start_ms: int
    heard_ms: int  # media time up to which sound was decoded
    settled: tuple[Word, ...]
    open_tail: tuple[Word, ...]
    stamps: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PausedTranscript:
    """The speaker has been silent for a while, but not long enough for an end: ``words`` are all of the utterance so far, and
    its final will say just that unless they go on. There is nothing new to show in it; it is there to be judged early.
    """

    utterance: str
    speaker: Speaker
    start_ms: int
    heard_ms: int  # media time up to which sound was decoded
    words: tuple[Word, ...]
    stamps: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FinalTranscript:
    """A finished utterance. ``text`` is as people write it; ``spoken`` is the spoken form where it differs."""

    utterance: str
    speaker: Speaker
    start_ms: int
    end_ms: int
    words: tuple[Word, ...]
    text: str
    spoken: str | None = None
    model: str = ""
    stamps: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TranscriptRevision:
    """A better reading of an utterance that was final already (second pass)."""

    final: FinalTranscript


Transcript: TypeAlias = PartialTranscript | PausedTranscript | FinalTranscript | TranscriptRevision


def of_words(final: FinalTranscript, words: tuple[Word, ...]) -> FinalTranscript:
    """The same utterance with other words."""
    text, spoken = as_written(words)
    start_ms, end_ms = (words[0].start_ms, words[-1].end_ms) if words else (final.start_ms, final.end_ms)
    return replace(final, words=words, text=text, spoken=spoken, start_ms=start_ms, end_ms=end_ms)


def as_written(words: tuple[Word, ...]) -> tuple[str, str | None]:
    """The text as people write it, and the spoken form where it differs."""
    spoken = " ".join(w.text for w in words)
    text = written(spoken)
    return text, spoken if spoken != text else None
