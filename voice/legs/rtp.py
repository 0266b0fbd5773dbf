"""RTP packets of one side of a telephone call (RFC 3550) -> 16 kHz sound on the sender's own clock, and how the line was.

The only import of G722. Pure: packets come from anywhere. What is no sound of the call (keys, comfort noise, rubbish) leaves a gap, which time fills.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from G722 import G722

from voice.frames import SAMPLE_RATE, Samples
from voice.legs.pcm import FFmpegError, FrameResampler, OpusDecoder, RateResampler
from voice.legs.reorder import ReorderBuffer, ReorderSettings
from voice.legs.telephony import a_law, mu_law

_HEADER: Final = 12
_SMALL_HOLE: Final = SAMPLE_RATE // 100
_LONGEST: Final = 2048


@dataclass(frozen=True, slots=True)
class RtpPacket:
    payload_type: int
    sequence: int
    stamp: int
    source: int
    payload: bytes


def rtp_packet(data: bytes) -> RtpPacket | None:
    """None for what is no RTP: another version, too short, lying about its padding or its extension."""
    if not _HEADER <= len(data) <= _LONGEST or data[0] >> 6 != 2:
        return None
    begin, end = _HEADER + 4 * (data[0] & 0x0F), len(data)
    if data[0] & 0x10:
        if begin + 4 > end:
            return None
        begin += 4 + 4 * int.from_bytes(data[begin + 2 : begin + 4], "big")
    if data[0] & 0x20:
        end -= data[-1]
        if not data[-1]:
            return None
    if begin > end:
        return None
    return RtpPacket(
        data[1] & 0x7F,
        int.from_bytes(data[2:4], "big"),
        int.from_bytes(data[4:8], "big"),
        int.from_bytes(data[8:12], "big"),
        data[begin:end],
    )


class _Decoder(Protocol):
    def feed(self, payload: bytes) -> Samples: ...

    def finish(self) -> Samples:
        """What the filter still holds; what is fed next lies elsewhere in time."""
        ...


class _Telephone:
    """One byte a sample at 8 kHz."""

    def __init__(self, decode: Callable[[bytes], Samples]) -> None:
        self._decode, self._resampler = decode, RateResampler(8000)

    def feed(self, payload: bytes) -> Samples:
        return self._resampler.feed(self._decode(payload))

    def finish(self) -> Samples:
        rest, self._resampler = self._resampler.finish(), RateResampler(8000)
        return rest


class _Wide:
    """G.722: 16 kHz in 64 kbit/s."""

    def __init__(self) -> None:
        self._decoder = G722(SAMPLE_RATE, 64_000)

    def feed(self, payload: bytes) -> Samples:
        return np.asarray(self._decoder.decode(payload), np.int16)

    def finish(self) -> Samples:
        return np.zeros(0, np.int16)


def to_g722(samples: Samples) -> bytes:
    """The other way, for what we play: samples at 16 kHz."""
    return bytes(G722(SAMPLE_RATE, 64_000).encode(samples[: len(samples) // 2 * 2]))


class _Opus:
    def __init__(self) -> None:
        self._decoder, self._resampler = OpusDecoder(), FrameResampler()

    def feed(self, payload: bytes) -> Samples:
        pieces = [self._resampler.feed(frame) for frame in self._decoder.feed(payload)]
        return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)

    def finish(self) -> Samples:
        rest, self._resampler = self._resampler.finish(), FrameResampler()
        return rest


DECODERS: Final[Mapping[str, Callable[[], _Decoder]]] = {
    "pcmu": lambda: _Telephone(mu_law),
    "pcma": lambda: _Telephone(a_law),
    "g722": _Wide,
    "opus": _Opus,
}


@dataclass(slots=True)
class LineFigures:
    """``jitter_ms``: interarrival jitter (RFC 3550 A.8). ``loss``: share of packets that never came, 0 to 1."""

    packets: int = 0
    loss: float = 0.0
    jitter_ms: float = 0.0
    coding: str = ""
    rubbish: int = 0
    unreadable: int = 0

    def as_json(self) -> dict[str, Any]:
        return {
            "packets": self.packets, "loss": round(self.loss, 4), "jitter_ms": round(self.jitter_ms, 1),
            "coding": self.coding, "rubbish": self.rubbish, "unreadable": self.unreadable,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """``position``: number of the first sample on the sender's clock. ``restarted``: that clock counts anew."""

    position: int
    samples: Samples
    restarted: bool


