"""How somebody speaks."""

import numpy as np
import pytest
from numpy.typing import NDArray

from voice.prosody import level_of, overlap_ms, pitch_of, prosody_of
from voice.transcripts import Word


def voice(pitch_hz: float, seconds: float = 1.0, level: float = 0.2) -> NDArray[np.int16]:
    t = np.arange(int(16_000 * seconds)) / 16_000
    wave = np.sum([np.sin(2 * np.pi * pitch_hz * k * t) / k for k in range(1, 8)], axis=0)
    sound: NDArray[np.int16] = (wave / np.abs(wave).max() * level * 32767).astype(np.int16)
    return sound


@pytest.mark.parametrize("hz", [90.0, 130.0, 210.0, 300.0])
def test_the_pitch_of_a_voice_is_found(hz: float) -> None:
    """Low and high voices are read within three percent."""
    assert pitch_of(voice(hz)) == pytest.approx(hz, rel=0.03)


def test_noise_has_no_pitch() -> None:
    """A hiss is not voiced."""
    assert pitch_of((np.random.default_rng(1).standard_normal(16_000) * 2000).astype(np.int16)) is None


def test_half_the_amplitude_is_six_decibels_less() -> None:
    """Levels are in dBFS."""
    loud, soft = level_of(voice(150, level=0.4)), level_of(voice(150, level=0.2))
    assert loud is not None
    assert soft is not None
    assert loud - soft == pytest.approx(6.02, abs=0.1)


def test_silence_has_no_level() -> None:
    """Unknown is None, not a small number."""
    assert level_of(np.zeros(16_000, np.int16)) is None


def test_pauses_slow_the_pace_but_not_the_articulation() -> None:
    """A long pause counts in words per minute and is left out of the articulation."""
    words = [Word("a", 0, 300, 1), Word("b", 300, 600, 1), Word("c", 1600, 1900, 1), Word("d", 1900, 2200, 1)]
    found = prosody_of(voice(150, 2.2), words)
    assert found.pauses_ms == (1000,)
    assert found.pace_wpm == pytest.approx(4 * 60 / 2.2)
    assert found.articulation_wpm == pytest.approx(4 * 60 / 1.2)


def test_overlap_is_the_time_both_speak() -> None:
    """Only the common part of two words counts."""
    assert overlap_ms([Word("a", 0, 500, 1), Word("b", 900, 1200, 1)], [Word("c", 300, 1000, 1)]) == 300
