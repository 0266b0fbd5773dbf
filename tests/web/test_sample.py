"""The sample call as it is shipped: its sound, its words and its script belong together."""

import json
import wave
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "web" / "sample"
DATA = ROOT / "tests" / "data"


def _entries(path: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return entries


@pytest.fixture(scope="module")
def sound() -> np.ndarray[Any, Any]:
    """The call as samples × (agent, prospect)."""
    with av.open(str(SAMPLE / "call.flac")) as container:
        stream = container.streams.audio[0]
        assert (stream.rate, stream.channels) == (16_000, 2)
        frames = [frame.to_ndarray().reshape(-1, 2) for frame in container.decode(stream)]
    return np.concatenate(frames)


def test_the_words_are_those_of_the_script() -> None:
    """Every turn's words stand in the words file, inside the turn's times."""
    words = _entries(SAMPLE / "words.json")
    for turn in _entries(SAMPLE / "script.json"):
        within = [
            word["word"] for word in words if word["speaker"] == turn["speaker"] and turn["start_ms"] <= word["start_ms"] < turn["end_ms"]
        ]
        assert within == [word.strip(",.?!") for word in turn["text"].split()]


@pytest.mark.parametrize("speaker", ["agent", "prospect"])
def test_a_speaker_says_one_word_at_a_time(speaker: str) -> None:
    """A word ends after it begins, no later than the speaker's next word begins."""
    own = [word for word in _entries(SAMPLE / "words.json") if word["speaker"] == speaker]
    assert all(word["start_ms"] < word["end_ms"] for word in own)
    assert all(one["end_ms"] <= two["start_ms"] for one, two in pairwise(own))


@pytest.mark.parametrize(("column", "speaker"), [(0, "agent"), (1, "prospect")])
def test_each_turn_is_heard_on_its_speakers_channel_alone(sound: np.ndarray[Any, Any], column: int, speaker: str) -> None:
    """While only one speaks, the other channel holds room tone."""
    turns = _entries(SAMPLE / "script.json")
    others = [turn for turn in turns if turn["speaker"] != speaker]
    for turn in turns:
        alone = all(o["end_ms"] + 100 < turn["start_ms"] or o["start_ms"] - 100 > turn["end_ms"] for o in others)
        if turn["speaker"] == speaker and alone:
            stretch = sound[turn["start_ms"] * 16 : turn["end_ms"] * 16].astype(float)
            levels = np.sqrt(np.mean(stretch**2, axis=0))
            assert levels[column] > 10 * levels[1 - column]


def test_no_channel_is_ever_digitally_silent(sound: np.ndarray[Any, Any]) -> None:
    """No 5 ms of either channel hold nothing but zeros."""
    blocks = np.abs(sound[: len(sound) // 80 * 80].reshape(-1, 80, 2)).max(axis=1)
    assert blocks.min() > 0


def test_the_first_objection_comes_early() -> None:
    """The prospect has objected within 20 s, so that a card can be up by 30 s."""
    first = next(turn for turn in _entries(SAMPLE / "script.json") if turn["notes"]["objections"])
    assert first["end_ms"] <= 20_000


def test_the_agent_slips_once() -> None:
    """One turn of the agent, and none of the prospect, breaks a compliance rule."""
    slips = [turn for turn in _entries(SAMPLE / "script.json") if turn["notes"]["compliance"]]
    assert [turn["speaker"] for turn in slips] == ["agent"]


def test_the_fake_microphones_are_one_stretch_of_the_call() -> None:
    """Both files are as long as each other, and every turn of the cut is loud in its speaker's file."""
    heard = {}
    for speaker in ("agent", "prospect"):
        with wave.open(str(DATA / f"fake_mic_{speaker}.wav")) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (48_000, 1, 2)
            heard[speaker] = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(float)
    assert len(heard["agent"]) == len(heard["prospect"])
    for turn in _entries(DATA / "cut.json"):
        stretch = heard[turn["speaker"]][turn["start_ms"] * 48 : turn["end_ms"] * 48]
        assert np.sqrt(np.mean(stretch**2)) > 500


def test_the_practice_seller_asks_at_once() -> None:
    """The first practice clip holds its objection within 6 s."""
    first = _entries(SAMPLE / "practice" / "practice.json")[0]
    assert first["notes"]["objections"] == ["commission"]
    assert first["end_ms"] <= 6_000
