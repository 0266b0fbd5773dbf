"""Whisper through CTranslate2, in windows of their real length. The only import of faster_whisper and ctranslate2.

The usual way pads every window to 30 s and pays for it each time. Here the mel spectrogram is as long as the sound plus
some seconds of silence, which the decoder needs to end its text well; timestamp tokens stay on for the same reason.
A decode that loops is done once more at the full 30 s and without a prompt. See docs/measurements.md for what each choice is worth.
"""

import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import ctranslate2
import faster_whisper
import numpy as np
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens
from numpy.typing import NDArray

from voice.models import HeardWord, Hypothesis, Pass, Window
from voice.models.threads import one_thread_each

_RATE: Final = 16_000
_FULL_S: Final = 30.0
_TOKENS_PER_SECOND: Final = 9  # fast speech has about 5 words a second; more is a loop
_EARLY_S: Final = 1.5  # a window ends with at most half a second of silence
_PHRASE: Final = 5  # words; people seldom say so many twice in a row, and if they did, the second decode says so too
_UNSURE: Final = -0.4  # mean log probability of a token; a telephone's speech is often below, a studio's seldom
_LOOP_COMPRESSION: Final = 2.4  # the ratio that OpenAI's Whisper takes for a repetition


class RecogniserFailed(RuntimeError):
    """The recogniser could not load or could not decode; the message says why."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """``trailing_s``: seconds of silence after the sound. ``beam``: 1 is greedy; ``unsure_beam``: that of a second look at the
    same sound where the first was unsure of its words. ``words``: align each word in time.

    ``timestamps``: let the decoder write timestamp tokens; without them short windows loop (docs/measurements.md)."""

    trailing_s: float
    beam: int = 1
    unsure_beam: int = 0
    words: bool = True
    timestamps: bool = True


DECODINGS: Final[dict[Pass, Decoding]] = {
    "partial": Decoding(trailing_s=4.0),
    "tail": Decoding(trailing_s=4.0),
    "settle": Decoding(trailing_s=8.0),
    "speculative": Decoding(trailing_s=8.0, unsure_beam=5),
    "final": Decoding(trailing_s=8.0, unsure_beam=5),
    "second": Decoding(trailing_s=8.0, beam=5),
}


@dataclass(frozen=True, slots=True)
class Costs:
    """Milliseconds: to encode a second of sound, to decode a token, to align a window's words."""

    encode_ms: float
    token_ms: float
    align_ms: float


@dataclass(slots=True)
class _Result:
    tokens: list[int]
    score: float
    no_speech: float


