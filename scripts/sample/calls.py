"""Has the sample's voices speak annotated calls, as scripts/bench_live takes them: calls.py KOKORO_JS CALLS OUT.

OUT/NAME.wav (16 kHz, agent left, prospect right) and OUT/NAME.words.json. Turns follow each other after half a second, sentences
after a quarter; where a word ends is as true as in the sample call (docs/sample.md).
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import soundfile
from speak import RATE, Speaker, Spoken, weights
from timeline import Room, lay_out

_VOICES = {"agent": "af_heart", "prospect": "am_michael"}
_ROOMS = {"agent": Room(-21.0, -63.0, 0.55, 11), "prospect": Room(-23.5, -59.0, 0.8, 23)}
_GAP_MS = 500
_SPEEDS = (1.1, 1.0, 0.9, 0.8)  # the voice swallows a short word now and then: slower, then
_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def _ms(sample: int) -> int:
    return round(sample * 1000 / RATE)


def in_words(number: int) -> str:
    """Below a million, as it is read out; the phonemes of digits cannot be laid on words."""
    if number < 20:
        return _ONES[number]
    if number < 100:
        return _TENS[number // 10 - 2] + (f" {_ONES[number % 10]}" if number % 10 else "")
    for size, name in ((1000, "thousand"), (100, "hundred")):
        if number >= size:
            return f"{in_words(number // size)} {name}" + (f" {in_words(number % size)}" if number % size else "")
    return str(number)


def said(text: str) -> str:
    """The text without digits, with a pause between its sentences."""
    spelled = re.sub(r"[$]?(\d[\d,]*)", lambda match: in_words(int(match[1].replace(",", ""))), text.replace("%", " percent"))
    return re.sub(r"([.?!]) (?=\w)", r"\1 |250| ", " ".join(spelled.split()))


def main(kokoro_js: Path, calls: Path, out: Path) -> None:
    speaker = Speaker(weights(), kokoro_js / "voices")

    def say(name: str, phrase: str, _: float) -> Spoken:
        for speed in _SPEEDS:
            try:
                return speaker.say(phrase, _VOICES[name], speed)
            except ValueError:
                continue
        return speaker.say(phrase, _VOICES[name], 1.0, swallowing=True)

    out.mkdir(parents=True, exist_ok=True)
    for file in sorted(calls.glob("*.json")):
        if (out / f"{file.stem}.words.json").exists():
            continue  # it takes about as long as the call
        turns = [
            {
                "speaker": "prospect" if turn["speaker"] == "prospect" else "agent",
                "gap_ms": _GAP_MS,
                "say": said(turn["text"]),
            }
            for turn in json.loads(file.read_text("utf-8"))["turns"]
        ]
        try:
            laid, channels = lay_out(turns, _ROOMS, say)
        except ValueError as failure:
            print(f"{file.stem}: left out, {failure}", flush=True)
            continue
        both = np.stack([channels["agent"], channels["prospect"]], axis=1)
        soundfile.write(out / f"{file.stem}.wav", np.clip(both, -1, 1), RATE, subtype="PCM_16")
        words = sorted(((start, end, word, turn.speaker) for turn in laid for word, start, end in turn.words), key=lambda each: each[1])
        lines = [{"word": word, "speaker": name, "start_ms": _ms(start), "end_ms": _ms(end)} for start, end, word, name in words]
        (out / f"{file.stem}.words.json").write_text(json.dumps(lines), "utf-8")
        print(f"{file.stem}: {len(both) / RATE:.0f} s, {len(lines)} words", flush=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
