"""Names that are likely to be said reach the recogniser, and only where they are said.

tests/data/street.wav is Debian's flite (voice slt): "The house is on Okeechobee Boulevard near Loxahatchee Road."
"""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from voice.agreement import plain
from voice.legs.pcm import channels_of
from voice.models import Window
from voice.models.weights import WHISPER, folder_of
from voice.models.whisper import Whisper

ROOT = Path(__file__).parents[2]
STREETS = ("Okeechobee Boulevard", "Loxahatchee Road")
TERMS = ("escrow", "contingency", "HOA", "comps", "Xiomara Nguyen")


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Whisper:
    return Whisper(folder_of(WHISPER["tiny.en"], folder=None, cache=tmp_path_factory.mktemp("weights")), "tiny.en", workers=1)


def sound_of(file: Path, channel: int = 0) -> NDArray[np.int16]:
    return np.concatenate([block[channel] for block in channels_of(file)])


def read(whisper: Whisper, sound: NDArray[np.int16], hotwords: tuple[str, ...]) -> list[str]:
    words = " ".join(plain(w.text) for w in whisper.decode(Window("c", "agent", "a", sound, 0, "final", "", hotwords)).words)
    return words.replace("alright", "all right").split()  # which of the two is written depends on the processor's arithmetic


def test_a_rare_street_is_read_when_it_was_named(whisper: Whisper) -> None:
    """A street that the recogniser does not know by itself is right once the call's context holds it."""
    sound = sound_of(ROOT / "tests" / "data" / "street.wav")
    assert "okeechobee" not in read(whisper, sound, ())
    with_hints = read(whisper, sound, (*TERMS, *STREETS))
    assert " ".join(with_hints) == "the house is on okeechobee boulevard near loxahatchee road"


def test_ordinary_text_does_not_get_worse(whisper: Whisper) -> None:
    """What was right without bias words is right with them."""
    sound = sound_of(ROOT / "web" / "sample" / "call.flac")[: 59 * 1600]
    expected = "hi marcus its claire with harbor lane homes is it all right if i record this and take notes"
    assert " ".join(read(whisper, sound, ())) == expected
    assert " ".join(read(whisper, sound, (*TERMS, *STREETS))) == expected


def test_a_bias_word_that_was_not_said_does_not_appear(whisper: Whisper) -> None:
    """Nothing of the list stands in the transcript of a call that has none of it."""
    said: set[str] = set()
    for channel in (0, 1):
        sound = sound_of(ROOT / "web" / "sample" / "call.flac", channel)
        for from_s in (0, 17, 28):
            said |= set(read(whisper, sound[from_s * 16_000 : (from_s + 9) * 16_000], (*TERMS, *STREETS)))
    assert len(said) > 40
    assert not said & {"okeechobee", "loxahatchee", "boulevard", "escrow", "contingency", "hoa", "comps", "xiomara", "nguyen"}
