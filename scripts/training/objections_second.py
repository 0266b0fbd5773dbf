"""scripts/train objections_second: the second head of intelligence/conversation/objections.py, behind the first.

The same sentences, folds by voice and counting as scripts/train objections. Judged is the cascade: out of fold, a sentence
gets the second head's word where the first head gives any label ``LEAST`` or more, else nothing. The figure is printed with
thresholds of the same lines (kind) and with those of the other folds (fair), and for the voices of objections_talk_*.txt
with both heads and all thresholds from the other files alone (the hardest).
"""

import sys
import tempfile
import tomllib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from intelligence.conversation.classifier import write_checked  # noqa: E402  the path is set above
from intelligence.conversation.objection_head import concepts_digest, evidence  # noqa: E402  the path is set above
from intelligence.conversation.objection_second import SHARES, centred, kernel, words_part  # noqa: E402
from intelligence.conversation.objections import SECOND, WEIGHTS  # noqa: E402
from scripts.evaluations.labels import sentence_vectors  # noqa: E402
from scripts.training.objections import FOLDS, Numbers, Truth, material, ridge, scored, seen  # noqa: E402
from voice.models.second import SecondVectors  # noqa: E402
from voice.models.weights import E5, file_of  # noqa: E402

LEAST = 0.4
FALSE_ALARMS = 5.0  # per 100 negatives, out of fold
PENALTY = 1.0
Folds = NDArray[np.int64]
Floats = NDArray[np.float32]


def dual(gram: Floats, y: Numbers) -> tuple[Numbers, Numbers]:
    """Kernel ridge regressions: what each sentence says for each label, and the bias."""
    moved = gram.astype(np.float32).copy()
    moved[np.diag_indices_from(moved)] += PENALTY
    mean = y.mean(0)
    return np.linalg.solve(moved, (y - mean).astype(np.float32)).astype(np.float64), mean


def out_of_fold(x: Floats, gram: Floats, y: Numbers, fold: Folds) -> tuple[Numbers, Numbers]:
    """Margins of the first and of the second head; lines of fold -2 have no part in it."""
    first, second = np.zeros(y.shape), np.zeros(y.shape)
    for k in range(FOLDS):
        within, out = np.flatnonzero((fold != k) & (fold != -2)), np.flatnonzero(fold == k)
        if len(out):
            weights, bias = ridge(x[within], y[within])
            first[out] = x[out] @ weights.T + bias
            duals, mean = dual(gram[np.ix_(within, within)], y[within])
            second[out] = gram[np.ix_(out, within)] @ duals + mean
    return first, second


def calibrations(margin: Numbers, truth: Truth) -> list[LogisticRegression]:
    seen = evidence(margin)
    return [LogisticRegression(C=1.0).fit(seen[:, c], truth[:, c]) for c in range(truth.shape[1])]


def applied(fitted: list[LogisticRegression], margin: Numbers) -> Numbers:
    seen = evidence(margin)
    return np.stack([f.predict_proba(seen[:, c])[:, 1] for c, f in enumerate(fitted)], axis=1)


def by_fold(margin: Numbers, truth: Truth, fold: Folds) -> Numbers:
    """Probabilities out of fold."""
    out = np.zeros(truth.shape)
    for k in range(FOLDS):
        if (fold == k).any():
            within = (fold >= 0) & (fold != k)
            out[fold == k] = applied(calibrations(margin[within], truth[within]), margin[fold == k])
    return out


def cascade(first: Numbers, second: Numbers) -> Numbers:
    return np.where(first.max(1, keepdims=True) >= LEAST, second, 0.0)


def threshold_of(p: Numbers, truth: Truth) -> float:
    """The lowest common threshold within the false alarms. One for each label does better on the sentences it is set on, and
    worse on others.
    """
    bars = np.arange(0.3, 0.99, 0.01)
    return float(next((bar for bar in bars if scored(p >= bar, truth)[1] <= FALSE_ALARMS), bars[-1]))


def said(name: str, hit: Truth, truth: Truth) -> None:
    f1, alarms = scored(hit, truth)
    right = (hit & truth).sum() / max(1, hit.sum())
    print(
        f"{name:44} macro-F1 {f1.mean():.3f}  precision {right:.3f}  recall {(hit & truth).sum() / truth.sum():.3f}  alarms {alarms:.1f} per 100"
    )


