"""The engine: all models of a machine behind one seam, in threads of this process or as a child process.

Workers: one thread per core, each decoding one window at a time. A running decode cannot be cancelled, so one worker
never takes partials: a final finds it free. Finals go first, then speculative decodes, then partials, then second passes.
"""

import asyncio
import contextlib
import heapq
import itertools
import json
import os
import signal
import struct
import sys
import tempfile
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from voice.models import HeardWord, Hypothesis, Models, ModelsLost, Pass, Vectors, Window
from voice.models.calibration import Calibration, calibrate
from voice.models.onnx import SentenceVectors
from voice.models.weights import MINILM, WHISPER, WeightsRefused, file_of, folder_of
from voice.models.whisper import RecogniserFailed, Whisper, cached_folder, cuda_devices

_URGENCY: Final[dict[Pass, int]] = {"final": 0, "tail": 1, "speculative": 2, "partial": 3, "settle": 3, "second": 4}
_BATCH: Final = 8  # windows a GPU decodes at once
_LIKE_LENGTH: Final = 2 * 16_000  # samples
_MESSAGE_LIMIT: Final = 4 << 20  # 30 s of sound is 0.96 MB; a longer message is a fault


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
        self._vectors = SentenceVectors(
            file_of(MINILM, "model.onnx", folder=folder, cache=cache),
            file_of(MINILM, "minilm-tokenizer.json", folder=folder, cache=cache),
        )
        self.counters = Counters()
        self._order = itertools.count()
        self._waiting: list[tuple[int, int, Window, Future[Hypothesis]]] = []
        self._wake = threading.Condition()
        self._closed = False
        self._embedder = ThreadPoolExecutor(1, "embed")
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

    async def calibrate(self) -> Calibration:
        return await asyncio.to_thread(self._engine.calibrate)

    async def counters(self) -> Counters:
        return replace(self._engine.counters, by_call=dict(self._engine.counters.by_call))

    async def aclose(self) -> None:
        await asyncio.to_thread(self._engine.close)


async def open_models(settings: EngineSettings, *, process: bool = True, socket: Path | None = None) -> "ThreadModels | EngineProcess":
    """Load the models: in a niced child process behind a Unix socket (default), or in this one. Raises WeightsRefused, RecogniserFailed."""
    if not process:
        return ThreadModels(await asyncio.to_thread(Engine, settings))
    models = EngineProcess(settings, socket)
    await models.start()
    return models


# ---- the child process: length-prefixed messages, a JSON head and raw samples or vectors behind it


def _pack(head: dict[str, Any], body: bytes = b"") -> bytes:
    coded = json.dumps(head).encode()
    return struct.pack("<II", len(coded), len(body)) + coded + body


async def _receive(reader: asyncio.StreamReader) -> tuple[dict[str, Any], bytes]:
    head_size, body_size = struct.unpack("<II", await reader.readexactly(8))
    if head_size + body_size > _MESSAGE_LIMIT:
        raise ModelsLost("a message on the engine's socket is too long")
    head = json.loads(await reader.readexactly(head_size))
    return head, await reader.readexactly(body_size)


def _hypothesis(head: dict[str, Any]) -> Hypothesis:
    return Hypothesis(**{**head, "words": tuple(HeardWord(*w) for w in head["words"])})


