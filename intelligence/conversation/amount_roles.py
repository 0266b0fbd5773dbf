"""What an amount of money is for: a buyer's budget, an asking price, an offer, a payment by the month, or none of these.

"I'd be tickled with two sixty five" says by no single word that it is a price somebody asks; a logistic regression over the
sentence, the words around the amount and what the rules of amounts.py make of it decides (``scripts/train roles``). Pure numpy.
"""

import functools
import io
import itertools
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray

from intelligence.conversation.amounts import Amount, Role
from intelligence.conversation.classifier import read_checked, words_of
from voice.models import Vectors
from voice.models.weights import WeightsRefused

WEIGHTS: Final = Path(__file__).parent / "data" / "roles.npz"
ROLES: Final[tuple[Role, ...]] = get_args(Role)
_NONE: Final = "none"
LABELS: Final[tuple[str, ...]] = (*ROLES, _NONE)
_VECTOR: Final = 384
_BUCKETS: Final = 4096
_AROUND: Final = 12  # words before an amount, and behind it, that are looked at
_NEAR: Final = 3  # of these the place counts
_SIZES: Final = (2_000, 20_000, 100_000, 400_000)  # dollars: a payment, a repair, a down payment, a home, a dearer one
_CUES: Final = len(LABELS) + 4 + len(_SIZES) + 1 + 3
WIDTH: Final = _VECTOR + _BUCKETS + _CUES


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """An amount where it stands: the whole turn, all its amounts, and the vector (384,) of its sentence."""

    text: str
    amount: Amount
    others: tuple[Amount, ...]
    vector: Vectors


def inputs(spoken: Sequence[Spoken]) -> NDArray[np.float32]:
    """float32, shape (n, WIDTH): the sentence's vector, hashed words around the amount, cues."""
    rows = np.zeros((len(spoken), WIDTH), np.float32)
    for row, each in zip(rows, spoken, strict=True):
        row[:_VECTOR] = each.vector * 2.0
        for gram in _grams(each):
            row[_VECTOR + zlib.crc32(gram.encode()) % _BUCKETS] = 1.0
        row[_VECTOR : _VECTOR + _BUCKETS] *= 2.0 / max(1e-9, float(np.linalg.norm(row[_VECTOR : _VECTOR + _BUCKETS])))
        row[_VECTOR + _BUCKETS :] = _cues(each)
    return rows


def _grams(spoken: Spoken) -> list[str]:
    amount = spoken.amount
    left, right = (
        words_of(_without(spoken, 0, amount.start))[-_AROUND:],
        words_of(_without(spoken, amount.end, len(spoken.text)))[:_AROUND],
    )
    placed = [f"l{at} {word}" for at, word in enumerate(reversed(left[-_NEAR:]))] + [
        f"r{at} {word}" for at, word in enumerate(right[:_NEAR])
    ]
    pairs = [f"l {a} {b}" for a, b in itertools.pairwise(["^", *left])] + [f"r {a} {b}" for a, b in itertools.pairwise([*right, "$"])]
    around = [f"{left[-1] if left else '^'} # {right[0] if right else '$'}"]
    return [*left, *right, *(f"l {word}" for word in left), *(f"r {word}" for word in right), *placed, *pairs, *around]


def _without(spoken: Spoken, start: int, end: int) -> str:
    """The words of a stretch, with one mark for each amount in it."""
    parts, at = [], start
    for other in spoken.others:
        if start <= other.start and other.end <= end:
            parts += [spoken.text[at : other.start], " 0 "]
            at = other.end
    return "".join((*parts, spoken.text[at:end]))


def _cues(spoken: Spoken) -> list[float]:
    amount = spoken.amount
    dollars = amount.usd_max or amount.usd_min or 0
    exact = amount.usd_min == amount.usd_max
    bounds = [exact, amount.usd_min is None, amount.usd_max is None, not exact and None not in (amount.usd_min, amount.usd_max)]
    return [
        *(2.0 * (label == (amount.role or _NONE)) for label in LABELS),
        *map(float, bounds),
        *(float(dollars > size) for size in _SIZES),
        math.log10(max(1, dollars)) / 6,
        float(len(spoken.others) > 1),
        float(spoken.others.index(amount) == 0),
        float(len(spoken.text.split()) < 6),
    ]


@dataclass(frozen=True, slots=True, eq=False)
class RoleHead:
    weights: NDArray[np.float32]  # (LABELS, WIDTH)
    bias: NDArray[np.float32]  # (LABELS,)
    digest: str

    def roles(self, spoken: Sequence[Spoken]) -> list[Role | None]:
        margins = inputs(spoken) @ self.weights.T + self.bias
        return [None if best == len(ROLES) else ROLES[best] for best in margins.argmax(axis=1).tolist()]


def with_roles(text: str, amounts: Sequence[Amount], vectors: Sequence[Vectors]) -> list[Amount]:
    """The amounts of a turn with the roles that the head gives them. ``vectors``: of each amount's sentence."""
    if not amounts:
        return []
    spoken = [Spoken(text, amount, tuple(amounts), vector) for amount, vector in zip(amounts, vectors, strict=True)]
    return [replace(amount, role=role) for amount, role in zip(amounts, role_head().roles(spoken), strict=True)]


@functools.cache
def role_head() -> RoleHead:
    """Once a process. Raises WeightsRefused when the file is missing, is not the one its hash names, or is for other inputs."""
    raw, digest = read_checked(WEIGHTS)
    with np.load(io.BytesIO(raw), allow_pickle=False) as held:
        if tuple(str(label) for label in held["labels"]) != LABELS or held["weights"].shape != (len(LABELS), WIDTH):
            raise WeightsRefused(f"{WEIGHTS.name} was trained for other inputs; train it anew (scripts/train roles)")
        return RoleHead(held["weights"].astype(np.float32), held["bias"].astype(np.float32), digest)
