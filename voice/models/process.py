"""The engine as a child process behind a Unix socket, one for all calls of a machine, and what starts it again when it dies.

Messages are length-prefixed: a JSON head, and raw samples or vectors behind it.
"""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import struct
import sys
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from voice.models import HeardWord, Hypothesis, InContext, Models, ModelsLost, Side, Vectors, Window
from voice.models.calibration import Calibration
from voice.models.engine import Counters, Engine, EngineSettings, ThreadModels
from voice.models.weights import WeightsRefused
from voice.models.whisper import RecogniserFailed

_MESSAGE_LIMIT: Final = 4 << 20  # 30 s of sound is 0.96 MB; a longer message is a fault


async def open_models(settings: EngineSettings, *, process: bool = True, socket: Path | None = None) -> "ThreadModels | EngineProcess":
    """Load the models: in a niced child process behind a Unix socket (default), or in this one. Raises WeightsRefused, RecogniserFailed."""
    if not process:
        return ThreadModels(await asyncio.to_thread(Engine, settings))
    models = EngineProcess(settings, socket)
    await models.start()
    return models


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

    async def second(self, speaker: Side, sentences: list[str]) -> Vectors:
        _, body = await self._ask({"op": "second", "speaker": speaker, "sentences": sentences})
        return np.frombuffer(body, np.float32).reshape(len(sentences), -1)

    async def in_context(self, turns: list[InContext]) -> Vectors:
        _, body = await self._ask({"op": "in_context", "turns": turns})
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
            sys.executable, "-m", "voice.models.process", str(self._socket), json.dumps(asdict(self._settings)),
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
                case "second":
                    payload = (await asyncio.wrap_future(engine.second(head["speaker"], head["sentences"]))).tobytes()
                    reply = {}
                case "in_context":
                    turns = [(before, words) for before, words in head["turns"]]
                    payload = (await asyncio.wrap_future(engine.in_context(turns))).tobytes()
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


if __name__ == "__main__":
    main(sys.argv[1:])
