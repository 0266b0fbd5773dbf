"""How likely a turn, behind what the other side said last, is worth a card, and of which kind: the head of a model of whole turns.

"I have one" is an objection after "do you work with an agent?" and none after "did you find a lawyer?". The work is in the model's
layers (voice/models/trained.py, trained by scripts/train moments on annotated calls); what stands here are its input and its last step,
for the cards and for the stage of the call.
Pure numpy.
"""

import functools
import io
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from intelligence.conversation.classifier import read_checked
from intelligence.conversation.turns import Conversation, Reading, Turn
from voice.models import InContext, Vectors
from voice.models.weights import MOMENTS, WeightsRefused

WEIGHTS: Final = Path(__file__).parent / "data" / "moments.npz"
BEFORE_WORDS: Final = 30  # of what the other side said last
OWN_WORDS: Final = 70  # of the turn
_LEAST_WORDS: Final = 2  # while a turn grows
_NAMES: Final = frozenset({"labels", "weights", "bias", "layers", "stages", "stage_weights", "stage_bias", "moves", "shares"})
_HEARD: Final = 0.7  # what a turn says of its stage weighs this much beside which stage follows which: turns nearby say the same twice
_TOLD: Final = 10.0  # words and findings that speak for a stage make it so many times as likely


def in_context(turn: Turn, so_far: Conversation) -> InContext | None:
    """What the model reads: the end of what the other side said last, and the turn. None where nobody is judged."""
    if turn.speaker not in ("agent", "prospect") or len(turn.text.split()) < (_LEAST_WORDS if turn.growing else 1):
        return None
    before: list[str] = []
    for earlier in reversed(so_far.turns):
        if earlier.speaker not in ("agent", "prospect"):
            continue
        if earlier.speaker != turn.speaker:
            before.insert(0, earlier.text)
        if before and (earlier.speaker == turn.speaker or len(" ".join(before).split()) >= BEFORE_WORDS):
            break
    return " ".join(" ".join(before).split()[-BEFORE_WORDS:]), " ".join(turn.text.split()[:OWN_WORDS])


