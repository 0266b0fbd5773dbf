"""A two-channel recording as a browser sends it: two tracks of one peer connection into a running server, and a viewer.

Used by bench_live and by the tests of faults; it talks to the server as any program does and imports nothing of it.
"""

import asyncio
import fractions
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiortc
import av
import httpx
import numpy as np
import websockets
from aiortc.mediastreams import MediaStreamTrack
from numpy.typing import NDArray

from scripts.programs.services import tree_cpu_s

RATE = 48_000
FRAME = 960


def channels(file: Path, agent: str = "left") -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """(agent, prospect), int16 at 48 kHz."""
    resampler = av.AudioResampler(format="s16p", layout="stereo", rate=RATE)
    with av.open(str(file)) as container:
        blocks = [piece.to_ndarray() for frame in container.decode(audio=0) for piece in resampler.resample(frame)]
        blocks += [piece.to_ndarray() for piece in resampler.resample(None)]
    sound = np.concatenate(blocks, axis=1)
    return (sound[0], sound[1]) if agent == "left" else (sound[1], sound[0])


class Voice(MediaStreamTrack):  # type: ignore[misc]  # aiortc is untyped for us
    """Samples at pace; a frame is sent when its end is due. ``zero``: time.monotonic() of sample 0.

    ``skip``: where to begin; below 0 is silence before the first sample.
    """

    kind = "audio"

    def __init__(self, samples: NDArray[np.int16], zero: float, skip: int = 0) -> None:
        super().__init__()
        self._samples, self._zero, self._at = samples, zero, skip
        self._first = skip
        self.over = asyncio.Event()

    async def recv(self) -> av.AudioFrame:
        await asyncio.sleep(max(0.0, self._zero + (self._at + FRAME) / RATE - time.monotonic()))
        part = self._samples[max(0, self._at) : max(0, self._at + FRAME)]
        if len(part) < FRAME:
            if self._at > 0:
                self.over.set()
            part = np.pad(part, (0, FRAME - len(part)) if self._at > 0 else (FRAME - len(part), 0))
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._at - self._first, fractions.Fraction(1, RATE)
        self._at += FRAME
        return frame


@dataclass(slots=True)
class Server:
    """A server: one that we start in a folder of its own, or a running one whose sign-in link is given."""

    url: str
    cookie: str
    process: "subprocess.Popen[str] | None" = None

    @classmethod
    def start(cls, data: Path | None = None, port: int = 0, cookie: str = "", **environment: str) -> "Server":
        folder = data or Path(tempfile.mkdtemp(prefix="sottovoce-bench-"))
        env = {**os.environ, "SOTTOVOCE_DATA": str(folder), "SOTTOVOCE_PORT": str(port), **environment}
        command = [sys.executable, "-m", "web.cli", "serve"]
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        url = ""
        for line in process.stdout:
            if found := re.search(r"is at (http\S+)", line):
                url = found[1]
            if found := re.search(r"(http\S+/sign-in\?token=\S+)", line):
                return cls(url, cls.signed_in(found[1]), process)
            if "sottovoce sign-in" in line and cookie:
                return cls(url, cookie, process)
        raise RuntimeError("the server did not start; what it said stands above")

    @staticmethod
    def signed_in(link: str) -> str:
        answer = httpx.get(link, follow_redirects=False)
        if "sottovoce_session" not in answer.cookies:
            raise RuntimeError("the sign-in link was used already or is too old: run `sottovoce sign-in`")
        return str(answer.cookies["sottovoce_session"])

    def client(self) -> httpx.AsyncClient:
        headers = {"origin": self.url, "cookie": f"sottovoce_session={self.cookie}"}
        limits = httpx.Limits(keepalive_expiry=2.0)  # before the server's 5 s, or a request meets a connection that is just being closed
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30, limits=limits)

    def socket(self, path: str) -> Any:
        headers = {"cookie": f"sottovoce_session={self.cookie}"}
        return websockets.connect(self.url.replace("http", "ws", 1) + path, origin=self.url, additional_headers=headers, max_size=1 << 22)  # type: ignore[arg-type]  # Origin is a str

    def cpu_s(self) -> float:
        """CPU seconds that the server and its children have used so far."""
        if self.process is None:
            return float("nan")
        return tree_cpu_s(self.process.pid)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            if self.process.stdout:
                self.process.stdout.close()


@dataclass(slots=True)
class Received:
    """Everything that a viewer socket got: (time.monotonic(), message)."""

    messages: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    last: int = 0

    def events(self, kind: str = "") -> list[dict[str, Any]]:
        return [m for _, m in self.messages if m["lane"] == "event" and (not kind or m["type"] == kind)]


async def watch(server: Server, call: str, received: Received, until: Callable[[dict[str, Any]], bool] | None = None) -> None:
    """Reads the viewer socket from ``received.last`` on; ends with the socket or when ``until`` says so."""
    async with server.socket(f"/ws/calls/{call}?after={received.last}") as socket:
        async for text in socket:
            message = json.loads(text)
            received.messages.append((time.monotonic(), message))
            if message["lane"] == "event":
                received.last = message["n"]
                if until and until(message):
                    return
            elif message["lane"] == "ping":
                await socket.send(json.dumps({"pong": True}))


async def offer(client: httpx.AsyncClient, call: str, voices: dict[str, Voice]) -> Any:
    """A peer connection that sends these voices into the call."""
    peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
    senders = {name: peer.addTransceiver(voice, direction="sendonly") for name, voice in voices.items()}
    await peer.setLocalDescription(await peer.createOffer())
    tracks = {transceiver.mid: name for name, transceiver in senders.items()}
    answer = await client.post(f"/api/calls/{call}/legs", json={"sdp": peer.localDescription.sdp, "tracks": tracks})
    answer.raise_for_status()
    await peer.setRemoteDescription(aiortc.RTCSessionDescription(answer.json()["sdp"], "answer"))
    return peer
