"""scripts/train signals: the head of intelligence/conversation/signals.py, from the authored sentences and lines beside it.

The lines (signals_read_*.jsonl) were tests until what was missed in them had been read. Every sentence is used as written,
as a recogniser might give it (seeded), with its numbers as digits, and in one breath with another sentence, as a recogniser gives a turn without punctuation. Figures printed are out of fold, a sentence and
its copies always in the same fold; they are of our own sentences and so kinder than other people's.
"""

import random
import sys
import tomllib
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from intelligence.conversation.classifier import features, save_head  # noqa: E402  the path is set above
from intelligence.conversation.signal_cues import columns, values_in  # noqa: E402
from intelligence.conversation.signals import REASON, WEIGHTS  # noqa: E402
from scripts.evaluations.labels import lines_of, sentence_vectors  # noqa: E402
from scripts.training.calls import said_in_calls  # noqa: E402
from scripts.training.objections import as_heard  # noqa: E402
from voice.numerals import written  # noqa: E402

FOLDS = 5
FALSE_ALARMS = 0.18  # of the sentences without a signal, out of fold; ours are near misses, so of everyday talk it is less
TODAY = date(2026, 3, 2)
JOINED = 0.6  # of the sentences get a copy in one breath with another
_RULED = {"protected_question"}  # heard by rules, in the compliance module
# Sentences of the objections that carry none of these signals by their nature: more near misses for these three.
_NEVER_OBJECTIONS = ("buying_interest", "appointment", "do_not_call")
# What the calls say of a signal: the card that it raises there.
_IN_CALLS = {"buying_interest": "close_now", "stress": "empathy", "do_not_call": ""}


def labels_of(taxonomy: Path) -> tuple[str, ...]:
    """The head's names: the signals, motivation once for each reason."""
    table = tomllib.loads(taxonomy.read_text())
    return (*(s for s in table["signals"] if s not in _RULED | {"motivation"}), *(REASON + r for r in table["motivations"]["values"]))


def authored(folder: Path, labels: tuple[str, ...]) -> dict[str, frozenset[str]]:
    """The sentences of signals*.txt with every signal they carry."""
    lines: dict[str, frozenset[str]] = {}
    for file in sorted(folder.glob("signals*.txt")):
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            head, bar, text = line.partition("|")
            named = frozenset(n.strip() for n in head.split(",")) - {"none"}
            if not bar or not text.strip() or not named <= set(labels):
                raise SystemExit(f"{file.name}:{number}: want `labels | sentence`, got {sorted(named - set(labels))}")
            lines[text.strip()] = named
    return lines


def read_before(folder: Path, labels: tuple[str, ...]) -> dict[str, frozenset[str]]:
    """The prospect's lines of signals_read_*.jsonl with every signal they carry; where a motivation is not named, its line is left out."""
    lines: dict[str, frozenset[str]] = {}
    for file in sorted(folder.glob("signals_read_*.jsonl")):
        for line in lines_of(file):
            named = set(line["signals"]) - _RULED - {"motivation"}
            reasons = {REASON + str(m.get("reason", m.get("motivation"))) for m in (line["values"] or {}).get("motivation", ())}
            if line.get("speaker") == "prospect" and ("motivation" in line["signals"]) == bool(reasons) and named | reasons <= set(labels):
                lines[line["text"]] = frozenset(named | reasons)
    return lines


def objections_in(folder: Path) -> list[str]:
    """Sentences of prospect.txt that are objections and nothing else."""
    signals = ("motivation", "buying_interest", "stress", "appointment", "urgency", "commitment_refused", "none")
    rows = [line.partition("|") for line in (folder / "prospect.txt").read_text().splitlines() if not line.startswith("#")]
    return [text.strip() for head, bar, text in rows if bar and not any(s in head for s in signals)]


