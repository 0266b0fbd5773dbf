"""Nothing is invented where nobody speaks: the real detector and the real recogniser."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from voice.frames import AudioFrame
from voice.legs.pcm import channels_of
from voice.listening import ListeningSettings, SpeakerListener
from voice.models.onnx import SpeechModel
from voice.models.weights import SILERO, WHISPER, file_of, folder_of
from voice.models.whisper import Whisper
from voice.transcripts import FinalTranscript, PartialTranscript
from voice.vad import SpeechDetector

RATE = 16_000


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="module")
def speech(cache: Path) -> SpeechModel:
    return SpeechModel(file_of(SILERO, "silero_vad.onnx", folder=None, cache=cache))


@pytest.fixture(scope="module")
def whisper(cache: Path) -> Whisper:
    return Whisper(folder_of(WHISPER["tiny.en"], folder=None, cache=cache), "tiny.en", workers=1)


def words_in(sound: NDArray[np.int16], speech: SpeechModel, whisper: Whisper) -> list[str]:
    """Every word that was ever shown, fed as fast as it goes."""
    listener = SpeakerListener("call", "prospect", ListeningSettings(), SpeechDetector(speech.stream()))
    windows = []
    shown: list[str] = []
    for at in range(0, len(sound) - 319, 320):
        windows = listener.feed(AudioFrame(samples=sound[at : at + 320], speaker="prospect", start_ms=at * 1000 // RATE))
        if at + 640 > len(sound):
            windows += listener.finish()
        transcripts = listener.settled()
        for window in windows:
            transcripts += listener.heard(window, whisper.decode(window))
        for each in transcripts:
            if isinstance(each, PartialTranscript):
                shown += [w.text for w in (*each.settled, *each.open_tail)]
            elif isinstance(each, FinalTranscript):
                shown += [w.text for w in each.words]
    return shown


def hold_music(seconds: int) -> NDArray[np.int16]:
    """Chords with a melody and a slow beat, as a switchboard plays them."""
    t = np.arange(seconds * RATE) / RATE
    rng, sound = np.random.default_rng(3), np.zeros(len(t))
    for begin in range(0, seconds * RATE, RATE // 2):
        part = slice(begin, begin + RATE // 2)
        decay = np.exp(-3 * (t[part] - t[begin]))
        for hz in (*rng.choice([261.6, 329.6, 392.0, 440.0, 523.3], 3, replace=False), 130.8):
            sound[part] += decay * sum(np.sin(2 * np.pi * hz * k * t[part]) / k**2 for k in range(1, 5))
    music: NDArray[np.int16] = (sound / np.abs(sound).max() * 9000).astype(np.int16)
    return music


def test_silence_noise_and_music_give_no_words(speech: SpeechModel, whisper: Whisper) -> None:
    """A minute each of silence, hiss, hum and hold music shows no word."""
    rng, count = np.random.default_rng(2), 60 * RATE
    hiss = (rng.standard_normal(count) * 600).astype(np.int16)
    hum = (np.sin(2 * np.pi * 60 * np.arange(count) / RATE) * 3000 + rng.standard_normal(count) * 40).astype(np.int16)
    for sound in (np.zeros(count, np.int16), hiss, hum, hold_music(60)):
        assert words_in(sound, speech, whisper) == []


def test_recorded_noise_gives_no_words(speech: SpeechModel, whisper: Whisper, shared_data: Path) -> None:
    """Keys, traffic and a kitchen are not words."""
    for name in (
        "keyboard_typing.ogg",
        "kitchen.flac",
        "doing_the_dishes.flac",
        "esc50_car_horn_2-100648-A-43.flac",
        "esc50_dog_1-100032-A-0.flac",
    ):
        sound = np.concatenate([block[0] for block in channels_of(shared_data / "speech" / "noise_and_rirs" / name)])[: 60 * RATE]
        assert words_in(sound, speech, whisper) == [], name


def test_speech_gives_words(speech: SpeechModel, whisper: Whisper) -> None:
    """The same way shows the words of somebody who does speak."""
    sample = Path(__file__).parents[2] / "web" / "sample" / "call.flac"
    for channel in (0, 1):
        sound = np.concatenate([block[channel] for block in channels_of(sample)])[: 20 * RATE]
        assert len(words_in(sound, speech, whisper)) > 5
