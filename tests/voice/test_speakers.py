"""One channel, two people."""

import itertools
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from voice.legs.pcm import channels_of
from voice.models.onnx import SpeechModel
from voice.models.weights import SILERO, file_of
from voice.speakers import SpectrumPrints, mel_filters, split_recording, two_channels, two_groups, voice_prints, who_speaks
from voice.vad import CHUNK, SpeechDetector

SAMPLE = Path(__file__).parents[2] / "web" / "sample" / "call.flac"
RATE = 16_000


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> SpeechModel:
    return SpeechModel(file_of(SILERO, "silero_vad.onnx", folder=None, cache=tmp_path_factory.mktemp("weights")))


@pytest.fixture(scope="module")
def both() -> NDArray[np.int16]:
    return np.concatenate(list(channels_of(SAMPLE)), axis=1)[:, : 90 * RATE]


def mixed(both: NDArray[np.int16]) -> NDArray[np.int16]:
    return both.astype(np.int32).sum(0).clip(-32768, 32767).astype(np.int16)


def speaking(sound: NDArray[np.int16], speech: SpeechModel) -> NDArray[np.bool_]:
    detector = SpeechDetector(speech.stream())
    return np.repeat([detector.feed(sound[at : at + CHUNK]) >= 0.5 for at in range(0, len(sound) - CHUNK + 1, CHUNK)], CHUNK)


def test_two_voices_in_one_channel_come_apart(speech: SpeechModel, both: NDArray[np.int16]) -> None:
    """Of the time in which one person speaks, at least nine tenths go to that person, the first voice to the agent."""
    truth = np.stack([speaking(side, speech) for side in both])
    channels = two_channels(mixed(both), who_speaks(mixed(both), SpeechDetector(speech.stream()), SpectrumPrints()))[:, : truth.shape[1]]
    alone = truth[0] ^ truth[1]
    given = np.abs(channels[0].astype(np.int32)) >= np.abs(channels[1].astype(np.int32))
    assert (given == truth[0])[alone].mean() > 0.9


def test_every_sample_of_speech_is_in_one_channel_only(speech: SpeechModel, both: NDArray[np.int16]) -> None:
    """Nothing is heard twice, nothing of what was said is lost."""
    stretches = who_speaks(mixed(both), SpeechDetector(speech.stream()), SpectrumPrints())
    channels = two_channels(mixed(both), stretches)
    assert not np.logical_and(channels[0] != 0, channels[1] != 0).any()
    assert all(a.end <= b.start for a, b in itertools.pairwise(stretches))


def test_a_split_recording_has_a_channel_per_voice(speech: SpeechModel, both: NDArray[np.int16], tmp_path: Path) -> None:
    """The file that is written is as long as the recording, the agent left."""
    source = tmp_path / "mono.wav"
    with wave.open(str(source), "wb") as out:
        out.setparams((1, 2, RATE, 0, "NONE", ""))
        out.writeframes(mixed(both)[: 40 * RATE].tobytes())
    voices = split_recording(source, tmp_path / "two.wav", SpeechDetector(speech.stream()), voice_prints(None, tmp_path))
    split = np.concatenate(list(channels_of(tmp_path / "two.wav")), axis=1)
    assert voices == 2
    assert split.shape == (2, 40 * RATE)
    assert np.abs(split).max(axis=1).min() > 1000


def test_one_direction_is_one_voice() -> None:
    """Vectors that all point the same way are not torn into two."""
    rng = np.random.default_rng(1)
    vectors = np.ones((8, 16), np.float32) + 0.05 * rng.standard_normal((8, 16)).astype(np.float32)
    assert not two_groups(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), 0.9).any()


def test_a_filter_answers_to_its_own_band() -> None:
    """The filters follow one another from low to high, and each lets something through."""
    peaks = mel_filters().argmax(axis=1)
    assert (np.diff(peaks) >= 0).all()
    assert (mel_filters().sum(axis=1) > 0).all()
