"""A browser's stand-in: a real aiortc peer that sends sound at pace, over a network that loses and reorders."""

import asyncio
import fractions
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import aiortc
import av
import numpy as np
from aiortc.mediastreams import MediaStreamTrack
from numpy.typing import NDArray

from voice.frames import AudioFrame, Speaker
from voice.legs import LegItem
from voice.legs.webrtc_peer import WebRtcLeg

RATE = 48_000
FRAME = 960


class Microphone(MediaStreamTrack):
    """``sound(t)``: amplitude at times in seconds since ``zero`` (a time.monotonic()); one frame every 20 ms, never early.

    ``clock``: how much faster than ours this sender's sound card runs (1.0: the same). on_time() tells whether this computer was
    quick enough about a moment (time.monotonic()): what it sent late cannot be heard at its time.
    """

    kind = "audio"

    def __init__(self, sound: Callable[[NDArray[np.float64]], NDArray[np.float64]], zero: float, clock: float = 1.0) -> None:
        super().__init__()
        self._sound, self.zero, self._clock = sound, zero, clock
        self._began = time.monotonic()
        self._sent = 0
        self._late: list[float] = []  # when frames were due that were asked for more than a frame late

    async def recv(self) -> av.AudioFrame:
        due = self._began + (self._sent + FRAME) / RATE / self._clock
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        if time.monotonic() - due > FRAME / RATE:
            self._late.append(due)
        times = self._began - self.zero + (self._sent + np.arange(FRAME)) / RATE / self._clock
        samples = np.round(self._sound(times) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._sent, fractions.Fraction(1, RATE)
        self._sent += FRAME
        return frame

    def on_time(self, at: float) -> bool:
        """Nothing was sent late in the 0.7 s before, whose delay the next quiet pays back, nor just after."""
        return not any(at - 0.7 < due < at + 0.2 for due in self._late)


class Network:
    """Between a sender and us: loses a share of the packets, delays a share behind later ones, or is cut."""

    def __init__(self, *, lose: float = 0.0, reorder: float = 0.0, seed: int = 1) -> None:
        self.lose, self.reorder, self.cut = lose, reorder, False
        self._random = random.Random(seed)
        self._late: list[tuple[int, bytes]] = []
        self.sent = self.lost = self.reordered = 0

    def attach(self, sender: Any) -> None:
        transport = sender.transport
        real = transport._send_rtp

        async def send(data: bytes) -> None:
            if 192 <= data[1] <= 223:  # RTCP
                await real(data)
                return
            self.sent += 1
            roll = self._random.random()
            if self.cut or roll < self.lose:
                self.lost += 1
            elif roll < self.lose + self.reorder:
                self.reordered += 1
                self._late.append((self.sent + self._random.randint(1, 2), data))
            else:
                await real(data)
            for due, late in [entry for entry in self._late if entry[0] <= self.sent]:
                self._late.remove((due, late))
                await real(late)

        transport._send_rtp = send


class Browser:
    """One peer connection that sends one track per speaker."""

    def __init__(self, tracks: Mapping[Speaker, MediaStreamTrack], network: Network | None = None, codec: str = "audio/opus") -> None:
        self.peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
        self._tracks = dict(tracks)
        self._codec = codec
        self.network = network or Network()

    async def offer(self) -> tuple[str, dict[str, Speaker]]:
        senders = [self.peer.addTrack(track) for track in self._tracks.values()]
        for transceiver in self.peer.getTransceivers():
            wanted = [c for c in aiortc.RTCRtpSender.getCapabilities("audio").codecs if c.mimeType == self._codec]
            transceiver.setCodecPreferences(wanted)
            transceiver.direction = "sendonly"
        await self.peer.setLocalDescription(await self.peer.createOffer())
        self.senders = senders
        mids = [transceiver.mid for transceiver in self.peer.getTransceivers()]
        return self.peer.localDescription.sdp, dict(zip(mids, self._tracks, strict=True))

    async def call(self, leg: WebRtcLeg) -> None:
        sdp, tracks = await self.offer()
        answer = await leg.answer(sdp, tracks)
        await self.peer.setRemoteDescription(aiortc.RTCSessionDescription(sdp=answer, type="answer"))
        for transport in {id(sender.transport): sender for sender in self.senders}.values():
            self.network.attach(transport)

    async def hang_up(self) -> None:
        await self.peer.close()


class Listener:
    """Takes everything a leg yields, with the time at which it came."""

    def __init__(self, leg: WebRtcLeg) -> None:
        self.leg = leg
        self.items: list[tuple[float, LegItem]] = []
        self._task = asyncio.get_running_loop().create_task(self._take(), name="listen to the leg")

    async def _take(self) -> None:
        async for item in self.leg:
            self.items.append((time.monotonic(), item))

    async def finish(self) -> None:
        await self.leg.end()
        await asyncio.wait_for(self._task, 10)

    async def until(self, wanted: Callable[[LegItem], bool], seconds: float = 10.0) -> LegItem:
        seen = 0
        async with asyncio.timeout(seconds):
            while True:
                for _, item in self.items[seen:]:
                    seen += 1
                    if wanted(item):
                        return item
                await asyncio.sleep(0.01)

    def frames(self, speaker: Speaker) -> list[tuple[float, AudioFrame]]:
        return [(at, item) for at, item in self.items if isinstance(item, AudioFrame) and item.speaker == speaker]

    def events(self, kind: type) -> list[Any]:
        return [item for _, item in self.items if isinstance(item, kind)]

    def sound(self, speaker: Speaker) -> NDArray[np.int16]:
        """Sample n is what the timeline holds at n / 16 ms; zeros where nothing was said."""
        frames = [frame for _, frame in self.frames(speaker)]
        line = np.zeros(frames[-1].end_ms * 16 if frames else 0, np.int16)
        for frame in frames:
            line[frame.start_ms * 16 : frame.start_ms * 16 + len(frame.samples)] = frame.samples
        return line
