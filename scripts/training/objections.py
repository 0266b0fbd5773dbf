"""scripts/train objections: the head of intelligence/conversation/objections.py, from the authored sentences beside it.

Every sentence is used twice: as written and as a recogniser might give it (seeded). Figures printed are out of fold, a
sentence and its copy always in the same fold; they are of our own sentences and so kinder than other people's.
"""

import random
import re
import sys
import tempfile
import tomllib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from intelligence.conversation.classifier import features, save_head  # noqa: E402  the path is set above
from intelligence.conversation.objection_cues import columns  # noqa: E402
from intelligence.conversation.objections import WEIGHTS  # noqa: E402
from voice.models.onnx import SentenceVectors  # noqa: E402
from voice.models.weights import MINILM, file_of  # noqa: E402

FOLDS = 5
FALSE_ALARMS = 0.08  # of the negatives, out of fold; ours are near misses, so of everyday talk it is less
_UNUSED = {"commitment_refused", "stress"}  # signals that often are an objection as well: no clean negatives
_MISHEARD = {
    "their": "there",
    "your": "you're",
    "than": "then",
    "to": "too",
    "would": "wood",
    "sell": "cell",
    "buy": "by",
    "for": "four",
    "our": "are",
    "realtor": "real tour",
    "commission": "comission",
    "mortgage": "more gauge",
    "we're": "were",
    "i'd": "id",
}


def authored(folder: Path, labels: tuple[str, ...]) -> list[tuple[str, frozenset[str]]]:
    """The sentences of prospect.txt and objections*.txt with their objections (none: no objection)."""
    lines: dict[str, frozenset[str]] = {}
    for file in [folder / "prospect.txt", *sorted(folder.glob("objections*.txt"))]:
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            head, bar, text = line.partition("|")
            named = {n.strip() for n in head.split(",")}
            if not bar or not text.strip():
                raise SystemExit(f"{file.name}:{number}: want `labels | sentence`")
            if not named & _UNUSED:
                lines[text.strip()] = frozenset(named & set(labels))
    return list(lines.items())


def as_heard(text: str, dice: random.Random) -> str:
    """A recogniser's version: lower case, no punctuation, now and then a word misheard or lost."""
    words = re.sub(r"[^a-z0-9' ]", " ", text.lower().replace("’", "'")).split()
    return " ".join(_MISHEARD.get(w, w) if dice.random() < 0.5 else w for w in words if len(words) < 4 or dice.random() > 0.04)


def threshold_of(p: NDArray[np.float32], truth: NDArray[np.bool_]) -> float:
    """The threshold of the best F1, from a grid."""
    best = (0.0, 0.5)
    for bar in np.arange(0.15, 0.9, 0.025):
        hit = p >= bar
        f1 = 2 * float((hit & truth).sum()) / max(1.0, float(hit.sum() + truth.sum()))
        best = max(best, (f1, float(bar)))
    return best[1]


def main() -> None:
    folder = WEIGHTS.parent
    labels = tuple(tomllib.loads((folder.parent / "taxonomy.toml").read_text())["objections"])
    dice = random.Random(5)
    lines = authored(folder, labels)
    dice.shuffle(lines)
    texts = [t for line, _ in lines for t in (line, as_heard(line, dice))]
    truth = np.array([[label in named for label in labels] for _, named in lines for _ in range(2)])
    fold = np.repeat(np.arange(len(lines)) % FOLDS, 2)
    cache = Path(tempfile.gettempdir())
    model = SentenceVectors(*(file_of(MINILM, f, folder=None, cache=cache) for f in ("model.onnx", "minilm-tokenizer.json")))
    vectors = np.concatenate([model.embed(texts[i : i + 32]) for i in range(0, len(texts), 32)])
    x = np.concatenate((features(texts, vectors), columns(texts)), axis=1)

    def fit(rows: NDArray[np.bool_], column: int) -> LogisticRegression:
        return LogisticRegression(C=6.0, class_weight="balanced", solver="liblinear").fit(x[rows], truth[rows, column])

    margin = np.zeros(truth.shape, np.float32)
    weights, bias, scale, bars = [], [], [], []
    probability = np.zeros(truth.shape, np.float32)
    everything = np.ones(len(texts), np.bool_)
    for c in range(len(labels)):
        for k in range(FOLDS):
            margin[fold == k, c] = fit(fold != k, c).decision_function(x[fold == k])
        platt = LogisticRegression(C=100.0).fit(margin[:, [c]], truth[:, c])
        scale.append([platt.coef_[0, 0], platt.intercept_[0]])
        probability[:, c] = platt.predict_proba(margin[:, [c]])[:, 1]
        bars.append(threshold_of(probability[:, c], truth[:, c]))
        whole = fit(everything, c)
        weights.append(whole.coef_[0])
        bias.append(whole.intercept_[0])
    bar, none = np.array(bars), ~truth.any(1)
    while float((probability[none] >= bar).any(1).mean()) > FALSE_ALARMS and bar.min() < 0.9:
        bar = np.minimum(bar + 0.02, 0.95)
    hit = probability >= bar
    f1 = 2 * (hit & truth).sum(0) / np.maximum(1, hit.sum(0) + truth.sum(0))
    for name, score, count, cut in zip(labels, f1, truth.sum(0), bar, strict=True):
        print(f"{name:15} F1 {score:.3f}  sentences {count // 2:4}  threshold {cut:.2f}")
    print(f"macro-F1 {f1.mean():.3f}  false alarms {100 * hit[none].any(1).mean():.1f} per 100 of {none.sum()} negatives")
    for low in np.arange(0.0, 1.0, 0.2):
        within = (probability >= low) & (probability < low + 0.2)
        print(
            f"confidence {low:.1f}-{low + 0.2:.1f}: said {probability[within].mean():.2f}, was {truth[within].mean():.2f} ({within.sum()})"
        )
    arrays = {"weights": weights, "bias": bias, "scale": scale, "thresholds": bar}
    print(save_head(WEIGHTS, labels, {k: np.array(v, np.float32) for k, v in arrays.items()}))


if __name__ == "__main__":
    main()
