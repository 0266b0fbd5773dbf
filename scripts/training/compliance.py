"""scripts/train compliance [--hear | --check]: the heads of intelligence/conversation/compliance.py and protected.py, from authored sentences.

Three heads: slips of an agent (compliance.npz), the same over the words alone for our own words (compliance_own.npz), and
protected questions of a prospect (protected.npz). Figures printed are of held-out voices: each voice (a `# voice` section
of the files) is judged by a head that never saw it, and so are its misheard copies. `--check` prints them and writes nothing.
`--hear` comes first: it has flite say the sentences over a telephone and notes what our recogniser hears (40 minutes of two cores).
"""

import argparse
import random
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from intelligence.conversation import compliance, protected  # noqa: E402  the path is set above
from intelligence.conversation.classifier import features, save_head  # noqa: E402
from intelligence.conversation.compliance_rules import broken_rules, columns, neutral, rules  # noqa: E402
from intelligence.conversation.objection_cues import plain  # noqa: E402
from intelligence.conversation.turns import sentences_of  # noqa: E402
from scripts.training.calls import said_in_calls  # noqa: E402
from scripts.training.heard import hear, heard_before  # noqa: E402
from voice.models.onnx import SentenceVectors  # noqa: E402
from voice.models.weights import MINILM, files_of  # noqa: E402

