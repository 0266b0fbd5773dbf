"""The second opinion on objections: a kernel machine over the second sentence model's vectors and the words.

A sentence is compared with every sentence of the training, and each of these speaks for or against each label:
f(x) = sum of a_i k(x, x_i), k = 4 (s + s^2 + s^3), s a weighted mean of two cosines. Slower than the first head, and asked
only where that head does not say "nothing". Pure numpy.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from intelligence.conversation.classifier import read_checked
from intelligence.conversation.objection_head import concepts_digest, inputs, weighed
from voice.models import Vectors
from voice.models.weights import WeightsRefused

SHARES: Final = (2 / 3, 1 / 3)  # of the second model and of the words in a likeness
_BARE_AMOUNT: Final = re.compile(r"(?<![$\d.,-])(?:\d{2,3},\d{3}(?:,\d{3})?|\d{6,7})(?![\d-])")
_SENTENCE: Final = 384  # columns of inputs() that are MiniLM's vector
_NAMES: Final = frozenset(
    {"labels", "second", "starts", "rows", "values", "mean", "duals", "bias", "scale", "thresholds", "least", "concepts"}
)


def kernel(likeness: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a likeness in [-1, 1] counts: near twins far more than what is vaguely alike."""
    return (4.0 * likeness * (1.0 + likeness * (1.0 + likeness))).astype(np.float32, copy=False)


def as_money(text: str) -> str:
    """A bare number of five digits and more, in talk about homes, is dollars; the recogniser often leaves the sign out."""
    return _BARE_AMOUNT.sub(r"$\g<0>", text)


def words_part(texts: Sequence[str]) -> NDArray[np.float32]:
    """The words, cues and ideas of ``inputs``, unit length, shape (n, width)."""
    return _unit(inputs(texts, np.zeros((len(texts), _SENTENCE), np.float32))[:, _SENTENCE:])


def centred(second: Vectors, mean: NDArray[np.float32]) -> Vectors:
    """E5's vectors all point one way; without their mean, made unit again, they tell sentences apart."""
    return _unit(second - mean)


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    result: NDArray[np.float32] = (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)).astype(np.float32)
    return result


@dataclass(frozen=True, slots=True, eq=False)
class SecondHead:
    """Kernel ridge regressions for each label and for "any", then a logistic calibration per label over ``evidence``."""

    labels: tuple[str, ...]
    second: NDArray[np.float32]  # (remembered, 384): the second model's vectors, centred
    starts: NDArray[np.int32]  # (width + 1,): where each column's rows begin in ``rows``
    rows: NDArray[np.int32]
    values: NDArray[np.float32]
    mean: NDArray[np.float32]  # (384,)
    duals: NDArray[np.float32]  # (remembered, labels + 1): how much each speaks for and against
    bias: NDArray[np.float32]  # (labels + 1,)
    scale: NDArray[np.float32]  # (labels, 4)
    thresholds: NDArray[np.float32]  # (labels,)
    least: float  # asked where the first head gives any label so much
    digest: str

    def probabilities(self, texts: Sequence[str], second: Vectors) -> NDArray[np.float32]:
        """float32, shape (n, labels), each in [0, 1]. ``second``: unit vectors of the second model, shape (n, 384)."""
        likeness = SHARES[0] * (centred(second, self.mean) @ self.second.T)
        for row, words in enumerate(words_part(texts)):
            for column in np.flatnonzero(words):
                held = slice(self.starts[column], self.starts[column + 1])
                likeness[row, self.rows[held]] += SHARES[1] * words[column] * self.values[held]
        margins = (kernel(likeness) @ self.duals + self.bias).astype(np.float64)
        return weighed(margins, self.scale)


def load_second_head(file: Path) -> SecondHead:
    """Raises WeightsRefused when the file is missing, is not the one its hash names, or was trained for other inputs."""
    raw, digest = read_checked(file)
    with np.load(io.BytesIO(raw), allow_pickle=False) as held:
        if not set(held) >= _NAMES:
            raise WeightsRefused(f"{file.name} is of an older make; train it anew")
        if bytes(held["concepts"]).hex() != concepts_digest():
            raise WeightsRefused(f"{file.name} was trained for other inputs; train it anew (scripts/train objections_second)")
        mean, duals, bias, scale, thresholds = (held[n].astype(np.float32) for n in ("mean", "duals", "bias", "scale", "thresholds"))
        return SecondHead(
            labels=tuple(str(label) for label in held["labels"]),
            second=held["second"].astype(np.float32) / np.float32(127),
            starts=held["starts"].astype(np.int32),
            rows=held["rows"].astype(np.int32),
            values=held["values"].astype(np.float32) / np.float32(127),
            mean=mean,
            duals=duals,
            bias=bias,
            scale=scale,
            thresholds=thresholds,
            least=float(held["least"]),
            digest=digest,
        )
