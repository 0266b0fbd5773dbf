"""The other side's words in this microphone: recognised by text, time and level, so that nothing is transcribed twice.

An agent without a headset has the prospect's voice in the microphone, a little later and much softer. Words are bleed when
they are clearly softer than this side's own speech, lie where the other side speaks, and most of them are what it said.
All three must speak for it: two people who both say "yes" at once, equally loud, stay two people.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

import numpy as np

from voice.agreement import plain
from voice.frames import Speaker
from voice.transcripts import FinalTranscript, PartialTranscript, Word

_LATEST_MS: Final = 700  # room, loudspeaker and network: how much later the echo may be
_EARLIEST_MS: Final = -500  # word times of two decodes differ by so much
_SAME_WORDS: Final = 0.5  # the echo is read with more errors than the voice
_SOFTER_DB: Final = 6.0
_NOT_LOUD_DB: Final = 2.0
_KEPT: Final = 40  # finals of each side; older ones lie too far back to leak
_RAISED_BY: Final = 2  # one leaked final may be chance, the second one is a loudspeaker


@dataclass(frozen=True, slots=True)
class Judgement:
    """``kept``: the words that are this side's own. ``on_loudspeaker``: echoes came often enough to tell the speaker."""

    kept: tuple[Word, ...]
    bleed: bool
    on_loudspeaker: bool


class BleedGuard:
    """feed() the finals of both sides in the order they come; overheard() what a side is saying meanwhile."""

    def __init__(self) -> None:
        self._said: dict[Speaker, deque[Word]] = {"agent": deque(maxlen=_KEPT * 10), "prospect": deque(maxlen=_KEPT * 10)}
        self._saying: dict[Speaker, tuple[Word, ...]] = {"agent": (), "prospect": ()}
        self._own_db: dict[Speaker, float | None] = {"agent": None, "prospect": None}
        self._leaked: dict[Speaker, int] = {"agent": 0, "prospect": 0}

    def overheard(self, partial: PartialTranscript) -> None:
        """What a side is saying now: its echo may become final before it does."""
        self._saying[partial.speaker] = (*partial.settled, *partial.open_tail)

    def feed(self, final: FinalTranscript) -> Judgement:
        """One utterance may hold both: the end of one's own sentence and the answer out of the loudspeaker."""
        speaker: Speaker = final.speaker
        kept, bleed = self.own(speaker, final.words)
        self._leaked[speaker] += bleed
        self._saying[speaker] = ()
        self._said[speaker].extend(kept)
        levels = [w.level_db for w in kept if w.level_db is not None]
        if levels:
            own, now = self._own_db[speaker], float(np.percentile(levels, 75))
            self._own_db[speaker] = now if own is None else 0.8 * own + 0.2 * now
        return Judgement(kept, bleed, self._leaked[speaker] >= _RAISED_BY)

    def own(self, speaker: Speaker, words: tuple[Word, ...]) -> tuple[tuple[Word, ...], bool]:
        """The words of an utterance that are this side's own, and whether others leaked into it; nothing is remembered."""
        other: Speaker = "prospect" if speaker == "agent" else "agent"
        there = (*self._said[other], *self._saying[other])
        suspects = [w for w in words if self._softer(w, speaker, other) and _while_spoken(w, there)]
        bleed = same_words(suspects, there) >= _SAME_WORDS and (len(suspects) > 1 or len(suspects) == len(words))
        own_db = self._own_db[speaker]
        # in an utterance with an echo, an echoed word that is not loud is one too: its edges lie beside one's own voice
        edges = [w for w in echoed(words, there) if w.level_db is None or own_db is None or w.level_db <= own_db - _NOT_LOUD_DB]
        return (tuple(w for w in words if w not in suspects and w not in edges) if bleed else words), bleed

    def _softer(self, word: Word, speaker: Speaker, other: Speaker) -> bool:
        if word.level_db is None:
            return False  # the text alone takes no words away
        own, loud_there = self._own_db[speaker], self._own_db[other]
        if own is not None:
            return word.level_db <= own - _SOFTER_DB
        # nothing is known of this side's own voice yet: much softer than the other side counts instead
        return loud_there is not None and word.level_db <= loud_there - 2 * _SOFTER_DB

    def erase(self) -> None:
        """Consent is gone: no word is kept."""
        for words in self._said.values():
            words.clear()
        self._saying = {"agent": (), "prospect": ()}


def same_words(here: Sequence[Word], there: Sequence[Word]) -> float:
    """The share of ``here`` that the other side said in the same order and at the time an echo would have, in [0, 1]."""
    return len(echoed(here, there)) / len(here) if here else 0.0


def echoed(here: Sequence[Word], there: Sequence[Word]) -> list[Word]:
    """The words of ``here`` that the other side said, in its order and at the time an echo would have."""
    if not here:
        return []
    near = [w for w in there if w.end_ms >= here[0].start_ms - _LATEST_MS and w.start_ms <= here[-1].end_ms - _EARLIEST_MS]
    blocks = SequenceMatcher(None, [plain(w.text) for w in near], [plain(w.text) for w in here], autojunk=False).get_matching_blocks()
    pairs = ((here[block.b + at], near[block.a + at]) for block in blocks for at in range(block.size))
    return [word for word, source in pairs if _EARLIEST_MS <= word.start_ms - source.start_ms <= _LATEST_MS]


def _while_spoken(word: Word, there: Sequence[Word]) -> bool:
    """Whether an echo of the other side's speech may lie where this word lies."""
    return any(w.start_ms + _EARLIEST_MS <= word.start_ms <= w.end_ms + _LATEST_MS for w in there)