@dataclass(frozen=True, slots=True, eq=False)
class CardHead:
    """A margin (log odds) for each label: the objections, the kinds of card, the slips, and "any" and "slip" for each side's sum."""

    labels: tuple[str, ...]
    weights: NDArray[np.float32]  # (labels, 384)
    bias: NDArray[np.float32]  # (labels,)
    digest: str

    @property
    def rule(self) -> str:
        return f"moments-model@{self.digest[:8]}"

    def margins(self, vector: Vectors) -> Mapping[str, float]:
        """``vector``: shape (384,)."""
        return dict(zip(self.labels, (self.weights @ vector + self.bias).tolist(), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class StageHead:
    """How likely each stage is, turn by turn: what the model hears in the turn, where in the call it stands, and which stage follows
    which (the forward pass of a hidden Markov model, Rabiner 1989, "A Tutorial on Hidden Markov Models", with posteriors over shares
    in the place of emissions)."""

    stages: tuple[str, ...]
    weights: NDArray[np.float32]  # (stages, 384 + PLACES)
    bias: NDArray[np.float32]  # (stages,)
    moves: NDArray[np.float32]  # (stages, stages): from, to; each row sums to 1
    shares: NDArray[np.float32]  # (stages,): of all turns

    def next(
        self, before: NDArray[np.float64] | None, vector: Vectors, number: int, *, agent: bool, told: Collection[str] = ()
    ) -> NDArray[np.float64]:
        """Shape (stages,), sums to 1. ``before``: the same of the turn before, None at the start; ``number``: of the turn, from 0;
        ``told``: stages that something found in the turn speaks for."""
        margins = self.weights @ np.concatenate((vector, place_in_call(number, agent=agent))) + self.bias
        heard = np.exp((margins - margins.max()).astype(np.float64))
        expected = before @ self.moves if before is not None else np.eye(len(self.stages))[0] + 0.001
        belief = np.asarray(expected * (heard / heard.sum() / self.shares) ** _HEARD, np.float64)
        belief *= [_TOLD if stage in told else 1.0 for stage in self.stages]
        return belief / float(belief.sum())


PLACES: Final = 3


def place_in_call(number: int, *, agent: bool) -> NDArray[np.float32]:
    """Where in a call the turn ``number`` stands, for the stage: shape (PLACES,). No more than its beginning: calls are long and short."""
    return np.array([number == 0, number < 3, agent], np.float32)


def load_heads(file: Path) -> tuple[CardHead, StageHead]:
    """Raises WeightsRefused when the file is missing, is not the one its hash names, or belongs to other layers."""
    raw, digest = read_checked(file)
    with np.load(io.BytesIO(raw), allow_pickle=False) as held:
        if not set(held) >= _NAMES or bytes(held["layers"]).hex() != MOMENTS.files[0].sha256:
            raise WeightsRefused(f"{file.name} was trained with other layers; train it anew (scripts/train moments)")
        labels = tuple(str(label) for label in held["labels"])
        cards = CardHead(labels, held["weights"].astype(np.float32), held["bias"].astype(np.float32), digest)
        parts = (held[name].astype(np.float32) for name in ("stage_weights", "stage_bias", "moves", "shares"))
        return cards, StageHead(tuple(str(stage) for stage in held["stages"]), *parts)


# Fitted on 34 annotated calls by four writers that the model had not seen (docs/measurements.md): slope and shift of the log odds of a
# card over the margin of its label.
_FITTED: Final = {
    "close_now": (1.2, -1.0), "empathy": (1.25, -0.5), "let_them_talk": (1.2, -1.4), "neutral_answer": (1.5, -1.0), "market_fact": (1.6, 0.6),
}  # fmt: skip
# The same for an answer to an objection, one for all: over the margin alone, and with what its likeliest sentence says by itself (log odds),
# the margin of any card at all and that of the likeliest other kind.
_OF_OBJECTIONS: Final = (1.29, 0.24)
_OF_MARGIN, _OF_SENTENCE, _OF_ANY, _OF_OTHERS, _SHIFT = 0.46, 0.39, 0.68, -0.57, -2.29


def chance_of(label: str, margin: float) -> float:
    """How likely it is, in [0, 1], that a card of this kind belongs here."""
    slope, shift = _FITTED[label]
    return chance_at(slope * margin + shift)


def chance_of_objection(label: str, margins: Mapping[str, float], confidence: float | None) -> float:
    """How likely it is, in [0, 1], that an answer to this objection belongs here. ``confidence``: in its likeliest sentence as it stands
    alone, by the second sentence model; None where that was not asked."""
    if confidence is None:
        slope, shift = _OF_OBJECTIONS
        return chance_at(slope * margins[label] + shift)
    others = max(margins[card] for card in _FITTED)
    odds = _OF_MARGIN * margins[label] + _OF_SENTENCE * log_odds(confidence) + _OF_ANY * margins["any"] + _OF_OTHERS * others
    return chance_at(odds + _SHIFT)


def log_odds(chance: float) -> float:
    """Within 7 either way: nothing heard is surer than one in a thousand."""
    sure = min(max(chance, 1e-3), 1 - 1e-3)
    return math.log(sure / (1 - sure))


def chance_at(odds: float) -> float:
    """The chance, in [0, 1], whose log odds these are."""
    return 1 / (1 + math.exp(-odds))


@functools.cache
def _heads() -> tuple[CardHead, StageHead]:
    """Once a process."""
    return load_heads(WEIGHTS)


def card_head() -> CardHead:
    return _heads()[0]


def stage_head() -> StageHead:
    return _heads()[1]


def margins_in(reading: Reading) -> Mapping[str, float]:
    """What the model makes of the turn behind what was said before it; empty where no model read that."""
    return card_head().margins(reading.in_context) if reading.in_context is not None else {}
