"""scripts/train objections: the head of intelligence/conversation/objections.py, from the authored sentences beside it.

Every sentence is used twice: as written and as a recogniser might give it (seeded). Figures printed are out of fold, by
voice: all that one voice of objections_*.txt says is in one fold (the hard negatives are spread by line). Thresholds are
set on these voices, so the figures are a little kind; they are of our own sentences and so kinder than other people's.
"""

import random
import re
import sys
import tomllib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from intelligence.conversation.classifier import save_head  # noqa: E402  the path is set above
from intelligence.conversation.objection_head import concepts_digest, evidence, inputs  # noqa: E402
from intelligence.conversation.objections import WEIGHTS  # noqa: E402
from scripts.evaluations.labels import sentence_vectors  # noqa: E402
from voice.models.onnx import SentenceVectors  # noqa: E402

FOLDS = 6
FALSE_ALARMS = 5.0  # per 100 negatives, out of fold
TAKEN_BACK = 0.05  # of the calls made early
CUTS = (0.5, 0.65, 0.8)  # of a sentence's words
PENALTY = 1.0
_FIRST = ("prospect", "objections_one")  # written without voices: always in the training part
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
Truth = NDArray[np.bool_]
Numbers = NDArray[np.float64]


def authored(folder: Path, labels: tuple[str, ...]) -> list[tuple[str, frozenset[str], str]]:
    """The sentences of prospect.txt and objections*.txt with their objections (none: no objection) and their voice."""
    lines: dict[str, tuple[frozenset[str], str]] = {}
    for file in [folder / "prospect.txt", *sorted(folder.glob("objections*.txt"))]:
        voice = file.stem
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if line.startswith("# voice:"):
                voice = f"{file.stem}/{line[8:].strip()}"
            if not line.strip() or line.startswith("#"):
                continue
            head, bar, text = line.partition("|")
            named = {n.strip() for n in head.split(",")}
            if not bar or not text.strip():
                raise SystemExit(f"{file.name}:{number}: want `labels | sentence`")
            if not named & _UNUSED:
                lines[text.strip()] = (frozenset(named & set(labels)), voice)
    return [(text, named, voice) for text, (named, voice) in lines.items()]


def as_heard(text: str, dice: random.Random) -> str:
    """A recogniser's version: lower case, no punctuation, now and then a word misheard or lost."""
    words = re.sub(r"[^a-z0-9' ]", " ", text.lower().replace("’", "'")).split()
    return " ".join(_MISHEARD.get(w, w) if dice.random() < 0.5 else w for w in words if len(words) < 4 or dice.random() > 0.04)


def folds_of(lines: list[tuple[str, frozenset[str], str]]) -> NDArray[np.int64]:
    """A fold for each line, -1: never left out."""
    dice = random.Random(1)
    voices = sorted({voice for _, _, voice in lines})
    dice.shuffle(voices)
    place = {voice: i % FOLDS for i, voice in enumerate(voices)}
    return np.array(
        [-1 if v in _FIRST else dice.randrange(FOLDS) if v.startswith("objections_not") else place[v] for _, _, v in lines], np.int64
    )


def ridge(x: NDArray[np.float32], y: Numbers) -> tuple[Numbers, Numbers]:
    """Weights and bias of ridge regressions: ``x`` (n, inputs), ``y`` (n, labels); the mean of ``y`` is the bias."""
    mean = y.mean(0)
    square = (x.T @ x).astype(np.float64)
    square[np.diag_indices_from(square)] += PENALTY
    return np.linalg.solve(square, x.T.astype(np.float64) @ (y - mean)).T, mean


def scored(hit: Truth, truth: Truth) -> tuple[Numbers, float]:
    """F1 of each label; false alarms per 100 negatives."""
    f1 = 2 * (hit & truth).sum(0) / np.maximum(1, hit.sum(0) + truth.sum(0))
    return f1, float(100 * hit[~truth.any(1)].any(1).mean())


def thresholds_of(p: Numbers, truth: Truth) -> Numbers:
    """The thresholds of the best macro-F1 that keep to the false alarms, found label by label in three rounds."""

    def worth(bars: Numbers) -> float:
        f1, alarms = scored(p >= bars, truth)
        return float(f1.mean()) - 0.02 * max(0.0, alarms - FALSE_ALARMS)

    bars = np.full(p.shape[1], 0.6)
    for _ in range(3):
        for c in range(len(bars)):
            tried = [np.where(np.arange(len(bars)) == c, bar, bars) for bar in np.arange(0.2, 0.96, 0.03)]
            bars = max(tried, key=worth)
    return bars


def partial_thresholds(early: Numbers, whole: Truth, truth: Truth) -> tuple[Numbers, str]:
    """For each label the lowest threshold at which at most TAKEN_BACK of its early calls are not borne out by the whole.

    ``early``: out-of-fold probabilities of sentences cut at CUTS, shape (cuts, n, labels); ``whole``: what is said of the
    whole sentence. A call on a sentence that never held the label counts against it too.
    """
    bars, made, wrong, caught = [], 0, 0, 0
    for c in range(early.shape[2]):
        bar = 0.97
        for tried in np.arange(0.95, 0.3, -0.02):
            calls = (early[:, :, c] >= tried).any(0)
            against = (calls & ~(whole[:, c] & truth[:, c])).sum()
            if calls.sum() and against > max(1, TAKEN_BACK * calls.sum()):
                break
            bar = float(tried)
        calls = (early[:, :, c] >= bar).any(0)
        made, wrong = made + int(calls.sum()), wrong + int((calls & ~whole[:, c]).sum())
        caught += int((calls & truth[:, c]).sum())
        bars.append(bar)
    said = (
        f"early calls {made}, taken back {wrong} ({wrong / max(1, made):.3f}); objections called early {caught / max(1, truth.sum()):.3f}"
    )
    return np.array(bars), said


