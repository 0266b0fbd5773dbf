"""The agent's share of the talk and pace, from recognised words; None until enough was heard to say it. Pure."""

from collections import deque
from typing import Final

from coaching.events import Speaker
from voice.transcripts import FinalTranscript

_SHARE_FROM_MS: Final = 20_000  # of speech by both
_PACE_FROM_MS: Final = 8_000  # of the agent's speech
_SHORT: Final = 4  # "mm-hm, sure" has no pace


class Talk:
    """feed() every final."""

    def __init__(self) -> None:
        self._speech_ms: dict[Speaker, int] = {"agent": 0, "prospect": 0}
        self._recent: deque[tuple[int, int]] = deque(maxlen=6)  # the agent's last utterances: ms, words

    def feed(self, final: FinalTranscript) -> None:
        spoken_ms = max(0, final.end_ms - final.start_ms)
        self._speech_ms[final.speaker] += spoken_ms
        if final.speaker == "agent" and len(final.words) >= _SHORT:
            self._recent.append((spoken_ms, len(final.words)))

    def share(self) -> float | None:
        """The agent's share in [0, 1] of all speech so far."""
        total = sum(self._speech_ms.values())
        return self._speech_ms["agent"] / total if total > _SHARE_FROM_MS else None

    def pace(self) -> int | None:
        """Words a minute over the agent's last few utterances, pauses between them left out."""
        spoken_ms = sum(ms for ms, _ in self._recent)
        return round(sum(n for _, n in self._recent) * 60_000 / spoken_ms) if spoken_ms > _PACE_FROM_MS else None
