"""Asterisk's AudioSocket over real TCP on this machine."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.voice.legs.peers import Listener
from voice.frames import Speaker
from voice.legs import LegLeft, LegRefused
from voice.legs.audiosocket import AudioSocketLeg, AudioSocketReader, AudioSocketServer, SocketClosed, SocketKey, SocketNamed, SocketSound

NAME = UUID("40325ec2-5efd-4bd3-805f-53576e581d13")


def packet(kind: int, payload: bytes = b"") -> bytes:
    return bytes([kind]) + len(payload).to_bytes(2, "big") + payload


def sound(level: int, samples: int = 160) -> bytes:
    wave = np.where(np.arange(samples) // 8 % 2, level, -level)
    return packet(0x10, wave.astype("<i2").tobytes())


def test_messages_are_read_however_they_are_cut() -> None:
    """One byte at a time gives the same messages as all at once."""
    data = packet(0x01, NAME.bytes) + sound(500) + packet(0x03, b"5") + packet(0x7F, b"later") + packet(0x12, b"\0\0" * 320) + packet(0x00)
    reader = AudioSocketReader()
    messages = [message for k in range(len(data)) for message in reader.feed(data[k : k + 1])]
    assert [type(message) for message in messages] == [SocketNamed, SocketSound, SocketKey, SocketSound, SocketClosed]
    assert [m.sample_rate for m in messages if isinstance(m, SocketSound)] == [8000, 16_000]
    assert messages[0] == SocketNamed(NAME)


@pytest.mark.parametrize(
    "data",
    [sound(1), packet(0x01, b"short"), packet(0x01, NAME.bytes) + packet(0x10, b"odd"), packet(0x01, NAME.bytes) + b"\x10\xff\xff"],
)
def test_what_is_no_audiosocket_is_refused(data: bytes) -> None:
    """No name first, a wrong name, half a sample, an impossible length."""
    with pytest.raises(LegRefused):
        AudioSocketReader().feed(data)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_random_bytes_are_read_or_refused(data: bytes, named: bool) -> None:
    """Nothing but LegRefused is raised, and no more is kept than one message."""
    reader = AudioSocketReader()
    try:
        reader.feed((packet(0x01, NAME.bytes) if named else b"") + data)
    except LegRefused:
        return
    assert len(reader._rest) <= 200


@pytest.fixture
async def server() -> AsyncIterator[tuple[AudioSocketServer, int]]:
    """A server on a free port of this machine."""
    made = AudioSocketServer(name_s=0.3)
    port = await made.start()
    yield made, port
    await made.stop()


async def talk(port: int, name: UUID, level: int, frames: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(packet(0x01, name.bytes))
    for _ in range(frames):
        writer.write(sound(level))
        await asyncio.sleep(0.02)
    writer.write(packet(0x00))
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def test_two_connections_are_two_speakers(server: tuple[AudioSocketServer, int]) -> None:
    """Each UUID is its own side, at its own level; after both have hung up the leg is over."""
    audio, port = server
    leg = AudioSocketLeg()
    names: dict[Speaker, UUID] = {"agent": uuid4(), "prospect": uuid4()}
    for speaker, name in names.items():
        audio.expect(name, leg, speaker)
    listener = Listener(leg)  # type: ignore[arg-type]  # any leg that can be iterated and ended
    await asyncio.gather(talk(port, names["agent"], 3000, 30), talk(port, names["prospect"], 12_000, 40))
    await asyncio.wait_for(listener._task, 5)
    assert 2500 < np.abs(listener.sound("agent")).max() < 6000
    assert np.abs(listener.sound("prospect")).max() > 10_000
    assert {(left.speaker, left.reason) for left in listener.events(LegLeft)} == {("agent", "hung_up"), ("prospect", "hung_up")}


async def test_a_silent_line_keeps_its_time(server: tuple[AudioSocketServer, int]) -> None:
    """Asterisk sends nothing for a second: what comes then lies a second later."""
    audio, port = server
    leg = AudioSocketLeg()
    audio.expect(NAME, leg, "prospect")
    listener = Listener(leg)  # type: ignore[arg-type]  # any leg that can be iterated and ended
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(packet(0x01, NAME.bytes))
    for k in range(40):
        writer.write(sound(5000))
        await asyncio.sleep(1.0 if k == 19 else 0.02)
    writer.close()
    await writer.wait_closed()
    await asyncio.wait_for(listener._task, 5)
    loud = np.flatnonzero(np.abs(listener.sound("prospect").astype(np.int32)) > 2000) / 16
    assert np.diff(loud).max() == pytest.approx(1000, abs=80)


async def test_a_stranger_is_turned_away(server: tuple[AudioSocketServer, int]) -> None:
    """A name that no call expects, a name used twice, silence and rubbish: closed and counted, the server lives."""
    audio, port = server
    leg = AudioSocketLeg()
    audio.expect(NAME, leg, "agent")
    await talk(port, NAME, 100, 1)
    for first in (packet(0x01, NAME.bytes), packet(0x01, uuid4().bytes), b"GET / HTTP/1.1\r\n\r\n", b""):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(first)
        assert await asyncio.wait_for(reader.read(), 2) == b""
        writer.close()
        await writer.wait_closed()
    assert audio.refused == 4
    await leg.end()