def material(folder: Path, labels: tuple[str, ...]) -> tuple[list[tuple[str, frozenset[str], str]], list[str], Truth, NDArray[np.int64]]:
    """The authored lines in a fixed disorder; their sentences as written and then as heard, the labels and folds of both."""
    dice = random.Random(5)
    lines = authored(folder, labels)
    dice.shuffle(lines)
    written = [text for text, _, _ in lines]
    texts = written + [as_heard(text, dice) for text in written]
    truth = np.array([[label in named for label in labels] for _, named, _ in lines] * 2)
    fold = np.concatenate((folds_of(lines),) * 2)
    return lines, texts, truth, fold


def seen(model: SentenceVectors, texts: list[str]) -> NDArray[np.float32]:
    """The first head's inputs."""
    return inputs(texts, np.concatenate([model.embed(texts[i : i + 32]) for i in range(0, len(texts), 32)]))


def main() -> None:
    folder = WEIGHTS.parent
    labels = tuple(tomllib.loads((folder.parent / "taxonomy.toml").read_text())["objections"])
    lines, texts, truth, fold = material(folder, labels)
    model = sentence_vectors()
    x = seen(model, texts)
    y = np.concatenate((truth, truth.any(1, keepdims=True)), axis=1).astype(np.float64)
    heard = np.arange(len(texts)) >= len(lines)  # unfinished sentences are always a recogniser's
    cut = [seen(model, [" ".join(t.split()[: max(1, round(len(t.split()) * part))]) for t in texts[len(lines) :]]) for part in CUTS]
    margin, early_margin = np.zeros(y.shape), np.zeros((len(CUTS), *y.shape))
    for k in range(FOLDS):
        weights, bias = ridge(x[fold != k], y[fold != k])
        margin[fold == k] = x[fold == k] @ weights.T + bias
        for i, part in enumerate(cut):
            early_margin[i, heard & (fold == k)] = part[fold[heard] == k] @ weights.T + bias
    judged = fold >= 0
    scale, probability, early = calibrated(margin, early_margin, truth, fold)
    bars = thresholds_of(probability[judged], truth[judged])
    hit = probability >= bars
    f1, alarms = scored(hit[judged], truth[judged])
    partial, said = partial_thresholds(early[:, judged & heard], hit[judged & heard], truth[judged & heard])
    for name, score, count, bar, soon in zip(labels, f1, truth.sum(0), bars, partial, strict=True):
        print(f"{name:15} F1 {score:.3f}  sentences {count // 2:4}  threshold {bar:.2f}  partial {soon:.2f}")
    print(f"macro-F1 {f1.mean():.3f}  false alarms {alarms:.1f} per 100 of {(~truth.any(1) & judged).sum()} negatives")
    print(said)
    for low in np.arange(0.0, 1.0, 0.2):
        within = (probability[judged] >= low) & (probability[judged] < low + 0.2)
        print(
            f"confidence {low:.1f}-{low + 0.2:.1f}: said {probability[judged][within].mean():.2f}, was {truth[judged][within].mean():.2f}"
        )
    weights, bias = ridge(x, y)
    ideas = np.frombuffer(bytes.fromhex(concepts_digest()), np.uint8)
    arrays = {"weights": weights, "bias": bias, "scale": scale, "thresholds": bars, "partial": partial, "concepts": ideas}
    print(save_head(WEIGHTS, [*labels, "any"], {k: np.array(v, np.float32) for k, v in arrays.items()}))


def calibrated(margin: Numbers, early: Numbers, truth: Truth, fold: NDArray[np.int64]) -> tuple[Numbers, Numbers, Numbers]:
    """Calibration of each label, and out-of-fold probabilities of whole (n, labels) and cut sentences (cuts, n, labels)."""
    seen, cut = evidence(margin), np.stack([evidence(m) for m in early])
    probability, soon, scale = np.zeros(truth.shape), np.zeros((len(early), *truth.shape)), []
    for c in range(truth.shape[1]):
        for k in range(FOLDS):
            rows = (fold >= 0) & (fold != k)
            fitted = LogisticRegression(C=1.0).fit(seen[rows, c], truth[rows, c])
            probability[fold == k, c] = fitted.predict_proba(seen[fold == k, c])[:, 1]
            for i in range(len(early)):
                soon[i, fold == k, c] = fitted.predict_proba(cut[i, fold == k, c])[:, 1]
        fitted = LogisticRegression(C=1.0).fit(seen[fold >= 0, c], truth[fold >= 0, c])
        scale.append([*fitted.coef_[0], fitted.intercept_[0]])
    return np.array(scale), probability, soon


if __name__ == "__main__":
    main()
