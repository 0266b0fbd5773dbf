"""A browser's sound: its microphone, another tab's, the sample's two voices. The only import of aiortc.

aiortc's own audio buffer adds 200 ms for the rest of a call at the first lost packet and drops good ones; each
receiver's is replaced by ours (reorder.py), and its decoder thread stands idle: an Opus packet takes 0.1 ms here.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aioice.ice
import aiortc
from aiortc.codecs import get_decoder
from aiortc.jitterbuffer import JitterFrame

from voice.frames import SAMPLE_RATE, Samples, Speaker
from voice.legs import LegItem, LegRefused
from voice.legs.live import LiveItems
from voice.legs.offers import accepted_offer, with_own_addresses
from voice.legs.pcm import FFmpegError, FrameResampler
from voice.legs.reorder import ReorderBuffer, ReorderSettings
from voice.legs.timeline import TimelineSettings

_BUFFER: Final = "_RTCRtpReceiver__jitter_buffer"
_CODECS: Final = "_RTCRtpReceiver__codecs"


class HookMissing(RuntimeError):
    """aiortc has changed inside: the audio buffer can no longer be replaced. Install the version that pyproject.toml pins."""


@dataclass(frozen=True, slots=True)
class WebRtcSettings:
    """``stun``: STUN or TURN URLs; none unless set. ``buffer_ms``: frames that may wait for the consumer, per speaker."""

    stun: tuple[str, ...] = ()
    buffer_ms: int = 2000
    answer_s: float = 10.0
    busy_ms: float = 4.0  # decoding gives the loop back after so long
    reorder: ReorderSettings = field(default_factory=ReorderSettings)
    timeline: TimelineSettings = field(default_factory=TimelineSettings)


async def check_hook() -> None:
    """Raises HookMissing if the installed aiortc has not the inside that we rely on. Sends nothing."""
    peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
    try:
        _require_hook(peer.addTransceiver("audio", direction="recvonly").receiver)
    finally:
        await peer.close()


def _require_hook(receiver: Any) -> None:
    if not hasattr(getattr(receiver, _BUFFER, None), "add") or not isinstance(getattr(receiver, _CODECS, None), dict):
        raise HookMissing("This version of aiortc has another inside than 1.16: its audio buffer cannot be replaced.")


class _Decoder:
    """Packets of one source in order -> stretches of 16 kHz sound with the sender's position of their first sample."""

    def __init__(self) -> None:
        self._name = ""
        self._decoder: Any = None
        self._resampler = FrameResampler()
        self._stamp: int | None = None  # of the newest packet
        self._unwrapped = 0
        self._next = 0  # position of the resampler's next sample
        self.damaged = 0

    def counts_otherwise(self, codec: Any) -> bool:
        """Another codec in mid-call: its samples and its clock are others."""
        return self._decoder is not None and codec.name != self._name

    def position(self, packet: Any, codec: Any) -> int:
        """The packet's time as a number of 16 kHz samples; RTP counts modulo 2^32 (RFC 3550 section 5.1)."""
        ahead = 0 if self._stamp is None else (packet.timestamp - self._stamp + (1 << 31)) % (1 << 32) - (1 << 31)
        return (self._unwrapped + ahead) * SAMPLE_RATE // int(codec.clockRate)

    def feed(self, packet: Any, codec: Any) -> list[tuple[int, Samples]]:
        out: list[tuple[int, Samples]] = []
        if self._decoder is None:
            self._name, self._decoder = codec.name, get_decoder(codec)
            self._next = self.position(packet, codec)
        position = self.position(packet, codec)
        self._unwrapped += 0 if self._stamp is None else (packet.timestamp - self._stamp + (1 << 31)) % (1 << 32) - (1 << 31)
        self._stamp = packet.timestamp
        try:
            frames = self._decoder.decode(JitterFrame(packet._data, packet.timestamp))
        except FFmpegError:
            self.damaged += 1  # as good as lost; its place is filled by time
            return []
        if abs(position - self._next) > SAMPLE_RATE // 100:  # a hole: the sound before it ends here
            out.append((self._next, self._resampler.finish()))
            self._resampler, self._next = FrameResampler(), position
        for frame in frames:
            samples = self._resampler.feed(frame)
            out.append((self._next, samples))
            self._next += len(samples)
        return out


