"""Successive hypotheses of one utterance -> settled words and an open tail.

A word is settled when two passes in a row agree on it and on every word before it, and it ended long enough before the
end of the sound that more sound cannot change it (local agreement, Liu et al. 2020, "Low-latency sequence-to-sequence
speech recognition and translation by partial hypothesis selection").
"""

from collections.abc import Sequence
from typing import Final

from voice.transcripts import Word

_SHORT_MS: Final = 400  # a pass that ends so much before shown words stopped early; nobody took the words back
_SAFE_MS: Final = 160  # a word that ends nearer to the end of the sound may still grow ("there" -> "therefore")


def plain(word: str) -> str:
    """A word as it counts for agreement: letters and digits only, lower case."""
    return "".join(c for c in word.lower() if c.isalnum())


class Agreement:
    """feed() the words of each pass over the same utterance; settled words only grow, until reset().

    ``open_tail``: the words behind them that are shown."""

    def __init__(self) -> None:
        self.settled: tuple[Word, ...] = ()
        self.open_tail: tuple[Word, ...] = ()
        self._tail: tuple[Word, ...] = ()  # all that the last pass heard behind them, shown or not
        self._passed_over = False

    def feed(self, words: Sequence[Word], heard_ms: int, *, shown: int | None = None, patient: bool = False) -> tuple[Word, ...]:
        """``words``: all words of the pass in media time; ``heard_ms``: end of its sound. Returns the newly settled.

        ``shown``: so many of the words may be shown before another pass agrees with them; all where it is not given.
        ``patient``: a pass that stops well before words that are shown is passed over, unless the one before was too."""
        tail = self.behind_settled(words)
        self._passed_over = patient and not self._passed_over and self._stopped_early(tail)
        if self._passed_over:
            return ()
        fresh: list[Word] = []
        for new, old in zip(tail, self._tail, strict=False):
            if plain(new.text) != plain(old.text) or new.end_ms > heard_ms - _SAFE_MS:
                break
            fresh.append(new)
        self.settled = (*self.settled, *fresh)
        self._tail = tuple(tail[len(fresh) :])
        hidden = 0 if shown is None else max(0, len(words) - shown)
        self.open_tail = self._tail[: max(0, len(self._tail) - hidden)]
        return tuple(fresh)

    def reset(self) -> None:
        self.settled, self.open_tail, self._tail, self._passed_over = (), (), (), False

    def _stopped_early(self, tail: Sequence[Word]) -> bool:
        if not self.open_tail:
            return False
        reached_ms = tail[-1].end_ms if tail else self.settled[-1].end_ms if self.settled else 0
        return self.open_tail[-1].end_ms - reached_ms > _SHORT_MS

    def behind_settled(self, words: Sequence[Word]) -> list[Word]:
        """The words behind the settled ones: by their text where the pass still reads it so, else by time."""
        if not self.settled:
            return list(words)
        ours = [plain(w.text) for w in self.settled[-3:]]
        last_end = self.settled[-1].end_ms
        best: int | None = None
        for at in range(len(words)):
            theirs = [plain(w.text) for w in words[max(0, at - len(ours) + 1) : at + 1]]
            if (
                theirs == ours[-len(theirs) :]
                and abs(words[at].end_ms - last_end) < 500
                and (best is None or abs(words[at].end_ms - last_end) < abs(words[best].end_ms - last_end))
            ):
                best = at
        if best is not None:
            return list(words[best + 1 :])
        return [w for w in words if (w.start_ms + w.end_ms) // 2 > last_end]