class RtpSource:
    """feed() packets as they come, tick() as time passes; both return what can be heard, in order.

    ``formats``: payload type -> (name in lower case, rate of its time stamps); a change holds from the next packet on.
    """

    def __init__(self, settings: ReorderSettings | None = None) -> None:
        self.formats: dict[int, tuple[str, int]] = {}
        self.figures = LineFigures()
        self._order: ReorderBuffer[RtpPacket] = ReorderBuffer(settings)
        self._decoder: _Decoder | None = None
        self._coding: tuple[str, int] = ("", 1)
        self._source: int | None = None
        self._restarted = False
        self._stamp: int | None = None
        self._unwrapped = 0
        self._next = 0
        self._transit: float | None = None
        self._first: int | None = None
        self._cycles = 0
        self._highest = 0

    def feed(self, data: bytes, now_ms: float) -> list[Stretch]:
        packet = rtp_packet(data)
        if packet is None or packet.payload_type in range(72, 77):  # those are RTCP's where both share a port (RFC 5761)
            self.figures.rubbish += 1
            return []
        coding = self.formats.get(packet.payload_type)
        if coding is None:
            self.figures.unreadable += 1
            return []
        out: list[Stretch] = []
        if packet.source != self._source:
            out += self._decoded(self._order.finish())
            self._anew(packet)
        self._weigh(packet, coding[1], now_ms)
        return out + self._decoded(self._order.feed(packet.sequence, packet, now_ms))

    def tick(self, now_ms: float) -> list[Stretch]:
        return self._decoded(self._order.tick(now_ms))

    def waiting(self) -> int | None:
        """Position of sound that has come and waits behind a hole."""
        packet = self._order.waiting()
        if packet is None or self.formats.get(packet.payload_type) != self._coding:
            return None
        return self._position(packet)

    # ---- decoding

    def _decoded(self, packets: list[RtpPacket]) -> list[Stretch]:
        return [stretch for packet in packets for stretch in self._stretches(packet)]

    def _stretches(self, packet: RtpPacket) -> list[Stretch]:
        coding = self.formats.get(packet.payload_type)
        if coding is None or coding[0] not in DECODERS or not packet.payload:
            if coding is not None and coding[0] not in ("telephone-event", "cn"):
                self.figures.unreadable += 1
            return []
        out: list[Stretch] = []
        if self._decoder is None or coding != self._coding:
            if self._decoder is not None:
                out.append(self._stretch(self._decoder.finish()))
                self._restarted = True
            self._coding, self._decoder, self._stamp = coding, DECODERS[coding[0]](), None
            self._next = self._position(packet)
            self.figures.coding = coding[0]
        position = self._position(packet)
        self._unwrapped += self._ahead(packet)
        self._stamp = packet.stamp
        if abs(position - self._next) > _SMALL_HOLE:
            out.append(self._stretch(self._decoder.finish()))
            self._next = position
        try:
            samples = self._decoder.feed(packet.payload)
        except (FFmpegError, ValueError):
            self.figures.unreadable += 1
            return out
        out.append(self._stretch(samples))
        return [stretch for stretch in out if len(stretch.samples)]

    def _stretch(self, samples: Samples) -> Stretch:
        stretch = Stretch(self._next, samples, self._restarted and len(samples) > 0)
        if len(samples):
            self._restarted = False
        self._next += len(samples)
        return stretch

    def _ahead(self, packet: RtpPacket) -> int:
        return 0 if self._stamp is None else (packet.stamp - self._stamp + (1 << 31)) % (1 << 32) - (1 << 31)

    def _position(self, packet: RtpPacket) -> int:
        return (self._unwrapped + self._ahead(packet)) * SAMPLE_RATE // self._coding[1]

    # ---- the line

    def _anew(self, packet: RtpPacket) -> None:
        """Another sender: its numbers and its clock say nothing about the one before."""
        self._restarted = self._source is not None
        self._source, self._decoder, self._stamp, self._transit, self._first = packet.source, None, None, None, None
        self.figures.packets = 0

    def _weigh(self, packet: RtpPacket, rate: int, now_ms: float) -> None:
        transit = now_ms - packet.stamp * 1000.0 / rate
        if self._transit is not None and abs(transit - self._transit) < 1000:
            self.figures.jitter_ms += (abs(transit - self._transit) - self.figures.jitter_ms) / 16
        self._transit = transit
        if self._first is None:
            self._first = self._highest = packet.sequence
            self._cycles = 0
        elif 0 < (packet.sequence - self._highest) % 65_536 < 3000:
            self._cycles += packet.sequence < self._highest
            self._highest = packet.sequence
        self.figures.packets += 1
        expected = self._cycles * 65_536 + self._highest - self._first + 1
        self.figures.loss = max(0.0, 1.0 - self.figures.packets / expected) if expected > 0 else 0.0
