"""What the evaluations of labelled lines have in common: reading them, hearing them, counting, printing, predictions.

A line is {"text", "labels", "speaker", "style"} (signals: "signals" for "labels"), optionally "also" (labels that count
neither for nor against) and "borderline" (reported with and without). A negative is a line without labels; it is a false
alarm when anything is predicted for it that "also" does not excuse. Times hold sentence models and detector, one line after another.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from intelligence.conversation.turns import Doubting, Finding, Reading, Turn, TurnWord, Vectors, sentences_of  # noqa: E402  the path is set above
from voice.models.onnx import SentenceVectors  # noqa: E402
from voice.models.trained import TrainedVectors, trained_vectors  # noqa: E402
from voice.models.weights import MINILM, WeightSet, files_of  # noqa: E402

Line = dict[str, Any]
Judge = Callable[[Line, Reading], list[Finding]]
"""What is heard in a line. It starts anew for each line where its detector keeps state."""


@dataclass(slots=True)
class Heard:
    """What a detector said about each line, in their order, and how long each took."""

    findings: list[list[Finding]] = field(default_factory=list)
    took_ms: list[float] = field(default_factory=list)

    @property
    def labels(self) -> list[set[str]]:
        return [{f.label for f in each} for each in self.findings]


def parser_of(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--json", action="store_true", help="one object on the last line")
    parser.add_argument("--predictions", type=Path, metavar="OUT.jsonl")
    return parser


def with_audio(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """For files of single lines: the same lines spoken over a telephone and heard by our recogniser, beside the text."""
    parser.add_argument("--through-audio", action="store_true", help="also speak the lines at 8 kHz (flite) and hear them")
    return parser


def compared(report: dict[str, Any], through: dict[str, Any]) -> dict[str, Any]:
    """The report of the text with that of the sound in it; prints what the sound costs."""
    print("-- through audio")
    printed(through)
    lost = {
        "macro_f1": round((report["macro_f1"] or 0.0) - (through["macro_f1"] or 0.0), 4),
        "recall": round(report["micro"]["recall"] - through["micro"]["recall"], 4),
    }
    print(f"lost to the sound: macro-F1 {lost['macro_f1']:.3f}, recall {lost['recall']:.3f}")
    return {**report, "through_audio": through, "lost": lost}


def lines_of(file: Path) -> list[Line]:
    return [json.loads(line) for line in file.read_text().splitlines() if line.strip()]


def sentence_vectors() -> SentenceVectors:
    """The sentence model, warm: the first sentence of a process takes longer and is not what an utterance costs."""
    cache = Path(tempfile.gettempdir())
    model = SentenceVectors(*files_of(MINILM, folder=None, cache=cache))
    model.embed(["warm up"])
    return model


def second_vectors(weights: WeightSet) -> TrainedVectors:
    """A second sentence model, warm."""
    model = trained_vectors(weights, folder=None, cache=Path(tempfile.gettempdir()))
    model.embed(["warm up"])
    return model


class Reader:
    """Reads turns as a call does: one thread for each sentence model, so that a detector's second need not wait for the first."""

    def __init__(self, asking: Doubting | None = None, weights: WeightSet | None = None) -> None:
        self._first, self._asking = sentence_vectors(), asking
        self._second = second_vectors(weights) if weights is not None else None
        self._beside = ThreadPoolExecutor(1, "second")

    def read(self, turn: Turn) -> Reading:
        sentences = sentences_of(turn.text)
        early = self._asking.at_once(turn, sentences, in_context=False) if self._asking is not None else []
        coming = self._beside.submit(self._opinions, early)
        reading = Reading(turn, sentences, self._first.embed(list(sentences)))
        late = self._asking.doubts(reading) if self._asking is not None else []
        second = coming.result()
        return replace(reading, second={**second, **self._opinions([text for text in late if text not in second])})

    def _opinions(self, texts: list[str]) -> dict[str, Vectors]:
        return dict(zip(texts, self._second.embed(texts), strict=True)) if self._second is not None else {}


def hear(lines: Sequence[Line], judge: Judge, reader: Reader, *, speaker: str = "prospect") -> Heard:
    """Every line read and judged; ``speaker`` where the line names none. The first is read once before the clock runs: a detector's
    first turn fills tables that the process keeps."""
    heard = Heard()

    def judged(line: Line) -> list[Finding]:
        words = tuple(TurnWord(*word) for word in line.get("words", ()))
        turn = Turn(line.get("speaker", speaker), line["text"], partial=bool(line.get("partial")), words=words)
        return judge(line, reader.read(turn))

    for line in lines[:1]:
        judged(line)
    for line in lines:
        began = time.perf_counter()
        heard.findings.append(judged(line))
        heard.took_ms.append((time.perf_counter() - began) * 1000)
    return heard


