"""Makes the sample call, the practice clips and the cut for fake microphones: build.py KOKORO_JS CHECKOUT."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from speak import RATE, Samples, Speaker, Spoken, weights
from timeline import Room, Turn, lay_out

HERE = Path(__file__).parent
_BROWSER_RATE = 48_000
_CUT_MARGIN = RATE * 120 // 1000
_ROOM = ("level_dbfs", "room_dbfs", "room_tilt", "seed")


def main(kokoro_js: Path, checkout: Path) -> None:
    """Write everything below checkout/web/sample and checkout/tests/data."""
    speaker = Speaker(weights(), kokoro_js / "voices")
    script = tomllib.loads((HERE / "call.toml").read_text("utf-8"))
    turns, channels = _call(speaker, script, checkout / "web" / "sample")
    _cut(script["cut"], turns, channels, checkout / "tests" / "data")
    practice = tomllib.loads((HERE / "practice.toml").read_text("utf-8"))
    _practice(speaker, practice, checkout / "web" / "sample" / "practice")


def _call(speaker: Speaker, script: dict[str, Any], folder: Path) -> tuple[list[Turn], dict[str, Samples]]:
    people = script["speakers"]
    rooms = {name: Room(**{key: person[key] for key in _ROOM}) for name, person in people.items()}

    def say(name: str, phrase: str, speed: float) -> Spoken:
        return speaker.say(phrase, people[name]["voice"], speed)

    turns, channels = lay_out(script["turns"], rooms, say)
    folder.mkdir(parents=True, exist_ok=True)
    both = np.stack([_pcm(channels["agent"]), _pcm(channels["prospect"])], axis=1)
    soundfile.write(folder / "call.flac", both, RATE, subtype="PCM_16")
    words = [(word, turn.speaker, start, end) for turn in turns for word, start, end in turn.words]
    _write_lines(
        folder / "words.json",
        [
            {"word": word, "speaker": name, "start_ms": _ms(start), "end_ms": _ms(end)}
            for word, name, start, end in sorted(words, key=lambda entry: (entry[3], entry[2]))
        ],
    )
    _write_lines(folder / "script.json", [_as_entry(turn, 0) for turn in turns])
    return turns, channels


def _cut(cut: dict[str, Any], turns: list[Turn], channels: dict[str, Samples], folder: Path) -> None:
    first = next(turn for turn in turns if turn.text.startswith(cut["first"]))
    last = next(turn for turn in turns if turn.text.startswith(cut["last"]))
    begin, end = first.start - _CUT_MARGIN, last.end + _CUT_MARGIN
    inside = [turn for turn in turns if begin < turn.end and turn.start < end]
    if any(turn.start < begin or turn.end > end for turn in inside):
        raise ValueError("the cut goes through a turn")
    # Room tone from before the first and after the last word of the call, where a browser starts and loops.
    before, after = turns[0].start - _CUT_MARGIN, max(turn.end for turn in turns) + 2 * _CUT_MARGIN
    folder.mkdir(parents=True, exist_ok=True)
    for name, channel in channels.items():
        whole = np.concatenate([channel[:before], channel[begin:end], channel[after:]])
        sound = soxr.resample(whole, RATE, _BROWSER_RATE, "VHQ")
        soundfile.write(folder / f"fake_mic_{name}.wav", _pcm(sound), _BROWSER_RATE, subtype="PCM_16")
    _write_lines(folder / "cut.json", [_as_entry(turn, begin - before) for turn in inside])


def _practice(speaker: Speaker, practice: dict[str, Any], folder: Path) -> None:
    room = Room(**{key: practice[key] for key in _ROOM})
    folder.mkdir(parents=True, exist_ok=True)
    clips = []
    for number, clip in enumerate(practice["clips"], 1):
        entry = {**clip, "speaker": "prospect", "gap_ms": 350}
        turns, channels = lay_out(
            [entry],
            {"prospect": room},
            lambda _, phrase, speed: speaker.say(phrase, practice["voice"], speed),
            after_ms=600,
        )
        name = f"clip{number}.flac"
        soundfile.write(folder / name, _pcm(channels["prospect"]), RATE, subtype="PCM_16")
        clips.append({"file": name, **_as_entry(turns[0], 0)})
    _write_lines(folder / "practice.json", clips)


def _as_entry(turn: Turn, origin: int) -> dict[str, Any]:
    return {
        "speaker": turn.speaker,
        "text": turn.text,
        "start_ms": _ms(turn.start - origin),
        "end_ms": _ms(turn.end - origin),
        "notes": turn.notes,
    }


def _pcm(samples: Samples) -> np.ndarray[Any, np.dtype[np.int16]]:
    if np.abs(samples).max() >= 1.0:
        raise ValueError("the sound clips; lower its level")
    return np.round(samples * 32767).astype(np.int16)


def _ms(samples: int) -> int:
    return round(samples * 1000 / RATE)


def _write_lines(path: Path, entries: list[dict[str, Any]]) -> None:
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
    path.write_text(f"[\n{lines}\n]\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
