"""A small trained head: sentence vectors and hashed words in, calibrated probabilities out. Pure numpy."""

import hashlib
import io
import itertools
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voice.models import Vectors
from voice.models.weights import WeightsRefused

BUCKETS: Final = 4096
WIDTH: Final = 384 + BUCKETS
_WORD: Final = re.compile(r"[a-z0-9']+")


def words_of(text: str) -> list[str]:
    """Lower-case words without apostrophes, so that clean text and a recogniser's look alike; digits become one mark."""
    return [re.sub(r"\d+", "0", w.replace("'", "")) for w in _WORD.findall(text.lower().replace("’", "'"))]


def features(texts: Sequence[str], vectors: Vectors) -> NDArray[np.float32]:
    """float32, shape (n, 384 + BUCKETS): the unit sentence vector beside hashed words and word pairs of unit length.

    ``vectors``: float32, shape (n, 384). The hash is CRC-32, so it is the same on every machine.
    """
    if vectors.shape != (len(texts), 384):
        raise ValueError(f"want vectors of shape ({len(texts)}, 384), got {vectors.shape}")
    grams = np.zeros((len(texts), BUCKETS), np.float32)
    for row, text in enumerate(texts):
        words = words_of(text)
        marked = ["^", *words, "$"]
        for gram in [*words, *(f"{a} {b}" for a, b in itertools.pairwise(marked))]:
            grams[row, zlib.crc32(gram.encode()) % BUCKETS] = 1.0
    grams /= np.maximum(np.linalg.norm(grams, axis=1, keepdims=True), 1e-9)
    # MiniLM's numbers are about 0.05 each; doubled, both halves weigh alike under one penalty.
    return np.concatenate((vectors * 2.0, grams), axis=1).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """One logistic regression per label, with Platt scaling (Platt 1999) and a threshold on the scaled probability."""

    labels: tuple[str, ...]
    weights: NDArray[np.float32]  # (labels, WIDTH and the extra columns)
    bias: NDArray[np.float32]  # (labels,)
    scale: NDArray[np.float32]  # (labels, 2): slope and shift of the calibration
    thresholds: NDArray[np.float32]  # (labels,)
    digest: str  # SHA-256 of the file it came from

    def probabilities(self, texts: Sequence[str], vectors: Vectors, extra: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """float32, shape (n, labels), each in [0, 1]. ``extra``: the detector's own columns, shape (n, k), as in training."""
        x = features(texts, vectors)
        margin = (x if extra is None else np.concatenate((x, extra), axis=1)) @ self.weights.T + self.bias
        odds = np.clip(margin * self.scale[:, 0] + self.scale[:, 1], -30.0, 30.0)
        result: NDArray[np.float32] = (1.0 / (1.0 + np.exp(-odds))).astype(np.float32)
        return result


def write_checked(file: Path, **arrays: Any) -> str:
    """Write the numbers (no pickle) and, beside them, their SHA-256, which is returned."""
    np.savez_compressed(file, **arrays)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    file.with_suffix(".sha256").write_text(f"{digest}  {file.name}\n")
    return digest


def read_checked(file: Path) -> tuple[bytes, str]:
    """What write_checked() wrote, and its SHA-256. Raises WeightsRefused when it is missing or is not the one its hash names."""
    try:
        raw = file.read_bytes()
        wanted = file.with_suffix(".sha256").read_text().split()[0]
    except (OSError, IndexError) as error:
        raise WeightsRefused(f"{file.name} or its .sha256 cannot be read; check the installation out again") from error
    digest = hashlib.sha256(raw).hexdigest()
    if digest != wanted:
        raise WeightsRefused(f"{file.name} is not the file its .sha256 names; check it out again or train it anew")
    return raw, digest


def save_head(file: Path, labels: Sequence[str], arrays: dict[str, NDArray[np.float32]]) -> str:
    """Write the numbers as float16; their SHA-256."""
    halves: dict[str, Any] = {k: v.astype(np.float16) for k, v in arrays.items()}
    return write_checked(file, labels=np.array(labels), **halves)


def load_head(file: Path) -> Head:
    """Raises WeightsRefused when the file is missing, is not the one its hash names, or has the wrong shape."""
    raw, digest = read_checked(file)
    with np.load(io.BytesIO(raw), allow_pickle=False) as held:
        labels = tuple(str(label) for label in held["labels"])
        weights, bias, scale, thresholds = (held[k].astype(np.float32) for k in ("weights", "bias", "scale", "thresholds"))
    if weights.ndim != 2 or weights.shape[0] != len(labels) or weights.shape[1] < WIDTH:
        raise WeightsRefused(f"{file.name} was trained for other features; train it anew")
    return Head(labels, weights, bias, scale, thresholds, digest)
