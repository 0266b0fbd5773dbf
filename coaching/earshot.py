"""Whether words come at all: what an agent should know of a call in which none do, or none of ours. Pure; media time in ms."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from coaching.events import Notice, Speaker
from voice.transcripts import FinalTranscript

_WORDLESS_MS: Final = 6000  # of what the detector called speech, without a word: music, a fax, a voice that is too faint
_LONG_MS: Final = 1000  # a shorter sound without a word is a hum or a cough
_NO_TALK_MS: Final = 90_000
# How sure the recogniser is of English, and of other languages that it reads as English: docs/measurements.md.
_FOREIGN: Final = 0.5
_ENGLISH: Final = 0.65
_JUDGED_WORDS: Final = 24  # of the newest words
_JUDGED_FINALS: Final = 3  # one bad line is no other language


@dataclass(frozen=True, slots=True)
class Doubt:
    """A notice that should stand now, or should not; saying so twice changes nothing."""

    notice: Notice
    speaker: Speaker | None
    stands: bool


@dataclass(slots=True)
class _Heard:
    wordless_ms: int = 0
    finals: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=_JUDGED_WORDS))  # (words, sum of their probabilities)


class Earshot:
    """feed() finals as they come, tick() while sound comes."""

    def __init__(self) -> None:
        self._heard: dict[Speaker, _Heard] = {}
        self._words_ms: int | None = None

    def feed(self, final: FinalTranscript) -> list[Doubt]:
        speaker: Speaker = final.speaker
        heard = self._heard.setdefault(speaker, _Heard())
        if not final.words:
            long_ms = final.end_ms - final.start_ms
            heard.wordless_ms += long_ms if long_ms >= _LONG_MS else 0
            return [Doubt("not_hearing", speaker, True)] if heard.wordless_ms >= _WORDLESS_MS else []
        heard.wordless_ms = 0
        self._words_ms = max(self._words_ms or 0, final.end_ms)
        heard.finals.append((len(final.words), sum(w.probability for w in final.words)))
        doubts = [Doubt("not_hearing", speaker, False), Doubt("no_talk", None, False)]
        sure = self._sure(heard)
        if sure is not None and not _FOREIGN <= sure < _ENGLISH:
            doubts.append(Doubt("other_language", speaker, sure < _FOREIGN))
        return doubts

    def tick(self, audio_ms: int) -> list[Doubt]:
        if self._words_ms is None:
            self._words_ms = audio_ms
        return [Doubt("no_talk", None, True)] if audio_ms - self._words_ms >= _NO_TALK_MS else []

    def erase(self) -> None:
        """Consent is gone."""
        self._heard.clear()
        self._words_ms = None

    def _sure(self, heard: _Heard) -> float | None:
        """How sure the recogniser is of the newest words, in [0, 1]; None while there are too few."""
        words, total, finals = 0, 0.0, 0
        for count, sum_ in reversed(heard.finals):
            words, total, finals = words + count, total + sum_, finals + 1
            if words >= _JUDGED_WORDS and finals >= _JUDGED_FINALS:
                return total / words
        return None