class EngineProcess:
    """The engine as a child. If it dies it is started again; what it held raises ModelsLost and may be sent anew."""

    def __init__(self, settings: EngineSettings, socket: Path | None = None) -> None:
        self._settings = settings
        self.name = settings.model
        self._own_folder = tempfile.mkdtemp(prefix="sottovoce-") if socket is None else None
        self._socket = socket or Path(self._own_folder or "") / "engine.sock"
        self._pending: dict[int, asyncio.Future[tuple[dict[str, Any], bytes]]] = {}
        self._numbers = itertools.count(1)
        self._child: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._ready = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._closing = False
        self.restarts = 0
        self.on_restart: list[Callable[[], None]] = []
        self.failure = ""

    @property
    def alive(self) -> bool:
        return self._ready.is_set()

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    async def start(self) -> None:
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep(), name="engine keeper")

    async def transcribe(self, window: Window) -> Hypothesis:
        meta = {f.name: getattr(window, f.name) for f in fields(window) if f.name != "samples"}
        head, _ = await self._ask({"op": "transcribe", "window": meta}, window.samples.tobytes())
        return _hypothesis(head["hypothesis"])

    async def embed(self, sentences: list[str]) -> Vectors:
        _, body = await self._ask({"op": "embed", "sentences": sentences})
        return np.frombuffer(body, np.float32).reshape(-1, 384)

    async def calibrate(self) -> Calibration:
        head, _ = await self._ask({"op": "calibrate"})
        return Calibration(**head["calibration"])

    async def counters(self) -> Counters:
        head, _ = await self._ask({"op": "counters"})
        return replace(Counters(**head["counters"]), restarts=self.restarts)

    async def aclose(self) -> None:
        self._closing = True
        if self._keeper:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        self._drop_pending()
        if self._writer:
            self._writer.close()
        if self._child and self._child.returncode is None:
            if self._child.stdin:
                self._child.stdin.close()  # the child ends when its parent's pipe closes
            try:
                await asyncio.wait_for(self._child.wait(), 5)
            except TimeoutError:
                self._child.kill()
                await self._child.wait()
        if self._own_folder:
            with contextlib.suppress(OSError):
                self._socket.unlink(missing_ok=True)
                Path(self._own_folder).rmdir()

    async def _ask(self, head: dict[str, Any], body: bytes = b"") -> tuple[dict[str, Any], bytes]:
        if not self._ready.is_set():
            if self._closing:
                raise ModelsLost("the engine is closed")
            await asyncio.wait_for(self._ready.wait(), 60)
        number = next(self._numbers)
        future: asyncio.Future[tuple[dict[str, Any], bytes]] = asyncio.get_running_loop().create_future()
        self._pending[number] = future
        try:
            writer = self._writer
            if writer is None:
                raise ModelsLost("the engine is gone")
            writer.write(_pack({**head, "id": number}, body))
            await writer.drain()
            answer, payload = await future
        except (ConnectionError, OSError) as failure:
            raise ModelsLost("the engine's socket broke") from failure
        finally:
            self._pending.pop(number, None)
        if "error" in answer:
            raise RecogniserFailed(answer["error"])
        return answer, payload

    async def _spawn(self) -> None:
        self._socket.parent.mkdir(parents=True, exist_ok=True)
        self._socket.unlink(missing_ok=True)
        self._child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "voice.models.engine", str(self._socket), json.dumps(asdict(self._settings)),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self._child.stdout is not None
        line = (await self._child.stdout.readline()).decode().strip()
        if line != "ready":
            await self._child.wait()
            raise WeightsRefused(line.removeprefix("failed: ") or "the engine process ended before it was ready; its message stands above")
        reader, self._writer = await asyncio.open_unix_connection(str(self._socket))
        self._reading = asyncio.create_task(self._read(reader), name="engine reader")
        self._ready.set()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head, body = await _receive(reader)
                future = self._pending.get(head["id"])
                if future is not None and not future.done():
                    future.set_result((head, body))
        self._ready.clear()
        self._drop_pending()

    async def _keep(self) -> None:
        """Start the child again whenever it dies; a second apart, so that a broken model does not spin."""
        try:
            while True:
                await self._reading
                if self._child is not None:
                    with contextlib.suppress(ProcessLookupError):
                        self._child.kill()
                    await self._child.wait()
                if self._writer:
                    self._writer.close()
                self.restarts += 1
                for tell in self.on_restart:
                    tell()
                while True:
                    try:
                        await self._spawn()
                        break
                    except (WeightsRefused, OSError) as failure:
                        self.failure = str(failure)
                        await asyncio.sleep(1.0)
        finally:
            self._reading.cancel()

    def _drop_pending(self) -> None:
        for future in self._pending.values():
            if not future.done():
                future.set_exception(ModelsLost("the engine died while it held this"))


async def _serve(path: str, settings: EngineSettings) -> None:
    engine = await asyncio.to_thread(Engine, settings)
    tasks: set[asyncio.Task[None]] = set()

    async def answer(head: dict[str, Any], body: bytes, writer: asyncio.StreamWriter) -> None:
        payload = b""
        try:
            match head["op"]:
                case "transcribe":
                    meta = head["window"]
                    meta["hotwords"] = tuple(meta["hotwords"])
                    hypothesis = await asyncio.wrap_future(engine.submit(Window(samples=np.frombuffer(body, np.int16), **meta)))
                    words = [(w.text, w.start_ms, w.end_ms, w.probability) for w in hypothesis.words]
                    reply: dict[str, Any] = {"hypothesis": {**asdict(hypothesis), "words": words}}
                case "embed":
                    payload = (await asyncio.wrap_future(engine.embed(head["sentences"]))).tobytes()
                    reply = {}
                case "calibrate":
                    reply = {"calibration": asdict(await asyncio.to_thread(engine.calibrate))}
                case "counters":
                    reply = {"counters": asdict(engine.counters)}
                case op:
                    reply = {"error": f"unknown request {op!r}"}
        except (RecogniserFailed, ModelsLost, TypeError, KeyError, ValueError) as failure:
            reply = {"error": f"{type(failure).__name__}: {failure}"}
        with contextlib.suppress(ConnectionError):
            writer.write(_pack({**reply, "id": head["id"]}, payload))
            await writer.drain()

    def spawn(work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ModelsLost):
            while True:
                head, body = await _receive(reader)
                spawn(answer(head, body, writer))
        writer.close()

    server = await asyncio.start_unix_server(connected, path)
    Path(path).chmod(0o600)
    parent_gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin, lambda: parent_gone.set() if not os.read(sys.stdin.fileno(), 64) else None)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, parent_gone.set)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    async with server:
        await parent_gone.wait()
    os._exit(0)  # worker threads may be inside a decode that cannot be cancelled


def main(arguments: list[str]) -> None:
    path, settings = arguments[0], EngineSettings(**json.loads(arguments[1]))
    with contextlib.suppress(OSError):
        os.nice(settings.niceness)
    try:
        asyncio.run(_serve(path, settings))
    except (WeightsRefused, RecogniserFailed) as failure:
        sys.stdout.write(f"failed: {failure}\n")
        sys.exit(1)


def _seams(one: ThreadModels, other: EngineProcess) -> tuple[Models, Models]:
    return one, other  # the type checker proves here that both are Models


__all__ = ["Counters", "Engine", "EngineProcess", "EngineSettings", "ThreadModels", "open_models"]

if __name__ == "__main__":
    main(sys.argv[1:])
