"""MiniLM with its six layers trained further on our own material: its vectors are good for the one thing they were trained for.

Two sets of layers lie in voice/models/data, int8 by column: that of sentences which leave doubt (two models side by side, 768 numbers;
scripts/train objections_second) and that of turns in their context (384 numbers; scripts/train moments). The words' vectors are read
out of the MiniLM file that is there anyway. All is computed in float32, one model some 4 ms for a sentence.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from voice.models import InContext, Vectors
from voice.models.onnx import session_of, tokenizer_of

_WIDTH: Final = 384
_WORDS: Final = 30_522
# Where weights.MINILM's model.onnx, known by its hash, keeps the table of words and the scale of each row.
_TABLE_AT: Final = 161_538
_SCALES_AT: Final = 11_882_049


class TrainedVectors:
    """Unit vectors of ``width`` numbers. One thread; not to be called from two at once."""

    def __init__(self, layers: Path, minilm: Path, tokenizer: Path) -> None:
        self._session = session_of(layers)
        self._words = np.memmap(minilm, np.int8, "r", _TABLE_AT, (_WORDS, _WIDTH))
        self._scales = np.fromfile(minilm, np.float32, _WORDS, offset=_SCALES_AT)[:, None]
        self._tokenizer = tokenizer_of(tokenizer)
        self.width = int(self._session.get_outputs()[0].shape[-1])

    def embed(self, texts: Sequence[str] | Sequence[InContext]) -> Vectors:
        """float32, shape (len(texts), width); only the first 128 tokens of each are read."""
        if not texts:
            return np.zeros((0, self.width), np.float32)
        coded = self._tokenizer.encode_batch(list(texts))
        ids = np.array([c.ids for c in coded], np.int64)
        mask = np.array([c.attention_mask for c in coded], np.float32)
        words = self._words[ids].astype(np.float32) * self._scales[ids]
        vectors: Vectors = self._session.run(None, {"words": words, "mask": mask})[0]
        return vectors
