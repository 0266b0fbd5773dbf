"""Sound as the pipeline carries it: 16 kHz mono frames that know whose they are and when they were heard."""

from collections import deque
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE: Final = 16_000  # Whisper and Silero both want 16 kHz
SAMPLES_PER_MS: Final = SAMPLE_RATE // 1000

Speaker: TypeAlias = Literal["agent", "prospect"]
Samples: TypeAlias = NDArray[np.int16]


@dataclass(frozen=True, slots=True, eq=False)
class AudioFrame:
    """A stretch of one speaker's sound.

    ``samples``: int16, shape (n,), mono, 16 kHz; n is free (a leg usually sends 20 ms = 320).
    ``start_ms``: media time of the first sample on the call's timeline (the leg keeps that clock).
    ``arrived_at``: wall clock (seconds since the epoch) when the leg handed it over; None in a replay.
    ``silence_filled``: True when the leg made this frame because no packet came.
    """

    speaker: Speaker
    start_ms: int
    samples: Samples
    arrived_at: float | None = None
    silence_filled: bool = False

    @property
    def duration_ms(self) -> int:
        return len(self.samples) // SAMPLES_PER_MS

    @property
    def end_ms(self) -> int:
        return self.start_ms + self.duration_ms


class FrameBuffer:
    """A bounded queue of frames: when it is full the oldest goes, and the loss is counted in ms per speaker."""

    def __init__(self, capacity_ms: int = 2000) -> None:
        if capacity_ms <= 0:
            raise ValueError("capacity_ms must be positive")
        self._capacity_ms = capacity_ms
        self._frames: deque[AudioFrame] = deque()
        self._held_ms: dict[Speaker, int] = {"agent": 0, "prospect": 0}
        self.lost_ms: dict[Speaker, int] = {"agent": 0, "prospect": 0}

    def feed(self, frame: AudioFrame) -> None:
        self._frames.append(frame)
        self._held_ms[frame.speaker] += frame.duration_ms
        while self._held_ms[frame.speaker] > self._capacity_ms:
            self._drop_oldest(frame.speaker)

    def take(self) -> AudioFrame | None:
        """The oldest frame, or None when empty."""
        if not self._frames:
            return None
        frame = self._frames.popleft()
        self._held_ms[frame.speaker] -= frame.duration_ms
        return frame

    def clear(self) -> None:
        """Erase what is held (consent was revoked); this is no loss and is not counted."""
        self._frames.clear()
        self._held_ms = {"agent": 0, "prospect": 0}

    def __len__(self) -> int:
        return len(self._frames)

    def _drop_oldest(self, speaker: Speaker) -> None:
        for index, frame in enumerate(self._frames):
            if frame.speaker == speaker:
                del self._frames[index]
                self._held_ms[speaker] -= frame.duration_ms
                self.lost_ms[speaker] += frame.duration_ms
                return
