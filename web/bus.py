"""From the process that runs a call to those that show it: a wake-up with a number, and the live state. Never the truth.

Viewers read the log by number, so a lost wake-up costs a poll and nothing else. Without Redis the bus is silent.
Two things travel whole: the live state, which nobody stores, and events that PostgreSQL could not take yet.
The only import of redis.
"""

import asyncio
import contextlib
import json
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import redis.asyncio
import redis.exceptions
import structlog

logger = structlog.get_logger()
Kind: TypeAlias = Literal["wake", "state", "unsaved", "command", "answered"]
Heard: TypeAlias = Callable[["Message"], None]
_PREFIX: Final = "sottovoce:"
_EVERYBODY: Final = _PREFIX + "*"  # a connection must listen to something to stay open
_WAITING: Final = 2000  # messages that wait for Redis; the oldest goes
_AGAIN_S: Final = (0.2, 2.0)


@dataclass(frozen=True, slots=True)
class Message:
    """``body`` is JSON: {"n": …} of a wake, a LiveState, {"events": [Logged, …]} of unsaved, {} of a command, {"id": …} of an answer."""

    call: str
    kind: Kind
    body: dict[str, Any]


class Bus:
    """Silent: nobody else is there, or everybody polls."""

    up = False

    def publish(self, message: Message) -> None:
        """Never waits, never raises."""

    @contextlib.contextmanager
    def listening(self, call: str, heard: Heard) -> Iterator[None]:  # noqa: ARG002  silent
        """``heard`` gets what others (and we) publish of this call; it must not wait."""
        yield

    async def aclose(self) -> None:
        pass


class RedisBus(Bus):
    """Two tasks and two connections. While Redis is gone what is published goes nowhere; both come back by themselves."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._heard: dict[str, list[Heard]] = {}
        self._out: deque[Message] = deque(maxlen=_WAITING)
        self._states: dict[str, Message] = {}  # of states only the newest waits
        self._to_send, self._changed = asyncio.Event(), asyncio.Event()
        self._tasks = [
            asyncio.create_task(self._again(work), name=f"bus {name}") for name, work in (("says", self._say), ("hears", self._hear))
        ]

    def publish(self, message: Message) -> None:
        if message.kind == "state":
            self._states[message.call] = message
        else:
            self._out.append(message)
        self._to_send.set()

    @contextlib.contextmanager
    def listening(self, call: str, heard: Heard) -> Iterator[None]:
        self._heard.setdefault(call, []).append(heard)
        self._changed.set()
        try:
            yield
        finally:
            self._heard[call].remove(heard)
            if not self._heard[call]:
                del self._heard[call]
                self._changed.set()

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    async def _again(self, work: Callable[[Any], Any]) -> None:
        wait_s = _AGAIN_S[0]
        while True:
            client = redis.asyncio.Redis.from_url(self._url, socket_connect_timeout=2, socket_timeout=5, health_check_interval=5)
            try:
                await work(client)
            except (redis.exceptions.RedisError, OSError) as failure:
                if self.up:
                    logger.warning("redis is gone; viewers of other processes look each second", failure=type(failure).__name__)
                self.up = False
            finally:
                with contextlib.suppress(redis.exceptions.RedisError, OSError):
                    await client.aclose()
            await asyncio.sleep(wait_s * (1 + random.random() / 4))
            wait_s = _AGAIN_S[0] if self.up else min(_AGAIN_S[1], wait_s * 2)

    async def _say(self, client: "redis.asyncio.Redis") -> None:
        while True:
            while self._out or self._states:
                message = self._out.popleft() if self._out else self._states.pop(next(iter(self._states)))
                await client.publish(_PREFIX + message.call, json.dumps([message.kind, message.body]))
            self._to_send.clear()
            await self._to_send.wait()

    async def _hear(self, client: "redis.asyncio.Redis") -> None:
        async with client.pubsub() as pubsub:
            await pubsub.subscribe(_EVERYBODY)
            known = set[str]()
            self._changed.set()
            self.up = True
            while True:
                if self._changed.is_set():
                    self._changed.clear()
                    wanted = {_PREFIX + call for call in self._heard}
                    if new := wanted - known:
                        await pubsub.subscribe(*new)
                    if old := known - wanted:
                        await pubsub.unsubscribe(*old)
                    known = wanted
                # A new channel waits for the end of this read, so it is short; a viewer's first second is read from the log.
                got = await pubsub.get_message(ignore_subscribe_messages=True, timeout=0.2)
                if got is not None:
                    self._tell(got["channel"].decode().removeprefix(_PREFIX), got["data"])

    def _tell(self, call: str, data: bytes) -> None:
        try:
            kind, body = json.loads(data)
            message = Message(call, kind, dict(body))
        except (ValueError, TypeError):
            return  # not ours
        for heard in list(self._heard.get(call, ())):
            heard(message)


def open_bus(url: str) -> Bus:
    return RedisBus(url) if url else Bus()


async def answers(url: str) -> str:
    """Empty when Redis answers; else what is wrong, without the URL's password."""
    client = redis.asyncio.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=2)
    try:
        await client.execute_command("PING")  # type: ignore[no-untyped-call]  # redis-py types ping() as a value or an awaitable
    except redis.exceptions.AuthenticationError:
        return "it refuses the password"
    except (redis.exceptions.RedisError, OSError) as failure:
        return type(failure).__name__
    finally:
        with contextlib.suppress(redis.exceptions.RedisError, OSError):
            await client.aclose()
    return ""
