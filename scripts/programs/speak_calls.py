"""scripts/speak_calls FOLDER OUT: annotated calls, spoken by flite over a telephone, as scripts/bench_live takes them.

For each call OUT/NAME.wav (16 kHz, agent left, prospect right) and OUT/NAME.words.json. Turns follow each other after half a
second; a word's times within its turn are shared out by its letters, only where a turn begins and ends is exact.
"""

import argparse
import json
import sys
import tempfile
import wave
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scripts.evaluations.spoken import spoken

_RATE: Final = 16_000
_PAUSE_S: Final = 0.5
_VOICES: Final = {"agent": "rms", "prospect": "slt"}
_LOUD: Final = 300  # int16; below it a voice is silent


def voiced(sound: NDArray[np.int16]) -> NDArray[np.int16]:
    """Without the silence before and behind."""
    loud = np.flatnonzero(np.abs(sound.astype(np.int32)) > _LOUD)
    return sound[loud[0] : loud[-1] + 1] if len(loud) else sound


def timed(text: str, speaker: str, start_ms: float, length_ms: float) -> list[dict[str, Any]]:
    words = text.split()
    ends = np.cumsum([len(word) + 1 for word in words]) / sum(len(word) + 1 for word in words) * length_ms + start_ms
    starts = [start_ms, *ends[:-1]]
    return [
        {"word": word, "speaker": speaker, "start_ms": round(start), "end_ms": round(end)}
        for word, start, end in zip(words, starts, ends.tolist(), strict=True)
    ]


def spoken_call(call: dict[str, Any], folder: Path) -> tuple[NDArray[np.int16], list[dict[str, Any]]]:
    """int16, shape (n, 2), and its words."""
    sides: dict[str, list[NDArray[np.int16]]] = {"agent": [], "prospect": []}
    words: list[dict[str, Any]] = []
    at = 0
    for turn in call["turns"]:
        speaker = "prospect" if turn["speaker"] == "prospect" else "agent"
        sound = voiced(spoken(turn["text"], _VOICES[speaker], folder))
        words += timed(turn["text"], speaker, at * 1000 / _RATE, len(sound) * 1000 / _RATE)
        sound = np.concatenate((sound, np.zeros(int(_PAUSE_S * _RATE), np.int16)))
        for side, parts in sides.items():
            parts.append(sound if side == speaker else np.zeros_like(sound))
        at += len(sound)
    return np.stack([np.concatenate(sides["agent"]), np.concatenate(sides["prospect"])], axis=1), words


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="annotated calls, as scripts/evaluate calls reads them")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for file in sorted(options.folder.glob("*.json")):
            sound, words = spoken_call(json.loads(file.read_text()), Path(folder))
            with wave.open(str(options.out / f"{file.stem}.wav"), "wb") as out:
                out.setnchannels(2)
                out.setsampwidth(2)
                out.setframerate(_RATE)
                out.writeframes(sound.tobytes())
            (options.out / f"{file.stem}.words.json").write_text(json.dumps(words, indent=0))
            print(f"{file.stem}: {len(sound) / _RATE:.0f} s, {len(words)} words", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
