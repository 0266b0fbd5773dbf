"""The engine: all models of a machine, in threads of this process. process.py runs it as a child.

Workers: one thread per core, each decoding one window at a time. A running decode cannot be cancelled, so one worker
never takes partials: a final finds it free. Finals go first, then speculative decodes, then partials, then second passes.
"""

import asyncio
import heapq
import itertools
import os
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from voice.models import Hypothesis, InContext, ModelsLost, Pass, Side, Vectors, Window
from voice.models.calibration import Calibration, calibrate
from voice.models.onnx import SentenceVectors
from voice.models.trained import trained_vectors
from voice.models.weights import COMPLIANCE, MINILM, MOMENTS, OBJECTIONS, WHISPER, WeightsRefused, files_of, folder_of
from voice.models.whisper import Whisper, cached_folder, cuda_devices

_URGENCY: Final[dict[Pass, int]] = {"final": 0, "tail": 1, "speculative": 2, "partial": 3, "settle": 3, "second": 4}
_BATCH: Final = 8  # windows a GPU decodes at once
_LIKE_LENGTH: Final = 2 * 16_000  # samples


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """``model``: tiny.en, base, a faster-whisper name in its local cache, or a folder with a CTranslate2 Whisper.

    ``final_model`` decodes whole utterances in its place; ``second_model`` re-reads finals; empty: none.

    ``device``: cpu, cuda or auto. ``workers``: 0 is one per core. ``niceness`` of the child process.
    """

    model: str = "tiny.en"
    final_model: str = ""
    second_model: str = ""
    device: str = "auto"
    compute: str = ""
    workers: int = 0
    niceness: int = 5
    weights: str = ""
    cache: str = ""

    def __post_init__(self) -> None:
        if self.device not in ("auto", "cpu", "cuda"):
            raise ValueError(f"device is cpu, cuda or auto, not {self.device!r}")
        if self.workers < 0:
            raise ValueError("workers cannot be negative")


@dataclass(slots=True)
class Counters:
    """What the engine has received and done since it started; the proof that a shut gate let nothing through."""

    windows: int = 0
    decoded: int = 0
    failed: int = 0
    sentences: int = 0
    doubted: int = 0  # sentences that the second sentence model was asked about
    turns: int = 0  # read in their context
    decode_ms: float = 0.0
    restarts: int = 0
    by_call: dict[str, int] = field(default_factory=dict)


class Engine:
    """The models and their worker threads. Thread-safe; ``submit`` never blocks."""

    def __init__(self, settings: EngineSettings) -> None:
        cache = Path(settings.cache) if settings.cache else Path(tempfile.gettempdir()) / f"sottovoce-{os.getuid()}"
        folder = Path(settings.weights) if settings.weights else None
        device, compute = device_of(settings)
        self.workers = settings.workers or max(2, os.cpu_count() or 2)
        self.model, self.device = settings.model, device

        def load(name: str) -> Whisper:
            return Whisper(model_folder(name, folder, cache), name, device=device, compute=compute, workers=self.workers)

        self._whisper = load(settings.model)
        named = {settings.model: self._whisper}
        for name in (settings.final_model, settings.second_model):
            if name and name not in named:
                named[name] = load(name)
        final = named[settings.final_model or settings.model]
        self._readers: dict[Pass, Whisper] = {
            "partial": self._whisper, "settle": self._whisper, "tail": self._whisper,
            "speculative": final, "final": final, "second": named[settings.second_model or settings.final_model or settings.model],
        }  # fmt: skip
        self.batch = _BATCH if device == "cuda" else 1
        self._vectors = SentenceVectors(*files_of(MINILM, folder=folder, cache=cache))
        trained = {"prospect": OBJECTIONS, "agent": COMPLIANCE}
        self._second_vectors = {who: trained_vectors(weights, folder=folder, cache=cache) for who, weights in trained.items()}
        self._context_vectors = trained_vectors(MOMENTS, folder=folder, cache=cache)
        self.counters = Counters()
        self._order = itertools.count()
        self._waiting: list[tuple[int, int, Window, Future[Hypothesis]]] = []
        self._wake = threading.Condition()
        self._closed = False
        self._embedder = ThreadPoolExecutor(1, "embed")
        self._second = ThreadPoolExecutor(1, "second")  # nobody's first vectors wait for a second opinion
        self._context = ThreadPoolExecutor(1, "context")  # nor for those of a turn in its context
        self._threads = [
            threading.Thread(target=self._work, args=(index,), name=f"decode-{index}", daemon=True) for index in range(self.workers)
        ]
        self._warm_up()
        for thread in self._threads:
            thread.start()

    def submit(self, window: Window) -> "Future[Hypothesis]":
        future: Future[Hypothesis] = Future()
        with self._wake:
            if self._closed:
                raise ModelsLost("the engine is closed")
            self.counters.windows += 1
            self.counters.by_call[window.call] = self.counters.by_call.get(window.call, 0) + 1
            if len(self.counters.by_call) > 1000:  # bounded: the oldest calls are forgotten
                self.counters.by_call.pop(next(iter(self.counters.by_call)))
            heapq.heappush(self._waiting, (_URGENCY[window.purpose], next(self._order), window, future))
            self._wake.notify_all()
        return future

    def calibrate(self) -> Calibration:
        return calibrate(self._whisper, self.device)

    def embed(self, sentences: list[str]) -> "Future[Vectors]":
        self.counters.sentences += len(sentences)
        return self._embedder.submit(self._vectors.embed, sentences)

    def second(self, speaker: Side, sentences: list[str]) -> "Future[Vectors]":
        """Raises KeyError for a speaker whom no model was trained on."""
        vectors = self._second_vectors[speaker]
        self.counters.doubted += len(sentences)
        return self._second.submit(vectors.embed, sentences)

    def in_context(self, turns: list[InContext]) -> "Future[Vectors]":
        self.counters.turns += len(turns)
        return self._context.submit(self._context_vectors.embed, turns)

    def close(self) -> None:
        with self._wake:
            self._closed = True
            for *_, future in self._waiting:
                future.cancel()
            self._waiting.clear()
            self._wake.notify_all()
        for thread in self._threads:
            thread.join(timeout=10)
        self._embedder.shutdown()
        self._second.shutdown()
        self._context.shutdown()

    def _work(self, index: int) -> None:
        urgent_only = index == 0 and self.workers > 1
        while True:
            with self._wake:
                while not self._closed and not (self._waiting and not (urgent_only and self._waiting[0][0] >= _URGENCY["partial"])):
                    self._wake.wait()
                if self._closed:
                    return
                taken = self._take(urgent_only)
            self._decode([(window, future) for window, future in taken if future.set_running_or_notify_cancel()])

    def _take(self, urgent_only: bool) -> "list[tuple[Window, Future[Hypothesis]]]":
        """The most urgent window, and on a GPU those that wait and can go with it in one batch."""
        _, _, window, future = heapq.heappop(self._waiting)
        taken = [(window, future)]
        for entry in sorted(self._waiting[:]) if self.batch > 1 else ():
            if len(taken) < self.batch and alike(window, entry[2]) and not (urgent_only and entry[0] >= _URGENCY["partial"]):
                self._waiting.remove(entry)
                taken.append((entry[2], entry[3]))
        heapq.heapify(self._waiting)
        return taken

    def _decode(self, taken: "list[tuple[Window, Future[Hypothesis]]]") -> None:
        if not taken:
            return
        windows = [window for window, _ in taken]
        try:
            hypotheses = self._readers[windows[0].purpose].decode_many(windows)
        except Exception as failure:  # handed to whoever waits for it; the worker lives on
            self.counters.failed += len(taken)
            for _, future in taken:
                future.set_exception(failure)
            return
        self.counters.decoded += len(taken)
        self.counters.decode_ms += hypotheses[0].decode_ms
        for (_, future), hypothesis in zip(taken, hypotheses, strict=True):
            future.set_result(hypothesis)

    def _warm_up(self) -> None:
        """The first decode allocates; nobody's words should wait for that."""
        sound = (np.random.default_rng(0).standard_normal(16_000) * 300).astype(np.int16)
        purposes: tuple[Pass, ...] = ("partial", "final")
        for purpose in purposes:
            self._readers[purpose].decode(Window("", "", "", sound, 0, purpose))
        self._vectors.embed(["hello"])
        for vectors in self._second_vectors.values():
            vectors.embed(["hello"])
        self._context_vectors.embed([("hello", "hello")])