def also(line: Line) -> set[str]:
    named = line.get("also") or []
    return {named} if isinstance(named, str) else set(named)


def scores(lines: Sequence[Line], predicted: Sequence[set[str]], *, key: str = "labels") -> dict[str, Any]:
    """Per class precision, recall, F1; their mean over the classes that occur; micro figures; false alarms per 100 negatives."""
    per: dict[str, dict[str, float]] = {}
    sums = np.zeros(3)
    for label in sorted({name for line in lines for name in line[key]} | {name for names in predicted for name in names}):
        both = [(label in p, label in line[key]) for line, p in zip(lines, predicted, strict=True) if label not in also(line)]
        counts = (sum(p and t for p, t in both), sum(p for p, _ in both), sum(t for _, t in both))
        per[label] = {**_rates(*counts), "lines": counts[2]}
        sums += counts
    present = [row["f1"] for row in per.values() if row["lines"]]
    alarms = [bool(p - also(line)) for line, p in zip(lines, predicted, strict=True) if not line[key]]
    return {
        "lines": len(lines),
        "macro_f1": sum(present) / len(present) if present else None,
        "micro": _rates(*sums.tolist()),
        "false_alarms_per_100": 100 * sum(alarms) / len(alarms) if alarms else None,
        "negatives": len(alarms),
        "classes": per,
    }


def _rates(right: float, said: float, true: float) -> dict[str, float]:
    return {
        "precision": right / said if said else 0.0,
        "recall": right / true if true else 0.0,
        "f1": 2 * right / (said + true) if said + true else 0.0,
    }


def report_of(lines: Sequence[Line], heard: Heard, *, key: str = "labels") -> dict[str, Any]:
    """The scores of all lines, of those that are not borderline, and of each style; milliseconds for each utterance."""
    predicted = heard.labels

    def part(chosen: list[int]) -> dict[str, Any]:
        return scores([lines[i] for i in chosen], [predicted[i] for i in chosen], key=key)

    report = scores(lines, predicted, key=key)
    report["without_borderline"] = part([i for i, line in enumerate(lines) if not line.get("borderline")])
    report["by_style"] = {
        style: part([i for i, line in enumerate(lines) if line.get("style", "") == style])
        for style in sorted({line.get("style", "") for line in lines})
    }
    took = heard.took_ms
    report["ms"] = {"p50": float(np.percentile(took, 50)), "p99": float(np.percentile(took, 99))} if took else None
    return report


def printed(report: dict[str, Any]) -> None:
    for label, row in report["classes"].items():
        print(f"{label:20} P {row['precision']:.3f}  R {row['recall']:.3f}  F1 {row['f1']:.3f}  ({row['lines']})")
    for name, part in (("all lines", report), ("without borderline", report["without_borderline"])):
        micro = part["micro"]
        print(
            f"{name}: macro-F1 {_said(part['macro_f1'])}  micro P {micro['precision']:.3f} R {micro['recall']:.3f} F1 {micro['f1']:.3f}"
            f"  false alarms per 100 negatives {_said(part['false_alarms_per_100'])} (of {part['negatives']})"
        )
    if report["ms"]:
        print(f"ms per utterance: p50 {report['ms']['p50']:.1f}  p99 {report['ms']['p99']:.1f}")


def _said(figure: float | None) -> str:
    return "none" if figure is None else f"{figure:.3f}"


def write_predictions(
    file: Path, lines: Sequence[Line], heard: Heard, values: Callable[[Sequence[Finding]], dict[str, Any]] | None = None
) -> None:
    """A line {"text", "predicted", "values", "confidence"} for each input line; ``values``: how those of a line are written."""
    shape = values or (lambda findings: {f.label: dict(f.values) for f in findings})
    with file.open("w") as out:
        for line, findings in zip(lines, heard.findings, strict=True):
            answer = {
                "text": line["text"],
                "predicted": list(dict.fromkeys(f.label for f in findings)),
                "values": shape(findings),
                "confidence": {f.label: f.confidence for f in sorted(findings, key=lambda f: f.confidence)},
            }
            out.write(json.dumps(answer) + "\n")
