"""Coded sound -> 16 kHz samples. The only import of PyAV."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from voice.frames import SAMPLE_RATE

FFmpegError = av.FFmpegError


class RecordingRefused(ValueError):
    """The file cannot be used as a recording; the message says why, in words for a person."""


def channels_of(file: Path, *, longest_s: float = 4 * 3600) -> Generator[NDArray[np.int16], None, None]:
    """The sound of a file in blocks: int16, shape (channels, n), 16 kHz, one or two channels. Raises RecordingRefused."""
    try:
        container: Any = av.open(str(file))
    except (FFmpegError, OSError, ValueError) as failure:
        raise RecordingRefused("This is no sound file that can be read (WAV, FLAC, MP3, Ogg, M4A and others can).") from failure
    with container:
        if not container.streams.audio:
            raise RecordingRefused("This file holds no sound.")
        stream = container.streams.audio[0]
        channels = stream.codec_context.channels
        if channels > 2:
            raise RecordingRefused(f"This file has {channels} channels; one channel per speaker, two at most, can be read.")
        resampler = av.AudioResampler(format="s16p", layout="stereo" if channels == 2 else "mono", rate=SAMPLE_RATE)
        samples = 0
        try:
            for frame in container.decode(stream):
                for piece in resampler.resample(frame):
                    block = piece.to_ndarray()
                    samples += block.shape[1]
                    if samples > longest_s * SAMPLE_RATE:
                        raise RecordingRefused(f"This recording is longer than {longest_s / 3600:.0f} hours.")
                    yield block
            for piece in resampler.resample(None):
                yield piece.to_ndarray()
        except FFmpegError as failure:
            raise RecordingRefused("The file breaks off or is damaged.") from failure


class FrameResampler:
    """Frames of any rate and layout, as a decoder gives them -> int16 mono at 16 kHz."""

    def __init__(self) -> None:
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)

    def feed(self, frame: Any) -> NDArray[np.int16]:
        return self._pieces(frame)

    def finish(self) -> NDArray[np.int16]:
        """The last samples, about a millisecond; feed() nothing afterwards."""
        return self._pieces(None)

    def _pieces(self, frame: Any) -> NDArray[np.int16]:
        pieces = [piece.to_ndarray()[0] for piece in self._resampler.resample(frame)]
        return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)


class RateResampler:
    """Plain int16 mono samples of another rate -> 16 kHz."""

    def __init__(self, rate: int) -> None:
        self._rate, self._resampler = rate, FrameResampler()

    def feed(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = self._rate
        return self._resampler.feed(frame)

    def finish(self) -> NDArray[np.int16]:
        """The last samples, about two milliseconds; feed() nothing afterwards."""
        return self._resampler.finish()


class OpusDecoder:
    """Opus packets of one sender -> frames of 48 kHz. Raises FFmpegError for a damaged one."""

    def __init__(self) -> None:
        self._decoder: Any = av.CodecContext.create("opus", "r")
        self._decoder.sample_rate = 48_000
        self._decoder.layout = "stereo"

    def feed(self, payload: bytes) -> list[Any]:
        return list(self._decoder.decode(av.Packet(payload)))
