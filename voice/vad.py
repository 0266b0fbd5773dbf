"""Is this speech? Silero judges; the WebRTC detector may only spare it work in clear silence, never decide an end.

The only import of webrtcvad.
"""

from typing import Final

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from voice.models.onnx import SpeechStream

CHUNK: Final = 512  # samples: 32 ms, Silero's frame
CHUNK_MS: Final = 32
_GATE_SAMPLES: Final = 480  # WebRTC judges 30 ms
_QUIET_CHUNKS: Final = 12  # about 0.4 s of clear silence before Silero may rest
_QUIET_RMS: Final = 60.0  # about -55 dBFS; louder sound is always judged by Silero


class SpeechDetector:
    """One speaker's sound in chunks of 512 samples -> the probability that each is speech."""

    def __init__(self, stream: SpeechStream) -> None:
        self._silero = stream
        self._gate = webrtcvad.Vad(1)
        self._quiet = 0
        self.judged = 0
        self.spared = 0

    def feed(self, chunk: NDArray[np.int16]) -> float:
        """``chunk``: int16, shape (512,). Probability in [0, 1]."""
        rms = float(np.sqrt(np.mean(chunk.astype(np.float32) ** 2)))
        if rms < _QUIET_RMS and not self._gate.is_speech(chunk[:_GATE_SAMPLES].tobytes(), 16_000):
            if self._quiet >= _QUIET_CHUNKS:
                self.spared += 1
                return 0.0
        else:
            if self._quiet >= _QUIET_CHUNKS:
                self._silero.reset()  # its memory is of the sound before the rest
            self._quiet = 0
        self.judged += 1
        probability = self._silero.feed(chunk)
        self._quiet = self._quiet + 1 if probability < 0.1 and rms < _QUIET_RMS else 0
        return probability

    def reset(self) -> None:
        self._silero.reset()
        self._quiet = 0
