"""A carrier as the documents of Twilio and Telnyx describe it: asks what to do with a call, then forks both voices to us.

Used by bench_live and by tests. It signs by its own arithmetic and builds each message itself; nothing of the server is imported.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import av
import httpx
import numpy as np
import websockets
from numpy.typing import NDArray

from scripts.programs.callers import Server

NAME = "coach.example"  # the name by which the carrier knows the server
FRAME_MS = 20


def u_law(samples: NDArray[np.int16], rate: int) -> bytes:
    """8 kHz µ-law of a voice, by FFmpeg's own encoder."""
    codec: Any = av.CodecContext.create("pcm_mulaw", "w")
    codec.format, codec.layout, codec.sample_rate = "s16", "mono", 8000
    resampler = av.AudioResampler(format="s16", layout="mono", rate=8000)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples)[None], format="s16", layout="mono")
    frame.sample_rate = rate
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    return b"".join(bytes(packet) for piece in [*frames, None] for packet in codec.encode(piece))


def signature(token: str, url: str, form: dict[str, str] | None = None) -> str:
    """X-Twilio-Signature."""
    signed = url + "".join(name + (form or {})[name] for name in sorted(form or {}))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


@dataclass(slots=True)
class Answer:
    """Our server's TwiML, read as the carrier reads it."""

    document: ElementTree.Element
    stream: str = ""
    secret: str = ""
    verbs: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, text: str) -> "Answer":
        document = ElementTree.fromstring(text)
        stream, parameter = document.find("Start/Stream"), document.find("Start/Stream/Parameter")
        secret = parameter.attrib["value"] if parameter is not None else ""
        return cls(document, stream.attrib["url"] if stream is not None else "", secret, [verb.tag for verb in document])


@dataclass(slots=True)
class Twilio:
    """One account's side. ``server`` runs with SOTTOVOCE_ORIGINS=https://coach.example and this token."""

    server: Server
    token: str = "12345678901234567890123456789012"

    @staticmethod
    def environment(token: str = "12345678901234567890123456789012") -> dict[str, str]:
        return {"SOTTOVOCE_ORIGINS": f"https://{NAME}", "SOTTOVOCE_TWILIO_TOKEN": token}

    async def post(self, path: str, form: dict[str, str], token: str = "") -> httpx.Response:
        headers = {"host": NAME, "x-twilio-signature": signature(token or self.token, f"https://{NAME}{path}", form)}
        async with httpx.AsyncClient(base_url=self.server.url, headers=headers, timeout=20) as client:
            return await client.post(path, data=form)

    async def voice(self, caller: str, callee: str, call: str = "CA1") -> Answer:
        form = {"AccountSid": "AC0", "CallSid": call, "From": caller, "To": callee, "Direction": "inbound", "CallStatus": "ringing"}
        return Answer.of((await self.post("/carriers/twilio/voice", form)).raise_for_status().text)

    def connect(self, url: str, sign: str | None = None) -> Any:
        """The stream's socket, with the name that the carrier dialled, at the server's own port."""
        headers = {"x-twilio-signature": signature(self.token, url) if sign is None else sign}
        port = int(self.server.url.rsplit(":", 1)[1])
        plain = url.replace("wss://", "ws://", 1)
        return websockets.connect(plain, host="127.0.0.1", port=port, additional_headers=headers, max_size=1 << 20)


def start_message(secret: str, call: str = "CA1", stream: str = "MZ1") -> str:
    form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    started = {
        "streamSid": stream,
        "accountSid": "AC0",
        "callSid": call,
        "tracks": ["inbound", "outbound"],
        "customParameters": {"secret": secret},
    }
    return json.dumps({"event": "start", "sequenceNumber": "1", "streamSid": stream, "start": {**started, "mediaFormat": form}})


def media_messages(voices: dict[str, bytes]) -> list[list[str]]:
    """For each 20 ms one message a track, as Twilio numbers them: inbound first; a voice that is over is silence."""
    frames = max(len(code) for code in voices.values()) // 160
    out, sequence = [], 2
    for k in range(frames):
        pair = []
        for track, code in voices.items():
            payload = code[k * 160 : (k + 1) * 160].ljust(160, b"\xff")
            media = {"track": track, "chunk": str(k + 1), "timestamp": str(k * FRAME_MS + 5), "payload": base64.b64encode(payload).decode()}
            pair.append(json.dumps({"event": "media", "sequenceNumber": str(sequence), "streamSid": "MZ1", "media": media}))
            sequence += 1
        out.append(pair)
    return out


async def send_at_pace(socket: Any, messages: Iterable[list[str]], zero: float) -> None:
    """Each pair when its 20 ms are over; ``zero``: time.monotonic() of the first sample."""
    for k, pair in enumerate(messages):
        await asyncio.sleep(max(0.0, zero + (k + 1) * FRAME_MS / 1000 - time.monotonic()))
        for message in pair:
            await socket.send(message)