class Whisper:
    """One model in memory; ``decode`` may be called from ``workers`` threads at once."""

    def __init__(self, folder: Path, name: str, *, device: str = "cpu", compute: str = "int8", workers: int = 2, threads: int = 1) -> None:
        self.name, self._device = name, device
        one_thread_each()  # the mel spectrogram is NumPy's
        try:
            self._model: Any = faster_whisper.WhisperModel(
                str(folder),
                device=device,
                compute_type=compute,
                cpu_threads=threads,
                num_workers=workers,
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as failure:
            raise RecogniserFailed(f"Whisper {name} on {device} ({compute}) did not load: {failure}") from failure
        self._tokenizer: Any = Tokenizer(self._model.hf_tokenizer, self._model.model.is_multilingual, task="transcribe", language="en")
        self._suppressed: list[int] = list(get_suppressed_tokens(self._tokenizer, [-1]))

    def decode(self, window: Window, decoding: Decoding | None = None) -> Hypothesis:
        """Words with media times. Blocks; run it in a thread. Raises RecogniserFailed."""
        return self.decode_many([window], decoding)[0]

    def decode_many(self, windows: Sequence[Window], decoding: Decoding | None = None) -> list[Hypothesis]:
        """Windows of like length and purpose in one batch: worth it on a GPU only. All are padded to the longest, and their
        prompts cut to the shortest, because one batch takes prompts of equal length only."""
        began = time.perf_counter()
        how = decoding or DECODINGS[windows[0].purpose]
        audios = [w.samples.astype(np.float32) / 32768.0 for w in windows]
        try:
            results, encoded = self._generate(audios, how, windows)
            for at, (window, audio) in enumerate(zip(windows, audios, strict=True)):
                if how.unsure_beam and results[at].score < _UNSURE:
                    alone = encoded if len(windows) == 1 else self._encode([audio], how.trailing_s)
                    results[at] = self._heard(alone, [audio], replace(how, beam=how.unsure_beam), [window])[0]
                if self._stopped_early(results[at].tokens, len(audio)):
                    alone = encoded if len(windows) == 1 else self._encode([audio], how.trailing_s)
                    whole = self._heard(alone, [audio], replace(how, timestamps=False), [window])[0]
                    longer = len(self._text(whole.tokens)) > len(self._text(results[at].tokens))
                    if longer and not self._loops(whole.tokens, self._text(whole.tokens), len(audio)):
                        results[at] = whole
                if self._loops(results[at].tokens, self._text(results[at].tokens), len(audio)):
                    if window.purpose in ("partial", "tail"):  # the next one comes soon: no second, dearer decode
                        results[at].tokens = self._unlooped(results[at].tokens)
                        continue
                    # without its prompt, which is what many loops say again
                    again, encoded_again = self._generate([audio], Decoding(_FULL_S, beam=5), [replace(window, prompt="")])
                    if self._loops(again[0].tokens, self._text(again[0].tokens), len(audio)):
                        again[0].tokens = self._unlooped(again[0].tokens)
                    if len(windows) == 1:
                        encoded = encoded_again
                    results[at] = again[0]
            words = self._words([r.tokens for r in results], encoded, windows) if how.words else [() for _ in windows]
        except (RuntimeError, ValueError) as failure:
            raise RecogniserFailed(f"decoding failed: {type(failure).__name__}") from failure
        took_ms, now = (time.perf_counter() - began) * 1000, time.time()
        return [
            Hypothesis(
                words=heard,
                no_speech=result.no_speech,
                average_logprob=result.score,
                compression=_compression(" ".join(w.text for w in heard)),
                model=self.name,
                decode_ms=took_ms,
                stamps={**window.stamps, "decoded": now},
            )
            for window, result, heard in zip(windows, results, words, strict=True)
        ]

    def costs(self) -> Costs:
        """What encoding, one token and the alignment cost on this machine: the least of three tries, in ms.

        On a CPU in CPU time, so that whatever else runs at the moment counts little."""
        clock = time.process_time if self._device == "cpu" else time.perf_counter
        sound = (np.random.default_rng(0).standard_normal(6 * _RATE) * 0.01).astype(np.float32)
        tokens = self._tokenizer.encode(" we would like to see the house on the corner next week if we can")
        tries: list[tuple[float, float, float]] = []
        for _ in range(3):
            t0 = clock()
            encoded = self._encode([sound], 0.0)
            t1 = clock()
            # forced tokens are decoded one by one, as heard ones are
            self._ask(encoded, [[*self._prompt("", ()), self._tokenizer.timestamp_begin, *tokens]], 1, 4 + len(tokens) + 2)
            t2 = clock()
            self._model.find_alignment(self._tokenizer, [tokens], encoded, 600)
            tries.append((t1 - t0, t2 - t1, clock() - t2))
        encode, generate, align = (1000 * min(column) for column in zip(*tries, strict=True))
        return Costs(encode / 6, generate / (len(tokens) + 2), align)

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode([t for t in tokens if t < self._tokenizer.eot]))

    def _encode(self, audios: Sequence[NDArray[np.float32]], trailing_s: float) -> Any:
        longest = max(len(a) for a in audios)
        room = max(0.0, _FULL_S - longest / _RATE)
        length = min(longest + int(min(trailing_s, room) * _RATE), int(_FULL_S * _RATE))
        features = [self._model.feature_extractor(np.pad(a, (0, max(0, length - len(a))))[:length]) for a in audios]
        even = features[0].shape[1] // 2 * 2  # the encoder's second convolution halves the frames
        return self._model.encode(np.stack([f[:, :even] for f in features]) if len(features) > 1 else features[0][:, :even])

    def _prompt(self, before: str, hotwords: Sequence[str], most: int = 100) -> list[int]:
        tokens = self._tokenizer.encode(" " + before.strip())[-most:] if before.strip() and most else []
        return list(self._model.get_prompt(self._tokenizer, tokens, without_timestamps=False, hotwords=", ".join(hotwords) or None))

    def _prompts(self, windows: Sequence[Window]) -> list[list[int]]:
        prompts = [self._prompt(w.prompt, w.hotwords) for w in windows]
        if len({len(p) for p in prompts}) > 1:
            most = min(len(self._tokenizer.encode(" " + w.prompt.strip())) if w.prompt.strip() else 0 for w in windows)
            prompts = [self._prompt(w.prompt, w.hotwords, most) for w in windows]
        return prompts

    def _generate(self, audios: Sequence[NDArray[np.float32]], how: Decoding, windows: Sequence[Window]) -> tuple[list[_Result], Any]:
        encoded = self._encode(audios, how.trailing_s)
        return self._heard(encoded, audios, how, windows), encoded

    def _heard(self, encoded: Any, audios: Sequence[NDArray[np.float32]], how: Decoding, windows: Sequence[Window]) -> list[_Result]:
        prompts = self._prompts(windows)
        if not how.timestamps:
            prompts = [[*p, self._tokenizer.no_timestamps] for p in prompts]
        # max_length counts the prompt: too small would give empty text without an error
        limit = max(len(p) for p in prompts) + 16 + int(max(len(a) for a in audios) / _RATE * _TOKENS_PER_SECOND)
        results = self._ask(encoded, prompts, how.beam, limit)
        return [_Result(list(r.sequences_ids[0]), float(r.scores[0]), float(r.no_speech_prob)) for r in results]

    def _ask(self, encoded: Any, prompts: list[list[int]], beam: int, limit: int) -> Any:
        return self._model.model.generate(
            encoded,
            prompts,
            beam_size=beam,
            max_length=min(self._model.max_length, limit),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=True,
            suppress_tokens=self._suppressed,
            max_initial_timestamp_index=50,
        )

    def _words(self, tokens: Sequence[Sequence[int]], encoded: Any, windows: Sequence[Window]) -> list[tuple[HeardWord, ...]]:
        texts = [[t for t in each if t < self._tokenizer.eot] for each in tokens]
        if not any(texts):
            return [() for _ in windows]
        frames = min(encoded.shape[1] * 2, max(len(w.samples) for w in windows) // 160 + 2)
        aligned = self._model.find_alignment(self._tokenizer, texts, encoded, frames)
        return [self._timed(words, window) if text else () for words, window, text in zip(aligned, windows, texts, strict=True)]

    def _timed(self, words: Sequence[dict[str, Any]], window: Window) -> tuple[HeardWord, ...]:
        last_ms = window.start_ms + len(window.samples) * 1000 // _RATE
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

    def _stopped_early(self, tokens: Sequence[int], samples: int) -> bool:
        """Whether the decoder closed a segment well before the sound ends and took that for the end, as it does where the
        next window would go on there. Our windows end with the speech."""
        heard = [t for t in tokens if t != self._tokenizer.eot]
        if len(heard) < 2 or heard[-1] < self._tokenizer.timestamp_begin:
            return False  # no segment was closed: the newest stamp is where one began
        return bool(samples / _RATE - (heard[-1] - self._tokenizer.timestamp_begin) * 0.02 > _EARLY_S)

    def _loops(self, tokens: Sequence[int], text: str, samples: int) -> bool:
        spoken = [t for t in tokens if t < self._tokenizer.eot]
        if len(spoken) >= 12 + samples / _RATE * _TOKENS_PER_SECOND:
            return True
        if len(text) > 40 and _compression(text) > _LOOP_COMPRESSION:
            return True
        words = text.lower().split()
        if any(words[-n:] == words[-2 * n : -n] for n in range(_PHRASE, len(words) // 2 + 1)):
            return True
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


def cached_folder(name: str) -> Path | None:
    """Where faster-whisper's own cache holds this model; None where it does not. Never asks the network."""
    try:
        return Path(faster_whisper.download_model(name, local_files_only=True))
    except (ValueError, OSError):  # no such name; not in the cache
        return None
