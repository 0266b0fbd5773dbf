"""scripts/evaluate objections FILE.jsonl [--json] [--predictions OUT.jsonl]: how well objections are told.

Lines are {"text", "labels", "speaker", "style"}, optionally "also" (a second label that counts neither for nor against)
and "borderline" (reported with and without). A negative is a line without labels; it is a false alarm when anything is
predicted for it that "also" does not excuse. Times hold the embedding and the head, one line after another.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from intelligence.conversation.objections import ObjectionDetector  # noqa: E402  the path is set above
from intelligence.conversation.turns import Conversation, Finding, Reading, Turn, sentences_of  # noqa: E402
from voice.models.onnx import SentenceVectors  # noqa: E402
from voice.models.weights import MINILM, file_of  # noqa: E402


def scores(lines: Sequence[dict[str, Any]], predicted: Sequence[set[str]]) -> dict[str, Any]:
    """Per-class precision, recall and F1; their mean over the classes that occur; false alarms per 100 negatives."""
    per: dict[str, dict[str, float]] = {}
    for label in sorted({name for line in lines for name in line["labels"]} | {name for names in predicted for name in names}):
        both = [(label in p, label in line["labels"]) for line, p in zip(lines, predicted, strict=True) if label not in _also(line)]
        right, said, true = sum(p and t for p, t in both), sum(p for p, _ in both), sum(t for _, t in both)
        per[label] = {
            "precision": right / said if said else 0.0,
            "recall": right / true if true else 0.0,
            "f1": 2 * right / (said + true) if said + true else 0.0,
            "lines": true,
        }
    present = [row["f1"] for row in per.values() if row["lines"]]
    alarms = [bool(p - _also(line)) for line, p in zip(lines, predicted, strict=True) if not line["labels"]]
    return {
        "lines": len(lines),
        "macro_f1": sum(present) / len(present) if present else None,
        "false_alarms_per_100": 100 * sum(alarms) / len(alarms) if alarms else None,
        "negatives": len(alarms),
        "classes": per,
    }


def _also(line: dict[str, Any]) -> set[str]:
    also = line.get("also") or []
    return {also} if isinstance(also, str) else set(also)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", type=Path)
    parser.add_argument("--json", action="store_true", help="one object on the last line")
    parser.add_argument("--predictions", type=Path, metavar="OUT.jsonl")
    arguments = parser.parse_args()
    lines = [json.loads(line) for line in arguments.file.read_text().splitlines() if line.strip()]
    cache = Path(tempfile.gettempdir())
    model = SentenceVectors(*(file_of(MINILM, f, folder=None, cache=cache) for f in ("model.onnx", "minilm-tokenizer.json")))
    detector = ObjectionDetector()
    model.embed(["warm up"])
    found: list[list[Finding]] = []
    took: list[float] = []
    for line in lines:
        began = time.perf_counter()
        sentences = sentences_of(line["text"])
        reading = Reading(Turn(line.get("speaker", "prospect"), line["text"]), sentences, model.embed(list(sentences)))
        found.append(detector.feed(reading, Conversation()))
        took.append((time.perf_counter() - began) * 1000)
    predicted = [{f.label for f in findings} for findings in found]
    report = scores(lines, predicted)
    sure = [i for i, line in enumerate(lines) if not line.get("borderline")]
    report["without_borderline"] = scores([lines[i] for i in sure], [predicted[i] for i in sure])
    report["by_style"] = {}
    for style in sorted({line.get("style", "") for line in lines}):
        chosen = [i for i, line in enumerate(lines) if line.get("style", "") == style]
        report["by_style"][style] = scores([lines[i] for i in chosen], [predicted[i] for i in chosen])
    report["ms"] = {"p50": float(np.percentile(took, 50)), "p99": float(np.percentile(took, 99))} if took else None
    for label, row in report["classes"].items():
        print(f"{label:15} P {row['precision']:.3f}  R {row['recall']:.3f}  F1 {row['f1']:.3f}  ({row['lines']})")
    print(f"macro-F1 {report['macro_f1']}  false alarms per 100 negatives {report['false_alarms_per_100']}  ms {report['ms']}")
    if arguments.predictions:
        with arguments.predictions.open("w") as out:
            for line, findings in zip(lines, found, strict=True):
                answer = {
                    "text": line["text"],
                    "predicted": [f.label for f in findings],
                    "values": {f.label: dict(f.values) for f in findings},
                    "confidence": {f.label: f.confidence for f in findings},
                }
                out.write(json.dumps(answer) + "\n")
    if arguments.json:
        print(json.dumps(report))


if __name__ == "__main__":
    main()
