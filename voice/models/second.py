"""A second sentence model: MiniLM with its six layers trained further on objections, twice (scripts/train objections_second).

Its vectors tell objections apart and are good for nothing else. The file in voice/models/data holds both sets of layers, int8 by
column; the words' vectors are read out of the MiniLM file that is there anyway. All is computed in float32, some 7 ms a sentence.
"""

from pathlib import Path
from typing import Final

import numpy as np

from voice.models import Vectors
from voice.models.onnx import session_of, tokenizer_of

_WIDTH: Final = 384
_WORDS: Final = 30_522
# Where weights.MINILM's model.onnx, known by its hash, keeps the table of words and the scale of each row.
_TABLE_AT: Final = 161_538
_SCALES_AT: Final = 11_882_049


class SecondVectors:
    """Unit vectors of 768 numbers. One thread; not to be called from two at once."""

    def __init__(self, layers: Path, minilm: Path, tokenizer: Path) -> None:
        self._session = session_of(layers)
        self._words = np.memmap(minilm, np.int8, "r", _TABLE_AT, (_WORDS, _WIDTH))
        self._scales = np.fromfile(minilm, np.float32, _WORDS, offset=_SCALES_AT)[:, None]
        self._tokenizer = tokenizer_of(tokenizer)

    def embed(self, sentences: list[str]) -> Vectors:
        """float32, shape (len(sentences), 768); only the first 128 tokens of each are read."""
        if not sentences:
            return np.zeros((0, 2 * _WIDTH), np.float32)
        coded = self._tokenizer.encode_batch(sentences)
        ids = np.array([c.ids for c in coded], np.int64)
        mask = np.array([c.attention_mask for c in coded], np.float32)
        words = self._words[ids].astype(np.float32) * self._scales[ids]
        vectors: Vectors = self._session.run(None, {"words": words, "mask": mask})[0]
        return vectors
