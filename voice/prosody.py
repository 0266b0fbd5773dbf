"""How somebody speaks: pace, pitch, energy and pauses of one speaker; how much two speakers overlap. Pure.

Nothing here judges a mood; these are figures of the sound, for coaching on pace and pauses.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voice.frames import SAMPLE_RATE
from voice.transcripts import Word

_FRAME: Final = SAMPLE_RATE * 40 // 1000  # two periods of the lowest voice
_LOWEST_HZ: Final = 65
_HIGHEST_HZ: Final = 400
_VOICED: Final = 0.5  # normalised autocorrelation from which a frame has a pitch
_PAUSE_MS: Final = 250  # shorter gaps are part of articulation (Goldman-Eisler 1968)
_QUIET_DB: Final = -60.0


@dataclass(frozen=True, slots=True)
class Prosody:
    """Of one utterance. ``pace_wpm``: words a minute, pauses included; ``articulation_wpm``: pauses left out.

    ``pitch_hz``: median over voiced frames; ``level_db``: RMS of the speech in dBFS. None: too little to tell.
    """

    pace_wpm: float | None
    articulation_wpm: float | None
    pitch_hz: float | None
    level_db: float | None
    pauses_ms: tuple[int, ...]


def prosody_of(samples: NDArray[np.int16], words: Sequence[Word]) -> Prosody:
    """``samples``: int16 mono 16 kHz, shape (n,), the sound of ``words``."""
    pauses = tuple(b.start_ms - a.end_ms for a, b in itertools.pairwise(words) if b.start_ms - a.end_ms >= _PAUSE_MS)
    spoken_ms = words[-1].end_ms - words[0].start_ms if len(words) >= 3 else 0
    voiced_ms = spoken_ms - sum(pauses)
    return Prosody(
        pace_wpm=len(words) * 60_000 / spoken_ms if spoken_ms > 0 else None,
        articulation_wpm=len(words) * 60_000 / voiced_ms if voiced_ms > 0 else None,
        pitch_hz=pitch_of(samples),
        level_db=level_of(samples),
        pauses_ms=pauses,
    )


def level_of(samples: NDArray[np.int16]) -> float | None:
    """RMS in dBFS of the louder half of the 40 ms frames, so that pauses do not count; None for silence."""
    frames = _frames(samples)
    if not len(frames):
        return None
    powers = np.sort(np.mean(frames**2, axis=1))[len(frames) // 2 :]
    level = 10 * float(np.log10(max(1e-12, float(powers.mean()))))
    return level if level > _QUIET_DB else None


def pitch_of(samples: NDArray[np.int16]) -> float | None:
    """Median pitch in Hz by normalised autocorrelation (Boersma 1993, without its path search); None if nothing is voiced."""
    frames = _frames(samples)
    pitches: list[float] = []
    for frame in frames:
        centred = frame - frame.mean()
        spectrum = np.fft.rfft(centred * np.hanning(_FRAME), 2 * _FRAME)
        window = np.fft.rfft(np.hanning(_FRAME), 2 * _FRAME)
        sound = np.fft.irfft(np.abs(spectrum) ** 2)
        shape = np.fft.irfft(np.abs(window) ** 2)
        first, last = SAMPLE_RATE // _HIGHEST_HZ, SAMPLE_RATE // _LOWEST_HZ
        if sound[0] < 1e-4:
            continue
        strength = (sound[first:last] / sound[0]) / (shape[first:last] / shape[0])
        # the shortest period that is nearly as strong as the strongest: its multiples are as strong
        best = int(np.argmax(strength >= 0.9 * strength.max()))
        while best + 1 < len(strength) and strength[best + 1] > strength[best]:
            best += 1
        if strength[best] >= _VOICED:
            pitches.append(SAMPLE_RATE / (first + best))
    return float(np.median(pitches)) if len(pitches) >= 3 else None


def overlap_ms(here: Sequence[Word], there: Sequence[Word]) -> int:
    """How long both sides spoke at once, by their words' times (each list in order)."""
    total = at = 0
    for word in here:
        while at < len(there) and there[at].end_ms <= word.start_ms:
            at += 1
        for other in there[at:]:
            if other.start_ms >= word.end_ms:
                break
            total += min(word.end_ms, other.end_ms) - max(word.start_ms, other.start_ms)
    return total


def _frames(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    count = len(samples) // _FRAME
    return (samples[: count * _FRAME].astype(np.float32) / 32768.0).reshape(count, _FRAME)
