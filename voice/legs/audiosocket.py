"""Asterisk's AudioSocket: one TCP connection per direction of a call, named by a UUID that the dial plan chose.

The protocol, from Asterisk's documentation: one byte of kind, two of length (big endian), then the payload; sound is
16-bit little-endian mono. The socket has no time stamps: TCP keeps the order, the clock tells what was left out.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias
from uuid import UUID

import numpy as np

from voice.frames import SAMPLE_RATE, Samples, Speaker
from voice.legs import LegItem, LegRefused
from voice.legs.live import LiveItems
from voice.legs.pcm import RateResampler
from voice.legs.timeline import TimelineSettings

_HUNG_UP: Final = 0x00
_UUID: Final = 0x01
_KEY: Final = 0x03
_FAILED: Final = 0xFF
_RATES: Final = {
    0x10: 8000,
    0x11: 12_000,
    0x12: 16_000,
    0x13: 24_000,
    0x14: 32_000,
    0x15: 44_100,
    0x16: 48_000,
    0x17: 96_000,
    0x18: 192_000,
}
_LONGEST_SOUND: Final = 38_400  # bytes: 100 ms at the highest rate
_PAUSE_MS: Final = 150.0  # Asterisk sends nothing while a line is silent; what comes then begins anew


@dataclass(frozen=True, slots=True)
class SocketNamed:
    uuid: UUID


@dataclass(frozen=True, slots=True, eq=False)
class SocketSound:
    """int16, mono, at ``sample_rate``."""

    sample_rate: int
    samples: Samples


@dataclass(frozen=True, slots=True)
class SocketKey:
    digit: str


@dataclass(frozen=True, slots=True)
class SocketClosed:
    failed: bool


SocketMessage: TypeAlias = SocketNamed | SocketSound | SocketKey | SocketClosed


class AudioSocketReader:
    """feed() bytes as they come, get whole messages. Kinds unknown to us are passed over. Raises LegRefused."""

    def __init__(self) -> None:
        self._rest = b""
        self._named = False

    def feed(self, data: bytes) -> list[SocketMessage]:
        self._rest += data
        out: list[SocketMessage] = []
        while len(self._rest) >= 3:
            kind, length = self._rest[0], int.from_bytes(self._rest[1:3], "big")
            self._check(kind, length)
            if len(self._rest) < 3 + length:
                break
            payload, self._rest = self._rest[3 : 3 + length], self._rest[3 + length :]
            out += self._message(kind, payload)
        return out

    def _check(self, kind: int, length: int) -> None:
        if not self._named and kind not in (_UUID, _HUNG_UP, _FAILED):
            raise LegRefused("The AudioSocket connection did not begin with a UUID.")
        if kind == _UUID and length != 16:
            raise LegRefused("The AudioSocket connection's UUID has not 16 bytes.")
        if kind in _RATES and (length % 2 or length > _LONGEST_SOUND):
            raise LegRefused("The AudioSocket connection's sound has an impossible length.")

    def _message(self, kind: int, payload: bytes) -> list[SocketMessage]:
        if kind == _UUID:
            self._named = True
            return [SocketNamed(UUID(bytes=payload))]
        if kind in _RATES:
            return [SocketSound(_RATES[kind], np.frombuffer(payload, "<i2").astype(np.int16))] if payload else []
        if kind == _KEY:
            return [SocketKey(payload[:1].decode("ascii", "replace"))]
        if kind in (_HUNG_UP, _FAILED):
            return [SocketClosed(kind == _FAILED)]
        return []


class AudioSocketLeg:
    """One call: a connection for each speaker. AudioSocketServer feeds it."""

    def __init__(self, settings: TimelineSettings | None = None, *, buffer_ms: int = 2000, began_at: float | None = None) -> None:
        self.items = LiveItems(settings, buffer_ms=buffer_ms, began_at=began_at)
        self._speakers: set[Speaker] = set()

    async def hear(self, speaker: Speaker, connection: asyncio.StreamReader, reader: AudioSocketReader, first: list[SocketMessage]) -> None:
        """One connection, to its end. Raises LegRefused for rubbish."""
        self._speakers.add(speaker)
        self.items.join(speaker)
        source = _Source(speaker, self.items)
        messages = first
        while not self.items.ended():
            for message in messages:
                match message:
                    case SocketSound():
                        source.heard(message)
                    case SocketClosed():
                        self.items.leave(speaker)
                        return
                    case SocketNamed() | SocketKey():
                        pass
            data = await connection.read(8192)
            if not data:
                self.items.leave(speaker)
                return
            messages = reader.feed(data)

    def mute(self, speaker: Speaker, muted: bool) -> None:
        """A muted side's frames go on, as silence."""
        self.items.mute(speaker, muted)

    async def __aiter__(self) -> AsyncIterator[LegItem]:
        async with aclosing(self.items.stream(self._tick)) as items:
            async for item in items:
                yield item

    async def end(self) -> None:
        self.items.end()

    async def play(self, file: Path) -> bool:  # noqa: ARG002  the seam's signature; a snooped channel carries no sound back
        return False

    def _tick(self, now_ms: float) -> bool:
        for speaker in self._speakers:
            self.items.tick(speaker, now_ms)
        return self.items.deserted()


