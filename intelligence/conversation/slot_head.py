"""Which of the finds of a call belong on the qualification sheet: one logistic regression for each slot whose values are
read, and one for each thing that a turn may tell: a reason to move, a way to pay, another agent or none.

Trained by ``scripts/train sheet`` on the sheets of the authored calls. Pure numpy.
"""

import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from intelligence.conversation.classifier import WIDTH as SENTENCE
from intelligence.conversation.classifier import features, read_checked
from intelligence.conversation.slot_candidates import CUES, Candidate
from voice.models.weights import WeightsRefused

WEIGHTS: Final = Path(__file__).parent / "data" / "sheet.npz"
WIDTH: Final = 2 * SENTENCE + CUES
_VECTOR: Final = 384
_OWN_WORDS: Final = 2.0  # the words around a value weigh more than those before it
_BEFORE: Final = 0.75
_CUE: Final = 3.0  # few and telling: the penalty should not weigh on them
_NAMES: Final = frozenset({"labels", "weights", "bias", "thresholds", "patience"})


def inputs(candidates: Sequence[Candidate]) -> NDArray[np.float32]:
    """float32, shape (n, WIDTH): vector and words of the sentence, the same of the sentence before, cues."""
    own = features([c.said for c in candidates], np.stack([c.vector for c in candidates]))
    before = features([c.before for c in candidates], np.stack([c.before_vector for c in candidates]))
    own[:, _VECTOR:] *= _OWN_WORDS
    before[:, :_VECTOR] *= _BEFORE
    cues = np.array([c.cues for c in candidates], np.float32) * _CUE
    return np.concatenate((own, before, cues), axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class SlotHead:
    """Labels are slots, and a slot with a colon and what may be told of it ("motivation:relocation"). A find whose margin (log odds)
    reaches its slot's threshold is shown; it takes the place of another unless its margin is lower by more than ``patience``. Of what is
    told, and of places, those stand beside the best whose margins are lower by no more than that.
    """

    labels: tuple[str, ...]
    weights: NDArray[np.float32]  # (labels, WIDTH)
    bias: NDArray[np.float32]  # (labels,)
    thresholds: NDArray[np.float32]  # (labels,)
    patience: NDArray[np.float32]  # (labels,)
    digest: str

    def margins(self, candidates: Sequence[Candidate]) -> NDArray[np.float32]:
        """Shape (n, labels); only the columns of a candidate's own slot say anything."""
        if not candidates:
            return np.zeros((0, len(self.labels)), np.float32)
        priors = np.array([[c.prior] for c in candidates], np.float32)
        margins: NDArray[np.float32] = inputs(candidates) @ self.weights.T + self.bias + priors
        return margins


@functools.cache
def slot_head() -> SlotHead:
    """Once a process. Raises WeightsRefused when the file is missing, or is not the one its hash names."""
    raw, digest = read_checked(WEIGHTS)
    with np.load(io.BytesIO(raw), allow_pickle=False) as held:
        if not set(held) >= _NAMES or held["weights"].shape[1:] != (WIDTH,):
            raise WeightsRefused(f"{WEIGHTS.name} was trained for other inputs; train it anew (scripts/train sheet)")
        weights, bias, thresholds, patience = (held[name].astype(np.float32) for name in ("weights", "bias", "thresholds", "patience"))
        return SlotHead(tuple(str(label) for label in held["labels"]), weights, bias, thresholds, patience, digest)
