"""The other side's words in this microphone: recognised by text, time and level, so that nothing is transcribed twice.

An agent without a headset has the prospect's voice in the microphone, a little later and much softer. A final is bleed
when most of its words were said by the other side at the same time and it is clearly softer than this side's own speech.
All three must speak for it: two people who both say "yes" at once, equally loud, stay two people.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from voice.agreement import plain
from voice.frames import Speaker
from voice.transcripts import FinalTranscript, PartialTranscript, Word

_LATEST_MS: Final = 700  # room, loudspeaker and network: how much later the echo may be
_EARLIEST_MS: Final = -300  # word times of two decodes differ by so much
_SAME_WORDS: Final = 0.7
_SOFTER_DB: Final = 6.0
_KEPT: Final = 40  # finals of each side; older ones lie too far back to leak
_RAISED_BY: Final = 2  # one leaked final may be chance, the second one is a loudspeaker


@dataclass(frozen=True, slots=True)
class Judgement:
    """``bleed``: this final is the other side's voice. ``on_loudspeaker``: it happened often enough to tell the speaker."""

    bleed: bool
    on_loudspeaker: bool


class BleedGuard:
    """feed() the finals of both sides in the order they come, each with its level; ask what each one is."""

    def __init__(self) -> None:
        self._said: dict[Speaker, deque[Word]] = {"agent": deque(maxlen=_KEPT * 10), "prospect": deque(maxlen=_KEPT * 10)}
        self._own_db: dict[Speaker, float | None] = {"agent": None, "prospect": None}
        self._leaked: dict[Speaker, int] = {"agent": 0, "prospect": 0}
        self._saying: dict[Speaker, tuple[Word, ...]] = {"agent": (), "prospect": ()}

    def overheard(self, partial: PartialTranscript) -> None:
        """What a side is saying now: its echo may become final before it does."""
        self._saying[partial.speaker] = (*partial.settled, *partial.open_tail)

    def feed(self, final: FinalTranscript, level_db: float | None) -> Judgement:
        """``level_db``: the final's speech level in dBFS, None where it was not measured (then nothing is called bleed)."""
        other: Speaker = "prospect" if final.speaker == "agent" else "agent"
        own = self._own_db[final.speaker]
        softer = level_db is not None and (own is None or level_db <= own - _SOFTER_DB)
        loud_there = self._own_db[other]
        if own is None and level_db is not None:
            # nothing is known of this side's own voice yet: much softer than the other side counts instead
            softer = loud_there is not None and level_db <= loud_there - 2 * _SOFTER_DB
        bleed = softer and same_words(final.words, (*self._said[other], *self._saying[other])) >= _SAME_WORDS
        self._saying[final.speaker] = ()
        if bleed:
            self._leaked[final.speaker] += 1
        else:
            self._said[final.speaker].extend(final.words)
            if level_db is not None and final.words:
                self._own_db[final.speaker] = level_db if own is None else 0.8 * own + 0.2 * level_db
        return Judgement(bleed, self._leaked[final.speaker] >= _RAISED_BY)

    def erase(self) -> None:
        """Consent is gone: no word is kept."""
        for words in self._said.values():
            words.clear()
        self._saying = {"agent": (), "prospect": ()}


def same_words(here: Sequence[Word], there: Sequence[Word]) -> float:
    """The share of ``here`` that the other side said in the same order and at the time an echo would have, in [0, 1]."""
    if not here:
        return 0.0
    near = [w for w in there if w.end_ms >= here[0].start_ms - _LATEST_MS and w.start_ms <= here[-1].end_ms - _EARLIEST_MS]
    blocks = SequenceMatcher(None, [plain(w.text) for w in near], [plain(w.text) for w in here], autojunk=False).get_matching_blocks()
    echoed = 0
    for block in blocks:
        for at in range(block.size):
            late_ms = here[block.b + at].start_ms - near[block.a + at].start_ms
            echoed += _EARLIEST_MS <= late_ms <= _LATEST_MS
    return echoed / len(here)