class _Source:
    """Counts one connection's samples at 16 kHz, and begins anew after a pause."""

    def __init__(self, speaker: Speaker, items: LiveItems) -> None:
        self._speaker, self._items = speaker, items
        self._rate = 0
        self._resampler: RateResampler | None = None
        self._position = 0
        self._heard_at: float | None = None

    def heard(self, sound: SocketSound) -> None:
        now_ms = self._items.now_ms()
        if sound.sample_rate != self._rate:
            self._rate = sound.sample_rate
            self._resampler = None if self._rate == SAMPLE_RATE else RateResampler(self._rate)
        if self._heard_at is not None and now_ms - self._heard_at > _PAUSE_MS:
            self._items.restart(self._speaker)
        self._heard_at = now_ms
        samples = sound.samples if self._resampler is None else self._resampler.feed(sound.samples)
        self._items.feed(self._speaker, self._position, samples, now_ms)
        self._position += len(samples)


class AudioSocketServer:
    """Takes Asterisk's connections and gives each to the call that expects its UUID; nobody else gets in.

    ``most``: connections at once. ``name_s``: a connection that does not name itself in time is closed.
    """

    def __init__(self, *, most: int = 200, name_s: float = 5.0) -> None:
        self._expected: dict[UUID, tuple[AudioSocketLeg, Speaker, Callable[[], Awaitable[None]] | None]] = {}
        self._most, self._name_s = most, name_s
        self._open: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.refused = 0

    def expect(self, uuid: UUID, leg: AudioSocketLeg, speaker: Speaker, came: Callable[[], Awaitable[None]] | None = None) -> None:
        """A connection of this name will be this speaker of this call, once. ``came`` is awaited before its first sound is heard."""
        self._expected[uuid] = (leg, speaker, came)

    def forget(self, uuid: UUID) -> None:
        """Nobody came, and nobody need come any more."""
        self._expected.pop(uuid, None)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Returns the port."""
        self._server = await asyncio.start_server(self._connected, host, port, limit=65_536)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._open):
            task.cancel()
        if self._open:
            await asyncio.wait(self._open)
        if self._server is not None:
            await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            if len(self._open) > self._most:
                raise LegRefused("Too many AudioSocket connections.")
            await self._serve(reader)
        except (LegRefused, TimeoutError, ConnectionError):
            self.refused += 1
        except asyncio.CancelledError:
            pass  # stop(): asyncio's own callback must not see this end as an error; the task is over either way
        finally:
            self._open.discard(task)
            writer.close()

    async def _serve(self, connection: asyncio.StreamReader) -> None:
        reader = AudioSocketReader()
        messages: list[SocketMessage] = []
        async with asyncio.timeout(self._name_s):
            while not messages:
                data = await connection.read(8192)
                if not data:
                    return
                messages = reader.feed(data)
        name, *rest = messages
        if not isinstance(name, SocketNamed) or name.uuid not in self._expected:
            raise LegRefused("No call expects this AudioSocket connection.")
        leg, speaker, came = self._expected.pop(name.uuid)
        if came is not None:
            await came()
        await leg.hear(speaker, connection, reader, rest)
