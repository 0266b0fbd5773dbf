"""scripts/bench_silence: minutes of silence, hiss, hum and hold music, as fast as they go: no word may be shown.

--noise FOLDER adds recordings (each repeated to the same length). --talk MINUTES instead feeds the sample call again and
again and prints the memory on the way: it must stay flat.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scripts.programs.bench_engine import SAMPLE, rss_mb
from scripts.programs.stream_wav import CACHE
from voice.frames import AudioFrame
from voice.legs.pcm import channels_of
from voice.listening import ListeningSettings, SpeakerListener
from voice.models.onnx import SpeechModel
from voice.models.weights import SILERO, WHISPER, file_of, folder_of
from voice.models.whisper import Whisper
from voice.transcripts import FinalTranscript, PartialTranscript
from voice.vad import SpeechDetector

_RATE: Final = 16_000
_FRAME: Final = 320
_BLOCK_S: Final = 60


def made(kind: str, rng: np.random.Generator, start_s: int) -> NDArray[np.int16]:
    """A minute of silence, hiss, hum or music, int16 mono 16 kHz."""
    t = start_s + np.arange(_BLOCK_S * _RATE) / _RATE
    match kind:
        case "silence":
            return np.zeros(len(t), np.int16)
        case "hiss":
            return (rng.standard_normal(len(t)) * 600).astype(np.int16)
        case "hum":
            return (np.sin(2 * np.pi * 60 * t) * 3000 + rng.standard_normal(len(t)) * 40).astype(np.int16)
        case _:
            return _music(t, rng)


def _music(t: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int16]:
    """Chords with a beat, as a switchboard plays them."""
    sound = np.zeros(len(t))
    for begin in range(0, len(t), _RATE // 2):
        part = slice(begin, begin + _RATE // 2)
        decay = np.exp(-3 * (t[part] - t[begin]))
        for hz in (*rng.choice([261.6, 329.6, 392.0, 440.0, 523.3], 3, replace=False), 130.8):
            sound[part] += decay * sum(np.sin(2 * np.pi * hz * k * t[part]) / k**2 for k in range(1, 5))
    return (sound / np.abs(sound).max() * 9000).astype(np.int16)


class Ear:
    """One listener and its decodes, one after another; keeps every word that was ever shown, or only their number."""

    def __init__(self, model: str) -> None:
        self._whisper = Whisper(folder_of(WHISPER[model], folder=None, cache=CACHE), model, workers=1)
        self._speech = SpeechModel(file_of(SILERO, "silero_vad.onnx", folder=None, cache=CACHE))
        self.again()

    def again(self) -> None:
        self._listener = SpeakerListener("silence", "prospect", ListeningSettings(), SpeechDetector(self._speech.stream()))
        self._ms, self.shown, self.words = 0, list[str](), 0

    def feed(self, sound: NDArray[np.int16]) -> None:
        for at in range(0, len(sound) - _FRAME + 1, _FRAME):
            windows = self._listener.feed(AudioFrame("prospect", self._ms, sound[at : at + _FRAME]))
            self._ms += 20
            transcripts = self._listener.settled()
            for window in windows:
                transcripts += self._listener.heard(window, self._whisper.decode(window))
            for each in transcripts:
                if isinstance(each, PartialTranscript):
                    self._show([w.text for w in (*each.settled, *each.open_tail)])
                elif isinstance(each, FinalTranscript):
                    self.words += len(each.words)
                    self._show([w.text for w in each.words])

    def _show(self, texts: list[str]) -> None:
        self.shown = [*self.shown, *texts][-200:]


def minutes_of(file: Path, minutes: int) -> Iterator[NDArray[np.int16]]:
    sound = np.concatenate([block[0] for block in channels_of(file)])
    yield from (sound for _ in range(max(1, round(minutes * 60 * _RATE / len(sound)))))


def nothing(options: argparse.Namespace, ear: Ear) -> dict[str, Any]:
    rng, counts, shown = np.random.default_rng(7), dict[str, int](), dict[str, list[str]]()
    sources: dict[str, Iterator[NDArray[np.int16]]] = {
        kind: (made(kind, rng, minute * _BLOCK_S) for minute in range(options.minutes)) for kind in ("silence", "hiss", "hum", "hold music")
    }
    for file in sorted(options.noise.iterdir()) if options.noise else ():
        if file.suffix in (".flac", ".wav", ".mp3", ".ogg"):
            sources[file.name] = minutes_of(file, options.minutes)
    for name, blocks in sources.items():
        ear.again()
        for block in blocks:
            ear.feed(block)
        counts[name], shown[name] = len(ear.shown), ear.shown[:12]
        if not options.json:
            print(f"  {name:40} {len(ear.shown)} words {' '.join(ear.shown[:12])}", flush=True)
    return {
        "minutes_each": options.minutes,
        "words": sum(counts.values()),
        "by_sound": counts,
        "shown": {n: s for n, s in shown.items() if s},
    }


def talk(options: argparse.Namespace, ear: Ear) -> dict[str, Any]:
    memory, began = [], time.monotonic()
    for at, block in enumerate(minutes_of(SAMPLE, options.talk)):
        ear.feed(block)
        memory.append(round(rss_mb(os.getpid()), 1))
        if not options.json:
            print(f"  {(at + 1) * len(block) / _RATE / 60:5.1f} min: {memory[-1]} MB, {ear.words} words", flush=True)
    return {"minutes": options.talk, "rss_mb": memory, "words": ear.words, "wall_s": round(time.monotonic() - began)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--noise", type=Path, help="folder with recordings in which nobody speaks")
    parser.add_argument("--talk", type=int, default=0, metavar="MINUTES")
    parser.add_argument("--model", choices=sorted(WHISPER), default="tiny.en")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    ear = Ear(options.model)
    result = talk(options, ear) if options.talk else nothing(options, ear)
    if options.json or options.talk:
        print(json.dumps(result))
    return 0 if options.talk or not result["words"] else 1


if __name__ == "__main__":
    sys.exit(main())
