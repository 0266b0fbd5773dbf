"""The trained head of the objection detector: sentence vectors, hashed words, turns of phrase and ideas in; probabilities out.

Ideas (data/objection_concepts.toml) carry a sentence's sense where its words were never seen in training: "wife" and
"attorney" stand for who else decides, "hold off" and "stay put" for waiting. Pure numpy.
"""

import hashlib
import io
import itertools
import re
import tomllib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from intelligence.conversation.classifier import features, read_checked
from intelligence.conversation.objection_cues import columns, plain
from voice.models import Vectors
from voice.models.weights import WeightsRefused

_DATA: Final = Path(__file__).parent / "data"
_PAIRS: Final = 2048


def _compiled(file: Path) -> dict[str, re.Pattern[str]]:
    held = tomllib.loads(file.read_text())
    return {name: re.compile(rf"\b(?:{words.replace('(', '(?:')})\b") for name, words in held.items()}


_CONCEPTS: Final = _compiled(_DATA / "objection_concepts.toml")
_INDEX: Final = {name: column for column, name in enumerate(_CONCEPTS)}
WIDTH: Final = 384 + 4096 + 13 + len(_CONCEPTS) + _PAIRS


def concepts(text: str) -> list[str]:
    """The ideas that ``text`` holds, in the order of its words; one that comes twice is named twice."""
    words = plain(text)
    hits = sorted((m.start(), name) for name, pattern in _CONCEPTS.items() for m in pattern.finditer(words))
    return [name for _, name in hits]


def inputs(texts: Sequence[str], vectors: Vectors) -> NDArray[np.float32]:
    """float32, shape (n, WIDTH). ``vectors``: float32, shape (n, 384). The parts are scaled so that one penalty suits all."""
    texts = [text.replace("%", " percent ") for text in texts]  # captions write "3%", people and training say the word
    single = np.zeros((len(texts), len(_CONCEPTS)), np.float32)
    pairs = np.zeros((len(texts), _PAIRS), np.float32)
    for row, text in enumerate(texts):
        named = concepts(text)
        single[row, [_INDEX[name] for name in named]] = 1.0
        for a, b in itertools.combinations(sorted(set(named)), 2):
            pairs[row, zlib.crc32(f"{a}&{b}".encode()) % _PAIRS] = 1.0
        for a, b in itertools.pairwise(named):
            pairs[row, zlib.crc32(f"{a}>{b}".encode()) % _PAIRS] = 1.0
    pairs /= np.maximum(np.linalg.norm(pairs, axis=1, keepdims=True), 1e-9)
    parts = (features(texts, vectors), columns(texts) * 0.7, single * 0.4, pairs * 1.4)
    return np.concatenate(parts, axis=1).astype(np.float32)


def evidence(margins: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each label's probability is made of, shape (n, labels, 3): its own margin, that of any objection, the best rival's.

    ``margins``: shape (n, labels + 1); the last column is "any objection at all".
    """
    own, any_ = margins[:, :-1], margins[:, -1:]
    rivals = np.stack([np.delete(own, c, axis=1).max(axis=1) for c in range(own.shape[1])], axis=1)
    return np.stack((own, np.broadcast_to(any_, own.shape), rivals), axis=2) * 10.0


def weighed(margins: NDArray[np.float64], scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each label's logistic calibration over ``evidence``: float32, shape (n, labels), each in [0, 1].

    ``scale``: shape (labels, 4), three slopes and a shift."""
    odds = np.clip((evidence(margins) * scale[:, :3]).sum(axis=2) + scale[:, 3], -30.0, 30.0)
    result: NDArray[np.float32] = (1.0 / (1.0 + np.exp(-odds))).astype(np.float32)
    return result


@dataclass(frozen=True, slots=True, eq=False)
class ObjectionHead:
    """Ridge regressions for each label and for "any", then one logistic calibration per label over ``evidence``."""

    labels: tuple[str, ...]
    weights: NDArray[np.float32]  # (labels + 1, WIDTH)
    bias: NDArray[np.float32]  # (labels + 1,)
    scale: NDArray[np.float32]  # (labels, 4): three slopes and a shift
    thresholds: NDArray[np.float32]  # (labels,): for sentences that are over
    partial: NDArray[np.float32]  # (labels,): for sentences that may still turn round
    digest: str  # SHA-256 of the file it came from

    def probabilities(self, texts: Sequence[str], vectors: Vectors) -> NDArray[np.float32]:
        """float32, shape (n, labels), each in [0, 1]."""
        margins = (inputs(texts, vectors) @ self.weights.T + self.bias).astype(np.float64)
        return weighed(margins, self.scale)


def concepts_digest() -> str:
    """The head is only right for the ideas it was trained with."""
    return hashlib.sha256((_DATA / "objection_concepts.toml").read_bytes()).hexdigest()


def load_objection_head(file: Path) -> ObjectionHead:
    """Raises WeightsRefused when the file is missing, is not the one its hash names, or was trained for other inputs."""
    raw, digest = read_checked(file)
    with np.load(io.BytesIO(raw), allow_pickle=False) as held:
        if not {"labels", "weights", "bias", "scale", "thresholds", "partial", "concepts"} <= set(held):
            raise WeightsRefused(f"{file.name} is of an older make; train it anew")
        labels = tuple(str(label) for label in held["labels"][:-1])
        trained_for = bytes(held["concepts"].astype(np.uint8)).hex()
        weights, bias, scale, thresholds, partial = (
            held[k].astype(np.float32) for k in ("weights", "bias", "scale", "thresholds", "partial")
        )
    if weights.shape != (len(labels) + 1, WIDTH) or trained_for != concepts_digest():
        raise WeightsRefused(f"{file.name} was trained for other inputs; train it anew (scripts/train objections)")
    return ObjectionHead(labels, weights, bias, scale, thresholds, partial, digest)