DATA: Final = compliance.WEIGHTS.parent
KIND: Final = "compliance"
SLIPS: Final = ("fair_housing", "guarantee", "legal_advice", "kickback", "dual_agency", "recording", "fee_fixing")
ABOUT: Final = ("safety", "schools", "people", "wish")
FALSE_ALARMS: Final = 0.11  # of the negatives, held out; ours are near misses, so of everyday talk it is less
EAR_BAR: Final = 0.5  # a slip that was none costs the agent's trust; measured on calls that were held out (docs/measurements.md)
OWN_BAR: Final = 0.7  # a wrong alarm refuses a card, or a playbook that somebody wrote; what is precise is caught by the rules
LAWFUL: Final = "compliance_nine"
_MISHEARD: Final = {
    "their": "there", "your": "you're", "than": "then", "to": "too", "would": "wood", "sell": "cell", "buy": "by", "for": "four",
    "our": "are", "realtor": "real tour", "commission": "comission", "mortgage": "more gauge", "we're": "were", "i'd": "id",
    "title": "tidal", "lender": "lander", "escrow": "s crow", "lease": "least", "deed": "d", "llc": "l l c", "fha": "f h a", "cpa": "c p a",
    "percent": "per cent", "guarantee": "guaranty", "appreciate": "a precipitate", "attorney": "a turn", "people": "pupil", "school": "cool",
    "kids": "kid's", "safe": "save", "crime": "climb", "record": "record", "recording": "according", "both": "boat", "seller": "cellar",
    "they'll": "they all", "you'll": "you", "won't": "want", "fee": "free", "bonus": "bone us", "neighborhood": "neighbor hood", "tax": "tacks",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    voice: str
    labels: frozenset[str]
    text: str


def authored(pattern: str, labels: tuple[str, ...]) -> list[Line]:
    """The lines of the files; ``none`` is a near miss. A line without `# voice` above it is of the voice of its file."""
    lines: dict[str, Line] = {}
    for file in sorted(DATA.glob(pattern)):
        voice = file.stem
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if line.startswith("# voice"):
                voice = f"{file.stem}: {line[7:].strip()}"
            if not line.strip() or line.startswith("#"):
                continue
            head, bar, text = line.partition("|")
            named = {n.strip() for n in head.split(",")} - {"none"}
            if not bar or not text.strip() or named - set(labels):
                raise SystemExit(f"{file.name}:{number}: want `labels | sentence`, labels of {', '.join(labels)}")
            lines[text.strip()] = Line(voice, frozenset(named), text.strip())
    return list(lines.values())


def everyday(file: str, skip: re.Pattern[str] | None = None) -> list[Line]:
    """Lines of another detector's file as negatives, in five voices by turns."""
    texts = [line.partition("|")[2].strip() for line in (DATA / file).read_text().splitlines() if "|" in line and not line.startswith("#")]
    return [Line(f"{file}: {n % 5}", frozenset(), t) for n, t in enumerate(texts) if skip is None or not skip.search(t.lower())]


def as_heard(text: str, dice: random.Random) -> str:
    """A recogniser's version: lower case, no punctuation, now and then a word misheard or lost."""
    words = re.sub(r"[^a-z0-9' ]", " ", text.lower().replace("’", "'").replace("-", " ")).split()
    return " ".join(_MISHEARD.get(w, w) if dice.random() < 0.2 else w for w in words if len(words) < 4 or dice.random() > 0.04)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of sentences: each as written, as it might be misheard, and as it was heard, one after the other.

    ``take``: 0 as written, 1 as it might be misheard, 2 and 3 as heard. What is said twice is learnt from twice and counted once.
    """

    words: list[str]
    vectors: NDArray[np.float32]
    truth: NDArray[np.bool_]  # (n, labels)
    voice: NDArray[np.int_]
    take: NDArray[np.int_]

    @property
    def counted(self) -> NDArray[np.bool_]:
        return self.take < 3

    def inputs(self, *, words_only: bool) -> NDArray[np.float32]:
        vectors = np.zeros_like(self.vectors) if words_only else self.vectors
        return np.concatenate((features(self.words, vectors), columns(self.words)), axis=1)


def table_of(lines: list[Line], labels: tuple[str, ...], model: SentenceVectors, known: dict[str, list[str]]) -> Table:
    dice, lines = random.Random(11), [line for line in lines if plain(line.text)]
    rows_of = [[line.text, as_heard(line.text, dice), *filter(plain, known.get(line.text, [])[:2])] for line in lines]
    texts = [text for rows in rows_of for text in rows]
    parts = [sentences_of(t) for t in texts]
    flat = [s for part in parts for s in part]
    held = np.concatenate([model.embed(flat[i : i + 32]) for i in range(0, len(flat), 32)])
    vectors, at = [], 0
    for part in parts:  # a turn of several sentences is seen as the detector sees two in a row: by the mean of its vectors
        mean = held[at : at + len(part)].mean(axis=0)
        vectors.append(mean / np.linalg.norm(mean))
        at += len(part)
    voices = {v: n for n, v in enumerate(sorted({line.voice for line in lines}))}
    of = [line for line, rows in zip(lines, rows_of, strict=True) for _ in rows]
    return Table(
        [neutral(t) for t in texts],
        np.array(vectors, np.float32),
        np.array([[label in line.labels for label in labels] for line in of]),
        np.array([voices[line.voice] for line in of]),
        np.array([take for rows in rows_of for take in range(len(rows))]),
    )


def fit(x: NDArray[np.float32], y: NDArray[np.bool_], penalty: float) -> LogisticRegression:
    return LogisticRegression(C=penalty, class_weight="balanced", solver="liblinear").fit(x, y)


def best_bar(p: NDArray[np.float32], truth: NDArray[np.bool_]) -> float:
    """The threshold of the best F1, from a grid."""

    def f1(bar: float) -> float:
        hit = p >= bar
        return 2 * float((hit & truth).sum()) / max(1.0, float(hit.sum() + truth.sum()))

    return max((float(b) for b in np.arange(0.2, 0.9, 0.025)), key=f1)


def train(table: Table, labels: tuple[str, ...], file: Path, *, words_only: bool, write: bool, penalty: float, least: float) -> None:
    x, truth = table.inputs(words_only=words_only), table.truth
    margin = np.zeros(truth.shape, np.float32)
    fold, counted = table.voice % 5, table.counted
    weights, bias, scale, bars = [], [], [], []
    probability = np.zeros(truth.shape, np.float32)
    for c in range(len(labels)):
        for k in np.unique(fold):
            margin[fold == k, c] = fit(x[fold != k], truth[fold != k, c], penalty).decision_function(x[fold == k])
        platt = LogisticRegression(C=100.0).fit(margin[counted][:, [c]], truth[counted, c])
        scale.append([platt.coef_[0, 0], platt.intercept_[0]])
        probability[:, c] = platt.predict_proba(margin[:, [c]])[:, 1]
        bars.append(best_bar(probability[counted, c], truth[counted, c]))
        whole = fit(x, truth[:, c], penalty)
        weights.append(whole.coef_[0])
        bias.append(whole.intercept_[0])
    bar, none = np.array(bars), ~truth.any(1) & counted
    bar = np.maximum(bar, least)
    while float((probability[none] >= bar).any(1).mean()) > FALSE_ALARMS and bar.min() < 0.9:
        bar = np.minimum(bar + 0.02, 0.95)
    report(file.stem, labels, table, probability, bar)
    if "--wrong" in sys.argv:
        wrong(labels, table, probability, bar)
    if write:
        arrays = {"weights": weights, "bias": bias, "scale": scale, "thresholds": bar}
        print(save_head(file, labels, {k: np.array(v, np.float32) for k, v in arrays.items()}))


def report(name: str, labels: tuple[str, ...], table: Table, probability: NDArray[np.float32], bar: NDArray[np.float32]) -> None:
    truth, hit, none = table.truth, probability >= bar, ~table.truth.any(1)
    print(f"-- {name}: {len(truth)} rows, {none.sum()} of them negatives, {len(np.unique(table.voice))} voices; held-out voices")
    written = table.take == 0
    for c, label in enumerate(labels):
        right, said, true = int((hit & truth)[:, c].sum()), int(hit[:, c].sum()), int(truth[:, c].sum())
        count = truth[written, c].sum()
        print(f"{label:14} P {right / max(1, said):.3f}  R {right / max(1, true):.3f}  sentences {count:4}  threshold {bar[c]:.2f}")
    for how, rows in (("written", written), ("misheard", table.take == 1), ("heard", table.take == 2), ("all", table.counted)):
        if rows.any():
            right, said, true = (hit & truth)[rows].sum(), max(1, hit[rows].sum()), max(1, truth[rows].sum())
            alarms = 100 * hit[none & rows].any(1).mean()
            print(f"{how:8} P {right / said:.3f}  R {right / true:.3f}  false alarms {alarms:.1f} per 100 negatives")
    for low in np.arange(0.0, 1.0, 0.2):
        within = (probability >= low) & (probability < low + 0.2) & table.counted[:, None]
        if within.any():
            print(
                f"confidence {low:.1f}-{low + 0.2:.1f}: said {probability[within].mean():.2f}, was {truth[within].mean():.2f} ({within.sum()})"
            )


def wrong(labels: tuple[str, ...], table: Table, probability: NDArray[np.float32], bar: NDArray[np.float32]) -> None:
    """The authored sentences (as written) on which a head that did not see their voice errs."""
    for row in np.flatnonzero(table.take == 0):
        for c, label in enumerate(labels):
            if (probability[row, c] >= bar[c]) != table.truth[row, c]:
                print(f"   {'missed' if table.truth[row, c] else 'false':6} {label:12} {probability[row, c]:.2f} {table.words[row]}")


def rules_alone(table: Table) -> None:
    """How often the precise rules are right: they were written beside part of the sentences, so this is kind to them."""
    said = [{rule.label for rule in broken_rules(w)} for w in table.words]
    true = [{label for label, t in zip(SLIPS, row, strict=True) if t} for row in table.truth]
    right = sum(len(s & t) for s, t in zip(said, true, strict=True))
    count, wanted = sum(map(len, said)), sum(map(len, true))
    print(f"-- precise rules alone: P {right / max(1, count):.3f}  R {right / max(1, wanted):.3f}  ({count} times)")
    for text, s, t in zip(table.words, said, true, strict=True):
        if s - t and "--wrong" in sys.argv:
            print("   wrong:", sorted(s - t), text)


def lines_of_agents() -> tuple[list[Line], list[Line]]:
    """The authored lines with what only sounds like them, and what agents say in the calls."""
    ours = [*(rule.rephrase for rule in rules()), *protected.ANSWERS.values()]
    own = [Line(f"own: {n % 5}", frozenset(), text) for n, text in enumerate(ours)]
    calls = [Line(f"calls: {said.call}", said.labels & set(SLIPS), said.text) for said in said_in_calls("agent", "compliance")]
    return [*authored("compliance_*.txt", SLIPS), *own, *everyday("prospect.txt")], calls


def hear_all() -> None:
    """What breaks a rule, or asks what must not be judged, is said twice: it is rare, and each mishearing teaches another."""
    lines = [*authored("compliance_*.txt", SLIPS), *everyday("prospect.txt"), *authored("protected_*.txt", ABOUT)]
    rare = [line.text for line in lines if line.labels]
    rare += [said.text for said in said_in_calls("agent", "compliance") if said.labels & set(SLIPS)]
    hear(KIND, list(dict.fromkeys(rare)), takes=2)
    hear(KIND, list(dict.fromkeys(line.text for line in lines if not line.labels)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hear", action="store_true", help="note what our recogniser makes of the sentences; goes on where it was stopped")
    parser.add_argument("--check", action="store_true", help="print the figures of held-out voices, write nothing")
    parser.add_argument("--wrong", action="store_true", help="print the authored sentences on which a precise rule errs")
    parser.add_argument("--penalty", type=float, default=6.0)
    arguments = parser.parse_args()
    cache = Path(tempfile.gettempdir())
    if arguments.hear:
        hear_all()
        return
    known = heard_before(KIND)
    if not known:
        raise SystemExit("nothing was heard yet: scripts/train compliance --hear")
    model = SentenceVectors(*files_of(MINILM, folder=None, cache=cache))
    near, calls = lines_of_agents()
    slips = table_of([*near, *calls], SLIPS, model, known)
    rules_alone(slips)
    train(slips, SLIPS, compliance.WEIGHTS, words_only=False, write=not arguments.check, penalty=arguments.penalty, least=EAR_BAR)
    # A card is refused sooner than an agent is warned.
    strict = table_of([line for line in near if not line.voice.startswith(LAWFUL)], SLIPS, model, {})  # our own words are written
    train(strict, SLIPS, compliance.WORDS_WEIGHTS, words_only=True, write=not arguments.check, penalty=arguments.penalty, least=OWN_BAR)
    asked = [*authored("protected_*.txt", ABOUT), *everyday("prospect.txt", re.compile(r"safe|school|neighborhood|crime"))]
    train(
        table_of(asked, ABOUT, model, known),
        ABOUT,
        protected.WEIGHTS,
        words_only=False,
        write=not arguments.check,
        penalty=arguments.penalty,
        least=0.0,
    )


if __name__ == "__main__":
    main()
