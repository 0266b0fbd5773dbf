"""A server on this machine that speaks the Messages API as far as the SDK is concerned: it plays one scene per request."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

Event = tuple[str, Any]  # the event's name, and its data or a raw string


@dataclass(slots=True)
class Scene:
    """What one request is answered with. ``pause_s``: before the head; ``gap_s``: before each event; ``cut``: no proper end."""

    events: Sequence[Event] = ()
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    pause_s: float = 0.0
    gap_s: float = 0.0
    cut: bool = False


def started(usage: dict[str, Any] | None = None) -> Event:
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-5-5", "content": [], "stop_reason": None,
        "stop_sequence": None, "usage": {"input_tokens": 100, "output_tokens": 1, **(usage or {})},
    }  # fmt: skip
    return "message_start", {"type": "message_start", "message": message}


def spoken(text: str) -> Event:
    return "content_block_delta", {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}


def ended(stop: str = "end_turn", tokens: int = 20) -> list[Event]:
    delta = {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": {"output_tokens": tokens}}
    return [
        ("content_block_stop", {"type": "content_block_stop", "index": 0}),
        ("message_delta", delta),
        ("message_stop", {"type": "message_stop"}),
    ]


def says(value: Any, *, pieces: int = 3, usage: dict[str, Any] | None = None, stop: str = "end_turn", **how: Any) -> Scene:
    """A well-formed stream whose text is ``value`` as JSON (or as it is, when a string)."""
    text = value if isinstance(value, str) else json.dumps(value)
    size = max(1, -(-len(text) // pieces))
    start = ("content_block_start", {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    parts = [spoken(text[i : i + size]) for i in range(0, len(text), size)]
    return Scene([started(usage), start, ("ping", {"type": "ping"}), *parts, *ended(stop)], **how)


def fails(status: int, kind: str, **headers: str) -> Scene:
    return Scene(status=status, body={"type": "error", "error": {"type": kind, "message": "a secret word"}}, headers=headers)


class MessagesServer:
    """Async context manager. Scenes are played in order; when none is left, ``otherwise`` makes one from the request."""

    def __init__(self, *scenes: Scene, otherwise: Callable[[dict[str, Any]], Scene] | None = None) -> None:
        self.scenes = list(scenes)
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.asked = asyncio.Event()
        self.broken = 0  # requests whose client went away
        self._otherwise = otherwise
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()
        self.url = ""

    async def __aenter__(self) -> "MessagesServer":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for talk in list(self._talks):
            talk.cancel()
        if self._talks:
            await asyncio.wait(self._talks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        task.add_done_callback(self._talks.discard)
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.broken += 1
        except asyncio.CancelledError:
            pass  # the server is closing; asyncio would log the end of a talk that was cut
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
        request = json.loads(await reader.readexactly(int(headers["content-length"])))
        assert head[0].startswith("POST /v1/messages ")
        self.headers.append(headers)
        self.requests.append(request)
        self.asked.set()
        scene = self.scenes.pop(0) if self.scenes or self._otherwise is None else self._otherwise(request)
        await asyncio.sleep(scene.pause_s)
        kind = "application/json" if scene.body is not None else "text/event-stream"
        extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in scene.headers.items())
        writer.write(
            f"HTTP/1.1 {scene.status} X\r\ncontent-type: {kind}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n{extra}\r\n".encode()
        )
        async for piece in _pieces(scene):
            if reader.at_eof():
                raise ConnectionError
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
        if not scene.cut:
            writer.write(b"0\r\n\r\n")
        await writer.drain()


async def _pieces(scene: Scene) -> AsyncIterator[bytes]:
    if scene.body is not None:
        yield json.dumps(scene.body).encode()
    for name, data in scene.events:
        await asyncio.sleep(scene.gap_s)
        yield f"event: {name}\ndata: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()
