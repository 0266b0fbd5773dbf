"""Sentence vectors, speech probabilities and speaker vectors on ONNX Runtime, one thread each. The only import of onnxruntime."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from voice.models import Vectors
from voice.models.threads import one_thread_each

_CHUNK: Final = 512  # Silero's frame at 16 kHz: 32 ms
_CONTEXT: Final = 64  # samples of the frame before, which Silero wants in front


def session_of(file: Path) -> Any:
    """A session of one thread on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a second thread was slower on a busy machine, docs/measurements.md
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def tokenizer_of(file: Path) -> Tokenizer:
    """What stands behind 128 tokens is cut: MiniLM was trained on no more, and time grows with them."""
    made = Tokenizer.from_file(str(file))
    made.enable_truncation(128)
    made.enable_padding()
    return made


class SentenceVectors:
    """all-MiniLM-L6-v2: unit vectors of 384 numbers; sentences of more than 128 tokens are cut."""

    def __init__(self, model: Path, tokenizer: Path) -> None:
        self._session = session_of(model)
        self._tokenizer = tokenizer_of(tokenizer)
        self._inputs = {i.name for i in self._session.get_inputs()}

    def embed(self, sentences: list[str]) -> Vectors:
        """float32, shape (len(sentences), 384), mean of the tokens' states under the mask, unit length."""
        if not sentences:
            return np.zeros((0, 384), np.float32)
        coded = self._tokenizer.encode_batch(sentences)
        ids = np.array([c.ids for c in coded], np.int64)
        mask = np.array([c.attention_mask for c in coded], np.int64)
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        states = self._session.run(None, {k: v for k, v in feed.items() if k in self._inputs})[0]
        weight = mask[:, :, None].astype(np.float32)
        mean = (states * weight).sum(1) / np.maximum(weight.sum(1), 1e-9)
        vectors: Vectors = (mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-9)).astype(np.float32)
        return vectors


class SpeechModel:
    """Silero's weights, shared; each stream of sound has a state of its own."""

    def __init__(self, model: Path) -> None:
        one_thread_each()  # a process that hears sound computes levels, heads and vectors with NumPy
        self._session = session_of(model)

    def stream(self) -> "SpeechStream":
        return SpeechStream(self._session)


class SpeechStream:
    """Feeds 512 samples at a time, gives the probability that they are speech."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._rate = np.array(16_000, np.int64)
        self.reset()

    def reset(self) -> None:
        self._state = np.zeros((2, 1, 128), np.float32)
        self._before = np.zeros((1, _CONTEXT), np.float32)

    def feed(self, samples: NDArray[np.int16]) -> float:
        """``samples``: int16, shape (512,), 16 kHz. Returns a probability in [0, 1]."""
        if samples.shape != (_CHUNK,):
            raise ValueError(f"Silero wants {_CHUNK} samples, got {samples.shape}")
        sound = np.concatenate((self._before, samples.astype(np.float32)[None] / 32768.0), axis=1)
        answer, self._state = self._session.run(None, {"input": sound, "state": self._state, "sr": self._rate})
        self._before = sound[:, -_CONTEXT:]
        return float(answer[0, 0])


class SpeakerVectors:
    """A d-vector network (3 x LSTM-768): windows of 80 frames of 40 mel bands -> 256 numbers that tell voices apart."""

    def __init__(self, model: Path) -> None:
        self._session = session_of(model)

    def embed(self, windows: NDArray[np.float32]) -> Vectors:
        """``windows``: float32, shape (n, 80, 40), log10 of the power. Unit vectors, shape (n, 256)."""
        answer = self._session.run(None, {"mel_window": windows})[0]
        vectors: Vectors = (answer / np.maximum(np.linalg.norm(answer, axis=1, keepdims=True), 1e-9)).astype(np.float32)
        return vectors
