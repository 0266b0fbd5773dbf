"""How likely a turn, behind what the other side said last, is worth a card, and of which kind: the head of a model of whole turns.

"I have one" is an objection after "do you work with an agent?" and none after "did you find a lawyer?". The work is in the model's
layers (voice/models/trained.py, trained by scripts/train moments on annotated calls); what stands here are its last step and its input.
Pure numpy.
"""

import functools
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from intelligence.conversation.classifier import read_checked
from intelligence.conversation.turns import Conversation, Turn
from voice.models import InContext, Vectors
from voice.models.weights import MOMENTS, WeightsRefused

WEIGHTS: Final = Path(__file__).parent / "data" / "moments.npz"
BEFORE_WORDS: Final = 30  # of what the other side said last
OWN_WORDS: Final = 70  # of the turn
_LEAST_WORDS: Final = 2  # while a turn grows
_NAMES: Final = frozenset({"labels", "weights", "bias", "layers"})


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


def load_card_head(file: Path) -> CardHead:
    """Raises WeightsRefused when the file is missing, is not the one its hash names, or belongs to other layers."""
    raw, digest = read_checked(file)
    with np.load(io.BytesIO(raw), allow_pickle=False) as held:
        if not set(held) >= _NAMES or bytes(held["layers"]).hex() != MOMENTS.files[0].sha256:
            raise WeightsRefused(f"{file.name} was trained with other layers; train it anew (scripts/train moments)")
        labels = tuple(str(label) for label in held["labels"])
        return CardHead(labels, held["weights"].astype(np.float32), held["bias"].astype(np.float32), digest)


# Fitted on 18 annotated calls that the model had not seen (docs/measurements.md): the chance of a card from its label's margin.
_OF_MARGIN, _SHIFT = 1.06, 0.5


def chance_of(margin: float) -> float:
    """How likely it is, in [0, 1], that a card of this kind belongs here."""
    return 1 / (1 + math.exp(-(_OF_MARGIN * margin + _SHIFT)))


@functools.cache
def card_head() -> CardHead:
    """Once a process."""
    return load_card_head(WEIGHTS)