def another_manner(x: Floats, gram: Floats, y: Numbers, truth: Truth, fold: Folds, talk: Truth) -> None:
    """Everything from the other files, judged on the talk files: as far from home as our own sentences go."""
    home = np.where(talk, -2, fold)
    first, second = out_of_fold(x, gram, y, home)
    judged, within, out = home >= 0, np.flatnonzero(~talk), np.flatnonzero(talk)
    bar = threshold_of(cascade(by_fold(first, truth, home), by_fold(second, truth, home))[judged], truth[judged])
    weights, bias = ridge(x[within], y[within])
    duals, mean = dual(gram[np.ix_(within, within)], y[within])
    far = (x[out] @ weights.T + bias, gram[np.ix_(out, within)] @ duals + mean)
    p = [applied(calibrations(m[judged], truth[judged]), f) for m, f in zip((first, second), far, strict=True)]
    said("talk files, all from the other files", cascade(p[0], p[1]) >= bar, truth[out])


def main() -> None:
    folder = WEIGHTS.parent
    labels = tuple(tomllib.loads((folder.parent / "taxonomy.toml").read_text())["objections"])
    lines, texts, truth, fold = material(folder, labels)
    talk = np.array([voice.startswith("objections_talk") for *_, voice in lines] * 2)
    y = np.concatenate((truth, truth.any(1, keepdims=True)), axis=1).astype(np.float64)
    model = sentence_vectors()
    x = seen(model, texts)
    other = SecondVectors(file_of(E5, "e5-small-q4.bin", folder=None, cache=Path(tempfile.gettempdir()))).embed(texts)
    mean = other.mean(0)
    second, words = centred(other, mean), words_part(texts)
    gram = kernel(SHARES[0] * (second @ second.T) + SHARES[1] * (words @ words.T))
    if "--manner" in sys.argv:
        another_manner(x, gram, y, truth, fold, talk)
    first_margin, margin = out_of_fold(x, gram, y, fold)
    judged = fold >= 0
    first, alone = by_fold(first_margin, truth, fold), by_fold(margin, truth, fold)
    p = cascade(first, alone)
    bar = threshold_of(p[judged], truth[judged])
    fair = np.zeros(truth.shape, bool)
    for k in range(FOLDS):
        fair[fold == k] = p[fold == k] >= threshold_of(p[judged & (fold != k)], truth[judged & (fold != k)])
    f1, _ = scored((p >= bar)[judged], truth[judged])
    print(f"threshold {bar:.2f}")
    for name, score, count in zip(labels, f1, truth.sum(0), strict=True):
        print(f"{name:15} F1 {score:.3f}  sentences {count // 2:4}")
    said("cascade, thresholds of the same lines", (p >= bar)[judged], truth[judged])
    said("cascade, thresholds of the other folds", fair[judged], truth[judged])
    said("second head alone, same lines", (alone >= threshold_of(alone[judged], truth[judged]))[judged], truth[judged])
    said("first head alone, same lines", (first >= threshold_of(first[judged], truth[judged]))[judged], truth[judged])
    asked, objects = first.max(1) >= LEAST, truth.any(1)
    print(f"asked: objections {asked[judged & objects].mean():.2f}, negatives {asked[judged & ~objects].mean():.2f}")
    for low in np.arange(0.0, 1.0, 0.2):
        rows = (alone[judged & asked] >= low) & (alone[judged & asked] < low + 0.2)
        print(
            f"confidence {low:.1f}-{low + 0.2:.1f}: said {alone[judged & asked][rows].mean():.2f}, was {truth[judged & asked][rows].mean():.2f}"
        )
    duals, bias = dual(gram, y)
    fitted = calibrations(margin[judged], truth[judged])
    write(labels, second, words, mean, duals, bias, fitted, bar)


def write(
    labels: tuple[str, ...], second: Floats, words: Floats, mean: Floats, duals: Numbers, bias: Numbers,
    fitted: list[LogisticRegression], bar: float,
) -> None:  # fmt: skip
    columns, rows = np.nonzero(words.T)
    digest = write_checked(
        SECOND,
        labels=np.array(labels),
        second=np.round(second * 127).astype(np.int8),
        starts=np.searchsorted(columns, np.arange(words.shape[1] + 1)).astype(np.int32),
        rows=rows.astype(np.uint16 if len(second) < 65_536 else np.uint32),
        values=np.round(words.T[columns, rows] * 127).astype(np.int8),
        mean=mean.astype(np.float32),
        duals=duals.astype(np.float16),
        bias=bias.astype(np.float32),
        scale=np.array([[*f.coef_[0], f.intercept_[0]] for f in fitted], np.float32),
        thresholds=np.full(len(labels), bar, np.float32),
        least=np.float32(LEAST),
        concepts=np.frombuffer(bytes.fromhex(concepts_digest()), np.uint8),
    )
    print(digest)


if __name__ == "__main__":
    main()
