"""Small encoders with their layers trained further on our own material: their vectors are good for the one thing they were trained for.

Three sets of layers lie in voice/models/data, int8 by column: two for sentences which leave doubt, a prospect's (two MiniLMs of six layers
side by side, 768 numbers; scripts/train objections_second) and an agent's (one MiniLM, 384 numbers; scripts/train compliance_second), and
one for turns in their context (bge-small, twelve layers, 384 numbers; scripts/train moments). MiniLM's words are read out of its file,
which is there anyway, bge-small's lie beside its layers; both know the same words. All is computed in float32, six layers some 4 ms for a
sentence.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voice.models import InContext, Vectors
from voice.models.onnx import session_of, tokenizer_of
from voice.models.weights import MINILM, WeightSet, files_of

_WIDTH: Final = 384
_ALIKE: Final = 1.4  # how much longer than the shortest of a batch a text may be
_WORDS: Final = 30_522
# Where weights.MINILM's model.onnx, known by its hash, keeps the table of words and the scale of each row.
_TABLE_AT: Final = 161_538
_SCALES_AT: Final = 11_882_049


class WordTable:
    """A vector of 384 numbers for each word of the vocabulary: int8 rows, and a float32 scale for each behind them."""

    def __init__(self, file: Path, table_at: int = 0, scales_at: int = _WORDS * _WIDTH) -> None:
        self._rows = np.memmap(file, np.int8, "r", table_at, (_WORDS, _WIDTH))
        self._scales = np.fromfile(file, np.float32, _WORDS, offset=scales_at)[:, None]

    def __getitem__(self, ids: NDArray[np.int64]) -> Vectors:
        """float32, the shape of ``ids`` and 384."""
        return self._rows[ids].astype(np.float32) * self._scales[ids]


def trained_vectors(weights: WeightSet, *, folder: Path | None, cache: Path) -> "TrainedVectors":
    """The model of a set of weights: its layers, and its words where they are not MiniLM's. Raises WeightsRefused."""
    layers, *words = files_of(weights, folder=folder, cache=cache)
    minilm, tokenizer = files_of(MINILM, folder=folder, cache=cache)
    return TrainedVectors(layers, WordTable(words[0]) if words else WordTable(minilm, _TABLE_AT, _SCALES_AT), tokenizer)


class TrainedVectors:
    """Unit vectors of ``width`` numbers. One thread; not to be called from two at once."""

    def __init__(self, layers: Path, words: WordTable, tokenizer: Path) -> None:
        self._session, self._words, self._tokenizer = session_of(layers), words, tokenizer_of(tokenizer)
        self.width = int(self._session.get_outputs()[0].shape[-1])

    def embed(self, texts: Sequence[str] | Sequence[InContext]) -> Vectors:
        """float32, shape (len(texts), width); only the first 128 tokens of each are read."""
        if not texts:
            return np.zeros((0, self.width), np.float32)
        coded = self._tokenizer.encode_batch(list(texts))
        ids = np.array([c.ids for c in coded], np.int64)
        mask = np.array([c.attention_mask for c in coded], np.float32)
        vectors = np.zeros((len(texts), self.width), np.float32)
        for rows, longest in of_like_length(mask.sum(axis=1).astype(int).tolist()):
            given = {"words": self._words[ids[rows, :longest]], "mask": mask[rows, :longest]}
            vectors[rows] = self._session.run(None, given)[0]
        return vectors


def of_like_length(lengths: Sequence[int]) -> list[tuple[list[int], int]]:
    """Rows whose lengths are so alike that padding costs little, with the longest of each: a turn and its sentences asked about in one
    batch would each cost as much as the turn."""
    groups: list[tuple[list[int], int]] = []
    for row in sorted(range(len(lengths)), key=lambda r: lengths[r]):
        rows, _ = groups[-1] if groups else ([], 0)
        if rows and lengths[row] <= _ALIKE * lengths[rows[0]]:
            groups[-1] = ([*rows, row], lengths[row])
        else:
            groups.append(([row], lengths[row]))
    return groups