class _Track:
    """One track of one connection. It has the ``add`` of aiortc's JitterBuffer and takes its place in the receiver."""

    def __init__(self, leg: "WebRtcLeg", speaker: Speaker, receiver: Any, peer: Any) -> None:
        self.speaker: Speaker = speaker
        self.peer = peer
        self._leg, self._receiver = leg, receiver
        self._reorder: ReorderBuffer[Any] = ReorderBuffer(leg.settings.reorder)
        self._decoder = _Decoder()
        self._source: int | None = None
        self._restarted = False
        # Packets in order, not yet decoded. A loop that stands still for 10 s has worse troubles; the oldest go.
        self._pending: deque[tuple[Any, float]] = deque(maxlen=500)
        self._scheduled = False
        self.dead = False

    def add(self, packet: Any) -> tuple[bool, None]:
        now_ms = self._leg.items.now_ms()
        if packet.ssrc != self._source:
            if self._source is not None:
                self._ready(self._reorder.finish(), now_ms)
            self._source = packet.ssrc
            self._pending.append((None, now_ms))
        if packet._data:
            self._ready(self._reorder.feed(packet.sequence_number, packet, now_ms), now_ms)
        return False, None

    def tick(self, now_ms: float) -> None:
        self._ready(self._reorder.tick(now_ms), now_ms)

    def waiting(self) -> int | None:
        """Position of the first sound that is here but not yet on the timeline."""
        packet = next((packet for packet, _ in self._pending if packet is not None), None) or self._reorder.waiting()
        codec = None if packet is None else self._codec(packet)
        return None if codec is None else self._decoder.position(packet, codec)

    def _codec(self, packet: Any) -> Any:
        return getattr(self._receiver, _CODECS).get(packet.payload_type)

    def _ready(self, packets: Sequence[Any], now_ms: float) -> None:
        self._pending.extend((packet, now_ms) for packet in packets)
        if self._pending and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._decode)

    def _decode(self) -> None:
        self._scheduled = False
        until = time.monotonic() + self._leg.settings.busy_ms / 1000
        while self._pending and not self.dead:
            packet, now_ms = self._pending.popleft()
            if packet is None:
                self._decoder, self._restarted = _Decoder(), True
                continue
            codec = self._codec(packet)
            if codec is None:
                continue
            if self._decoder.counts_otherwise(codec):
                self._decoder, self._restarted = _Decoder(), True
            for position, samples in self._decoder.feed(packet, codec):
                self._leg.heard(self, position, samples, now_ms, restarted=self._restarted)
                self._restarted = False
            if time.monotonic() >= until and self._pending:
                self._ready((), now_ms)
                return