def device_of(settings: EngineSettings) -> tuple[str, str]:
    """(device, compute type): CUDA where CTranslate2 finds it, float16; else the CPU, int8."""
    device = ("cuda" if cuda_devices() else "cpu") if settings.device == "auto" else settings.device
    return device, settings.compute or ("float16" if device == "cuda" else "int8")


def alike(one: Window, other: Window) -> bool:
    """Whether two windows may share a batch: same decoding and bias words, and so near in length that padding costs little."""
    nearly = abs(len(one.samples) - len(other.samples)) <= _LIKE_LENGTH
    return one.purpose == other.purpose and one.hotwords == other.hotwords and bool(one.prompt) == bool(other.prompt) and nearly


def model_folder(name: str, folder: Path | None, cache: Path) -> Path:
    """Packaged weights by their hash, an own folder, or what faster-whisper's cache holds. Raises WeightsRefused."""
    if name in WHISPER:
        return folder_of(WHISPER[name], folder=folder, cache=cache)
    own = Path(name).expanduser()
    if own.is_dir():
        missing = [f for f in ("model.bin", "config.json", "tokenizer.json") if not (own / f).is_file()]
        if missing:
            raise WeightsRefused(f"The folder {own} is no CTranslate2 Whisper: {', '.join(missing)} is missing.")
        return own
    if (cached := cached_folder(name)) is not None:
        return cached
    raise WeightsRefused(
        f"No Whisper model {name!r} on this computer: it is not packaged ({', '.join(WHISPER)}), not a folder, and not in the local cache of "
        f"faster-whisper. Nothing is downloaded here; fetch it where there is a network (huggingface-cli download Systran/faster-whisper-{name} "
        "--local-dir FOLDER) and set SOTTOVOCE_MODEL to that folder."
    )


class ThreadModels:
    """The engine in this process: for tests and replays."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name = engine.model

    async def transcribe(self, window: Window) -> Hypothesis:
        return await asyncio.wrap_future(self._engine.submit(window))

    async def embed(self, sentences: list[str]) -> Vectors:
        return await asyncio.wrap_future(self._engine.embed(sentences))

    async def second(self, speaker: Side, sentences: list[str]) -> Vectors:
        return await asyncio.wrap_future(self._engine.second(speaker, sentences))

    async def in_context(self, turns: list[InContext]) -> Vectors:
        return await asyncio.wrap_future(self._engine.in_context(turns))

    async def calibrate(self) -> Calibration:
        return await asyncio.to_thread(self._engine.calibrate)

    async def counters(self) -> Counters:
        return replace(self._engine.counters, by_call=dict(self._engine.counters.by_call))

    async def aclose(self) -> None:
        await asyncio.to_thread(self._engine.close)
