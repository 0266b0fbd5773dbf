"""The telephone that --through-audio speaks over, and our recogniser behind it.

tests/data/street.wav is Debian's flite (voice slt), which the evaluation itself speaks with.
"""

from pathlib import Path

import numpy as np
import pytest

from scripts.evaluations.labels import Reader, hear
from scripts.evaluations.spoken import spoken, telephone
from voice.agreement import plain
from voice.legs.pcm import channels_of
from voice.models import Window
from voice.models.weights import WHISPER, folder_of
from voice.models.whisper import Whisper

ROOT = Path(__file__).parents[2]


def loudness(hz: float) -> float:
    """How much of a tone comes through, as a share."""
    tone = (8000 * np.sin(2 * np.pi * hz * np.arange(16_000) / 16_000)).astype(np.int16)
    return float(np.std(telephone(tone).astype(float)) / np.std(tone.astype(float)))


def test_a_telephone_lets_its_band_through_and_nothing_else() -> None:
    """Tones from 300 to 3,400 Hz pass at full strength, half the samples remain, hum and hiss are gone."""
    assert len(telephone(np.zeros(1601, np.int16))) == 800
    assert all(0.95 < loudness(hz) < 1.05 for hz in (400, 1000, 3000))
    assert all(loudness(hz) < 0.02 for hz in (50, 200, 3600, 6000))


def test_speech_is_understood_behind_it(tmp_path: Path) -> None:
    """A spoken sentence begins with the same words over the telephone."""
    whisper = Whisper(folder_of(WHISPER["tiny.en"], folder=None, cache=tmp_path), "tiny.en", workers=1)
    sound = telephone(np.concatenate([block[0] for block in channels_of(ROOT / "tests" / "data" / "street.wav")]))
    again = np.interp(np.arange(2 * len(sound)) / 2, np.arange(len(sound)), sound).astype(np.int16)
    words = [plain(w.text) for w in whisper.decode(Window("c", "agent", "a", again, 0, "final")).words]
    assert words[:4] == ["the", "house", "is", "on"]  # the two streets behind them are its own test: test_biasing.py


def test_without_a_voice_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where flite is missing the evaluation ends with the name of the package."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="apt-get install flite"):
        spoken("Hello.", "slt", tmp_path)


def test_the_words_of_a_heard_line_reach_the_detectors() -> None:
    """A line that was heard carries its words with their probabilities into the turn."""
    seen = []

    def judge(_: object, reading: object) -> list[object]:
        seen.append(reading)
        return []

    hear([{"text": "four fifty", "words": [["four", 0, 200, 0.4], ["fifty", 200, 500, 0.9]]}], judge, Reader())  # type: ignore[arg-type]  # nothing is judged
    assert [w.probability for w in seen[0].turn.words] == [0.4, 0.9]  # type: ignore[attr-defined]