def copies(lines: dict[str, frozenset[str]], dice: random.Random) -> list[tuple[str, frozenset[str], int]]:
    """(text, labels, fold) of every form in which a sentence is shown to the head."""
    rows: list[tuple[str, frozenset[str], int]] = []
    order = sorted(lines)
    dice.shuffle(order)
    for number, text in enumerate(order):
        fold = number % FOLDS
        heard = as_heard(text, dice)
        rows += [(text, lines[text], fold), (heard, lines[text], fold)]
        if (digits := written(text)) != text:
            rows.append((digits, lines[text], fold))
        if dice.random() < JOINED:
            other = order[(number + FOLDS * dice.randrange(1, 40)) % (len(order) // FOLDS * FOLDS)]
            rows.append((f"{heard} {as_heard(other, dice)}", lines[text] | lines[other], fold))
    return rows


def threshold_of(p: NDArray[np.float32], truth: NDArray[np.bool_]) -> float:
    """The threshold of the best F1, from a grid."""
    best = (0.0, 0.5)
    for bar in np.arange(0.2, 0.85, 0.025):
        hit = p >= bar
        f1 = 2 * float((hit & truth).sum()) / max(1.0, float(hit.sum() + truth.sum()))
        best = max(best, (f1, float(bar)))
    return best[1]


def main() -> None:
    folder = WEIGHTS.parent
    labels = labels_of(folder.parent / "taxonomy.toml")
    dice = random.Random(5)
    rows = copies({**authored(folder, labels), **read_before(folder, labels)}, dice)
    extra = objections_in(folder)
    calls = said_in_calls("prospect", "moments")
    texts = [text for text, _, _ in rows] + extra + [said.text for said in calls]
    truth = np.array(
        [[label in named for label in labels] for _, named, _ in rows]
        + [[False] * len(labels)] * len(extra)
        + [[_IN_CALLS.get(label) in said.labels for label in labels] for said in calls]
    )
    by_call = {call: i % FOLDS for i, call in enumerate(sorted({said.call for said in calls}))}
    fold = np.array([k for _, _, k in rows] + [i % FOLDS for i in range(len(extra))] + [by_call[said.call] for said in calls])
    ours, in_calls = np.arange(len(texts)) < len(rows), np.arange(len(texts)) >= len(rows) + len(extra)
    model = sentence_vectors()
    vectors = np.concatenate([model.embed(texts[i : i + 32]) for i in range(0, len(texts), 32)])
    dense = np.concatenate((features(texts, vectors), columns(texts, [values_in(t, TODAY) for t in texts])), axis=1)
    x = csr_matrix(dense.astype(np.float64))  # nine tenths are zero: the same weights in an eighth of the time
    probability = np.zeros(truth.shape, np.float32)
    weights, bias, scale, bars = [], [], [], []
    for c, label in enumerate(labels):
        known = ~in_calls if label in _NEVER_OBJECTIONS else ours
        known = known | in_calls if label in _IN_CALLS else known

        def fit(rows: NDArray[np.bool_], column: int = c) -> LogisticRegression:
            return LogisticRegression(C=4.0, class_weight={False: 1.0, True: 3.0}, solver="liblinear").fit(x[rows], truth[rows, column])

        margin = np.zeros(len(texts), np.float32)
        for k in range(FOLDS):
            margin[fold == k] = fit(known & (fold != k)).decision_function(x[fold == k])
        platt = LogisticRegression(C=100.0).fit(margin[known, None], truth[known, c])
        scale.append([platt.coef_[0, 0], platt.intercept_[0]])
        probability[:, c] = platt.predict_proba(margin[:, None])[:, 1]
        bars.append(threshold_of(probability[known, c], truth[known, c]))
        whole = fit(known)
        weights.append(whole.coef_[0])
        bias.append(whole.intercept_[0])
    bar, none = np.array(bars), ours & ~truth.any(1)
    while float((probability[none] >= bar).any(1).mean()) > FALSE_ALARMS and bar.min() < 0.9:
        bar = np.minimum(bar + 0.02, 0.95)
    arrays = {"weights": weights, "bias": bias, "scale": scale, "thresholds": bar}
    report(labels, probability[ours], truth[ours], bar)
    print(save_head(WEIGHTS, labels, {k: np.array(v, np.float32) for k, v in arrays.items()}))


def report(labels: tuple[str, ...], probability: NDArray[np.float32], truth: NDArray[np.bool_], bar: NDArray[np.float64]) -> None:
    hit = probability >= bar
    both, said, true = (hit & truth).sum(0), hit.sum(0), truth.sum(0)
    for row in zip(labels, both, said, true, bar, strict=True):
        name, right, heard, there, cut = row
        print(f"{name:30} P {right / max(1, heard):.3f}  R {right / max(1, there):.3f}  rows {there:4}  threshold {cut:.2f}")
    none = ~truth.any(1)
    print(
        f"micro-F1 {2 * both.sum() / (said.sum() + true.sum()):.3f}  false alarms {100 * hit[none].any(1).mean():.1f} per 100 of {none.sum()}"
    )


if __name__ == "__main__":
    main()
