"""The sound of one speaker that may still be decoded: a run of samples with their numbers and their media time. Pure."""

import numpy as np

from voice.frames import SAMPLES_PER_MS, Samples


class KeptSound:
    """int16 samples at 16 kHz, numbered from the last restart(); sample 0 is at ``origin_ms`` of the call's media time."""

    def __init__(self) -> None:
        self._samples: Samples = np.zeros(0, np.int16)
        self._origin_ms = 0
        self.start = 0  # number of the oldest sample that is kept

    @property
    def end(self) -> int:
        """Number of the sample after the newest."""
        return self.start + len(self._samples)

    def ms(self, sample: int) -> int:
        return self._origin_ms + sample // SAMPLES_PER_MS

    def sample(self, ms: int) -> int:
        return (ms - self._origin_ms) * SAMPLES_PER_MS

    def append(self, samples: Samples) -> None:
        self._samples = np.concatenate((self._samples, samples))

    def between(self, begin: int, end: int) -> Samples:
        """A copy of what is kept of samples ``begin`` to ``end``."""
        return self._samples[max(0, begin - self.start) : max(0, end - self.start)].copy()

    def drop_before(self, sample: int) -> None:
        """What lies before it is forgotten."""
        drop = max(0, min(sample - self.start, len(self._samples)))
        self._samples, self.start = self._samples[drop:], self.start + drop

    def clear(self) -> None:
        """Nothing is kept; the numbers go on."""
        self.drop_before(self.end)

    def restart(self, origin_ms: int) -> None:
        """Nothing is kept, and the next sample is number 0 at this media time."""
        self._samples, self.start, self._origin_ms = np.zeros(0, np.int16), 0, origin_ms
