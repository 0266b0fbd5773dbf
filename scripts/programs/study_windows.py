"""scripts/study_windows MANIFEST.jsonl: each file decoded whole, by trailing silence x timestamps x beam x threads x model.

Prints a table in Markdown: word errors, and CPU time per file (median), apart for telephone files and the others.
--every N takes each n-th file. A file longer than --longest seconds is left out: live windows are short.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts.evaluations.asr import counted, sound_of, wrong_words
from scripts.programs.stream_wav import CACHE
from voice.models import Window
from voice.models.weights import WHISPER, folder_of
from voice.models.whisper import Decoding, Whisper


@dataclass(frozen=True, slots=True)
class Setup:
    model: str
    trailing_s: float
    timestamps: bool = True
    beam: int = 1
    threads: int = 1


SETUPS = (
    *(Setup("tiny.en", s) for s in (1, 2, 4, 6, 8, 30)),
    Setup("tiny.en", 2, timestamps=False),
    Setup("tiny.en", 4, timestamps=False),
    Setup("tiny.en", 6, timestamps=False),
    Setup("tiny.en", 6, beam=5),
    Setup("tiny.en", 30, beam=5),
    Setup("tiny.en", 6, threads=2),
    *(Setup("base", s) for s in (4, 6, 30)),
    Setup("base", 6, beam=5),
)


def measured(whisper: Whisper, setup: Setup, files: list[tuple[list[str], NDArray[np.int16]]]) -> tuple[float, float, float]:
    """(word errors in %, CPU ms of the median file, wall ms of the median file)."""
    wrong = words = 0
    cpu, wall = [], []
    for reference, sound in files:
        began, before = time.perf_counter(), time.process_time()
        hypothesis = whisper.decode(
            Window("s", "agent", "", sound, 0, "final"), Decoding(setup.trailing_s, setup.beam, True, setup.timestamps)
        )
        cpu.append(1000 * (time.process_time() - before))
        wall.append(1000 * (time.perf_counter() - began))
        wrong += wrong_words(reference, counted(" ".join(w.text for w in hypothesis.words)))
        words += len(reference)
    return 100 * wrong / max(1, words), float(np.median(cpu)), float(np.median(wall))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--longest", type=float, default=12.0)
    options = parser.parse_args()
    kinds: dict[str, list[tuple[list[str], NDArray[np.int16]]]] = {"telephone": [], "other": []}
    items: list[dict[str, Any]] = [json.loads(line) for line in options.manifest.read_text().splitlines() if line.strip()]
    for item in items[:: options.every]:
        sound = sound_of(options.manifest.parent / item["audio"])
        if len(sound) <= options.longest * 16_000:
            kinds["telephone" if item.get("telephone") else "other"].append((counted(item["text"]), sound))
    print("| model | trailing s | timestamps | beam | threads |", *(f"{k} ({len(f)}): WER %, CPU ms, wall ms |" for k, f in kinds.items()))
    print("|---|---|---|---|---|---|---|")
    models: dict[tuple[str, int], Whisper] = {}
    for setup in SETUPS:
        key = setup.model, setup.threads
        if key not in models:
            folder = folder_of(WHISPER[setup.model], folder=None, cache=CACHE)
            models[key] = Whisper(folder, setup.model, workers=1, threads=setup.threads)
        row = []
        for files in kinds.values():
            errors, cpu_ms, wall_ms = measured(models[key], setup, files)
            row.append(f"{errors:.1f}, {cpu_ms:.0f}, {wall_ms:.0f} |")
        marks = "on" if setup.timestamps else "off"
        print(f"| {setup.model} | {setup.trailing_s:g} | {marks} | {setup.beam} | {setup.threads} |", *row, flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
