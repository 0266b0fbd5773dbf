"""A call's sound on disk, where consent allows it: stereo, agent left; and the stretch of it that a page asks for."""

import io
import wave
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voice.frames import SAMPLE_RATE, SAMPLES_PER_MS, AudioFrame

_BLOCK: Final = SAMPLE_RATE  # samples per channel and block: one second
_BYTES: Final = 4  # of a stereo sample
_CHANNEL: Final = {"agent": 0, "prospect": 1}


class Recorder:
    """The SoundSink of a call. Raw little-endian stereo samples; sample n of the file is sample n of the call.

    Both sides' frames come separately, so the newest seconds stay open (bounded by two) and are written when behind.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._blocks: dict[int, NDArray[np.int16]] = {}

    def feed(self, frame: AudioFrame) -> None:
        first, samples, channel = frame.start_ms * SAMPLES_PER_MS, frame.samples, _CHANNEL[frame.speaker]
        while len(samples):
            index, offset = divmod(first, _BLOCK)
            part = samples[: _BLOCK - offset]
            self._block(index)[offset : offset + len(part), channel] = part
            first, samples = first + len(part), samples[len(part) :]
        for index in [i for i in self._blocks if i < max(self._blocks) - 1]:
            self._write(index)

    def erase(self) -> None:
        """Consent was revoked: nothing of the sound stays."""
        self._blocks.clear()
        self._file.unlink(missing_ok=True)

    def close(self) -> None:
        for index in list(self._blocks):
            self._write(index)

    def _block(self, index: int) -> NDArray[np.int16]:
        if index not in self._blocks:
            block = np.zeros((_BLOCK, 2), np.int16)
            if self._file.exists():  # a side that came late, or a call that goes on after a restart
                kept = read_stereo(self._file, index * _BLOCK, _BLOCK)
                block[: len(kept)] = kept
            self._blocks[index] = block
        return self._blocks[index]

    def _write(self, index: int) -> None:
        if not self._file.exists():
            self._file.touch(mode=0o600)
        with self._file.open("r+b") as file:
            file.seek(index * _BLOCK * _BYTES)
            file.write(self._blocks.pop(index).astype("<i2").tobytes())


def read_stereo(file: Path, first: int, count: int) -> NDArray[np.int16]:
    """int16, shape (up to ``count``, 2), from sample ``first`` on."""
    with file.open("rb") as source:
        source.seek(first * _BYTES)
        raw = source.read(count * _BYTES)
    return np.frombuffer(raw[: len(raw) // _BYTES * _BYTES], "<i2").astype(np.int16).reshape(-1, 2)


def wav(file: Path, from_ms: int, to_ms: int) -> bytes:
    """That stretch as a WAV file, 16 kHz, stereo."""
    out = io.BytesIO()
    with wave.open(out, "wb") as target:
        target.setnchannels(2)
        target.setsampwidth(2)
        target.setframerate(SAMPLE_RATE)
        target.writeframes(read_stereo(file, from_ms * SAMPLES_PER_MS, (to_ms - from_ms) * SAMPLES_PER_MS).astype("<i2").tobytes())
    return out.getvalue()