class WebRtcLeg:
    """A call's browsers. One object per call: it lives across reconnects; answer() takes each new offer.

    ``began_at``: wall clock of the timeline's zero (now, if None). A call resumed after a restart passes its own.
    """

    def __init__(self, settings: WebRtcSettings | None = None, *, began_at: float | None = None) -> None:
        self.settings = settings or WebRtcSettings()
        self.items = LiveItems(self.settings.timeline, buffer_ms=self.settings.buffer_ms, began_at=began_at)
        self._tracks: dict[Speaker, _Track] = {}  # whom we hear
        self._offered: dict[Speaker, _Track] = {}  # answered, no sound yet
        self._peers: set[Any] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._iterating = False

    # ---- signalling

    async def answer(self, sdp: str, tracks: Mapping[str, Speaker]) -> str:
        """An offer's answer: receive only, all candidates in it. ``tracks``: whose sound each audio section (mid) is.

        A speaker's older connection is heard until the new one brings sound. Raises LegRefused.
        """
        if self.items.ended():
            raise LegRefused("This call has ended.")
        offer = accepted_offer(sdp, tracks)
        if own := aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=False):
            offer = with_own_addresses(offer, own[0])
        peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[aiortc.RTCIceServer(urls=url) for url in self.settings.stun]))
        self._peers.add(peer)
        try:
            async with asyncio.timeout(self.settings.answer_s):
                await peer.setRemoteDescription(aiortc.RTCSessionDescription(sdp=offer, type="offer"))
                self._listen(peer, tracks)
                await peer.setLocalDescription(await peer.createAnswer())
        except TimeoutError as failure:
            await self._close(peer)
            raise LegRefused("No network address was found in time to answer with.") from failure
        except (HookMissing, asyncio.CancelledError):
            await self._close(peer)
            raise
        except Exception as failure:  # aiortc raises anything from KeyError to OperationError for what it cannot take
            await self._close(peer)
            raise LegRefused("The offer was not understood, or has no codec that we know (Opus, G.722, PCMU, PCMA).") from failure
        if self.items.ended():
            await self._close(peer)
            raise LegRefused("This call has ended.")
        return str(peer.localDescription.sdp)

    def mute(self, speaker: Speaker, muted: bool) -> None:
        """A muted side's frames go on, as silence."""
        self.items.mute(speaker, muted)

    def _listen(self, peer: Any, tracks: Mapping[str, Speaker]) -> None:
        for transceiver in peer.getTransceivers():
            transceiver.direction = "recvonly"
            receiver, speaker = transceiver.receiver, tracks[transceiver.mid]
            _require_hook(receiver)
            track = _Track(self, speaker, receiver, peer)
            setattr(receiver, _BUFFER, track)
            if (older := self._offered.get(speaker)) is not None:
                self._drop(older)
            self._offered[speaker] = track

        def changed() -> None:
            if peer.connectionState in ("failed", "closed"):
                self._gone(peer)

        peer.on("connectionstatechange", changed)

    # ---- sound

    def heard(self, track: _Track, position: int, samples: Samples, now_ms: float, *, restarted: bool) -> None:
        """A track's sound, decoded. The first of an offered track makes it the speaker's."""
        speaker = track.speaker
        if self._offered.get(speaker) is track:
            del self._offered[speaker]
            older, self._tracks[speaker] = self._tracks.get(speaker), track
            if older is not None:
                self._drop(older)
            self.items.join(speaker)
        elif restarted:
            self.items.restart(speaker)
        if self._tracks.get(speaker) is track:
            self.items.feed(speaker, position, samples, now_ms)

    def _tick(self, now_ms: float) -> bool:
        for track in (*self._tracks.values(), *self._offered.values()):
            track.tick(now_ms)
        for speaker, track in self._tracks.items():
            self.items.tick(speaker, now_ms, track.waiting())
        return self.items.deserted() and not self._offered

    # ---- the leg

    async def __aiter__(self) -> AsyncIterator[LegItem]:
        self._iterating = True
        try:
            async with contextlib.aclosing(self.items.stream(self._tick)) as items:
                async for item in items:
                    yield item
        finally:
            self._iterating = False
            await self._close_all()

    async def end(self) -> None:
        self.items.end()
        if not self._iterating:
            await self._close_all()

    async def play(self, file: Path) -> bool:  # noqa: ARG002  the seam's signature; we only receive, the two people hear each other peer to peer
        return False

    # ---- ends of connections

    def _drop(self, track: _Track) -> None:
        """Nobody listens to this track any more; its connection closes with its last track."""
        track.dead = True
        if not any(other.peer is track.peer and not other.dead for other in (*self._tracks.values(), *self._offered.values())):
            self._gone(track.peer)

    def _gone(self, peer: Any) -> None:
        for speaker, track in list(self._offered.items()):
            if track.peer is peer:
                del self._offered[speaker]
        if peer in self._peers:
            self._peers.discard(peer)
            task = asyncio.get_running_loop().create_task(self._close(peer), name="close a peer connection")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _close(self, peer: Any) -> None:
        self._peers.discard(peer)
        with contextlib.suppress(Exception):  # a connection that cannot even be closed is closed for us
            async with asyncio.timeout(5):
                await peer.close()

    async def _close_all(self) -> None:
        self.items.end()
        for peer in list(self._peers):
            self._gone(peer)
        while self._closing:
            await asyncio.wait(self._closing)
