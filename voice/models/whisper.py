"""Whisper through CTranslate2, in windows of their real length. The only import of faster_whisper and ctranslate2.

The usual way pads every window to 30 s and pays for it each time. Here the mel spectrogram is as long as the sound plus
some seconds of silence, which the decoder needs to end its text well; timestamp tokens stay on for the same reason.
A decode that loops is done once more at the full 30 s. See docs/measurements.md for what each choice is worth.
"""

import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ctranslate2
import faster_whisper
import numpy as np
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens
from numpy.typing import NDArray

from voice.models import HeardWord, Hypothesis, Pass, Window

_RATE: Final = 16_000
_FULL_S: Final = 30.0
_TOKENS_PER_SECOND: Final = 9  # fast speech has about 5 words a second; more is a loop
_LOOP_COMPRESSION: Final = 2.4  # the ratio that OpenAI's Whisper takes for a repetition


class RecogniserFailed(RuntimeError):
    """The recogniser could not load or could not decode; the message says why."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """``trailing_s``: seconds of silence after the sound. ``beam``: 1 is greedy. ``words``: align each word in time."""

    trailing_s: float
    beam: int = 1
    words: bool = True


DECODINGS: Final[dict[Pass, Decoding]] = {
    "partial": Decoding(trailing_s=4.0),
    "tail": Decoding(trailing_s=4.0),
    "settle": Decoding(trailing_s=6.0),
    "speculative": Decoding(trailing_s=6.0),
    "final": Decoding(trailing_s=6.0),
    "second": Decoding(trailing_s=8.0, beam=5),
}


class Whisper:
    """One model in memory; ``decode`` may be called from ``workers`` threads at once."""

    def __init__(self, folder: Path, name: str, *, device: str = "cpu", compute: str = "int8", workers: int = 2) -> None:
        self.name = name
        try:
            self._model: Any = faster_whisper.WhisperModel(
                str(folder),
                device=device,
                compute_type=compute,
                cpu_threads=1,
                num_workers=workers,
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as failure:
            raise RecogniserFailed(f"Whisper {name} on {device} ({compute}) did not load: {failure}") from failure
        self._tokenizer: Any = Tokenizer(self._model.hf_tokenizer, self._model.model.is_multilingual, task="transcribe", language="en")
        self._suppressed: list[int] = list(get_suppressed_tokens(self._tokenizer, [-1]))

    def decode(self, window: Window, decoding: Decoding | None = None) -> Hypothesis:
        """Words with media times. Blocks; run it in a thread. Raises RecogniserFailed."""
        began = time.perf_counter()
        how = decoding or DECODINGS[window.purpose]
        audio = window.samples.astype(np.float32) / 32768.0
        try:
            tokens, score, no_speech, encoded = self._generate(audio, how.trailing_s, how.beam, window)
            text = self._tokenizer.decode([t for t in tokens if t < self._tokenizer.eot])
            if self._loops(tokens, text, len(audio)):
                tokens, score, no_speech, encoded = self._generate(audio, _FULL_S, 5, window)
                text = self._tokenizer.decode([t for t in tokens if t < self._tokenizer.eot])
                if self._loops(tokens, text, len(audio)):
                    tokens, text = self._unlooped(tokens), ""
            words = self._words(tokens, encoded, len(audio), window) if how.words else ()
        except (RuntimeError, ValueError) as failure:
            raise RecogniserFailed(f"decoding failed: {type(failure).__name__}") from failure
        spoken = " ".join(w.text for w in words)
        return Hypothesis(
            words=words,
            no_speech=no_speech,
            average_logprob=score,
            compression=_compression(spoken),
            model=self.name,
            decode_ms=(time.perf_counter() - began) * 1000,
            stamps={**window.stamps, "decoded": time.time()},
        )

    def _generate(self, audio: NDArray[np.float32], trailing_s: float, beam: int, window: Window) -> tuple[list[int], float, float, Any]:
        room = max(0.0, _FULL_S - len(audio) / _RATE)
        padded = np.pad(audio, (0, int(min(trailing_s, room) * _RATE)))[: int(_FULL_S * _RATE)]
        features = self._model.feature_extractor(padded)
        features = features[:, : features.shape[1] // 2 * 2]  # the encoder's second convolution halves the frames
        encoded = self._model.encode(features)
        before = self._tokenizer.encode(" " + window.prompt.strip())[-100:] if window.prompt.strip() else []
        prompt = self._model.get_prompt(self._tokenizer, before, without_timestamps=False, hotwords=", ".join(window.hotwords) or None)
        # max_length counts the prompt: too small would give empty text without an error
        limit = len(prompt) + 16 + int(len(audio) / _RATE * _TOKENS_PER_SECOND)
        result = self._model.model.generate(
            encoded,
            [prompt],
            beam_size=beam,
            max_length=min(self._model.max_length, limit),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=True,
            suppress_tokens=self._suppressed,
            max_initial_timestamp_index=50,
        )[0]
        tokens = list(result.sequences_ids[0])
        return tokens, float(result.scores[0]), float(result.no_speech_prob), encoded

    def _words(self, tokens: Sequence[int], encoded: Any, samples: int, window: Window) -> tuple[HeardWord, ...]:
        text_tokens = [t for t in tokens if t < self._tokenizer.eot]
        if not text_tokens:
            return ()
        frames = min(encoded.shape[1] * 2, samples // 160 + 2)
        words = self._model.find_alignment(self._tokenizer, [text_tokens], encoded, frames)[0]
        last_ms = window.start_ms + samples * 1000 // _RATE
        heard: list[HeardWord] = []
        for word in words:
            text = word["word"].strip()
            if not text:
                continue
            start = min(window.start_ms + round(float(word["start"]) * 1000), last_ms)
            end = min(window.start_ms + round(float(word["end"]) * 1000), last_ms)
            if heard and not word["word"].startswith(" "):
                before = heard[-1]  # no blank before it: punctuation, ",000", "'clock" belong to the word before
                heard[-1] = HeardWord(before.text + text, before.start_ms, before.end_ms, before.probability)
                continue
            heard.append(HeardWord(text, start, max(end, start), float(word["probability"])))
        return tuple(heard)

    def _loops(self, tokens: Sequence[int], text: str, samples: int) -> bool:
        spoken = [t for t in tokens if t < self._tokenizer.eot]
        if len(spoken) >= 12 + samples / _RATE * _TOKENS_PER_SECOND:
            return True
        if len(text) > 40 and _compression(text) > _LOOP_COMPRESSION:
            return True
        words = text.lower().split()
        return any(words[-n:] == words[-2 * n : -n] == words[-3 * n : -2 * n] for n in range(1, 9) if len(words) >= 3 * n and n * 3 > 3)

    def _unlooped(self, tokens: Sequence[int]) -> list[int]:
        """What stands before the first repetition of a loop that would not go away."""
        spoken = [t for t in tokens if t < self._tokenizer.eot]
        for n in range(1, 12):
            for at in range(len(spoken) - 3 * n + 1):
                if spoken[at : at + n] == spoken[at + n : at + 2 * n] == spoken[at + 2 * n : at + 3 * n]:
                    return spoken[: at + n]
        return spoken


def _compression(text: str) -> float:
    raw = text.encode()
    return len(raw) / len(zlib.compress(raw)) if raw else 0.0


def cuda_devices() -> int:
    """How many CUDA devices CTranslate2 can use here; 0 where there is none or its libraries are missing."""
    try:
        return int(ctranslate2.get_cuda_device_count())
    except (RuntimeError, ValueError):
        return 0
