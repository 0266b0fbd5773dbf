"""People in a LiveKit room, as the Python SDK lets them be: they publish recorded speech and hear what others publish."""

import asyncio
import contextlib
import datetime
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from livekit import api, rtc
from numpy.typing import NDArray

from scripts.programs.services import LIVEKIT_KEY, LIVEKIT_SECRET
from voice.legs.livekit_room import ROLE
from voice.legs.pcm import channels_of

DATA: Final = Path(__file__).parent / "data"
SPEECH: Final = {"agent": DATA / "fake_mic_agent.wav", "prospect": DATA / "fake_mic_prospect.wav"}
RATE: Final = 16_000


def speech(speaker: str, *, words: bool = False) -> NDArray[np.int16]:
    """One side of the call that the tests' microphones hold, 16 kHz; ``words``: only its first sentence, without a pause."""
    sound = np.concatenate([block[0] for block in channels_of(SPEECH[speaker])])
    first = {"agent": (0.75, 3.2), "prospect": (3.6, 8.6)}[speaker]
    return sound[int(first[0] * RATE) : int(first[1] * RATE)] if words else sound


def telephone(sound: NDArray[np.int16]) -> NDArray[np.int16]:
    """As a telephone hears it: 8 kHz, 300 to 3400 Hz, eight bits by mu-law (ITU-T G.711)."""
    spectrum = np.fft.rfft(sound.astype(np.float64))
    hertz = np.fft.rfftfreq(len(sound), 1 / RATE)
    spectrum[(hertz < 300) | (hertz > 3400)] = 0
    narrow = np.clip(np.fft.irfft(spectrum, len(sound))[::2] / 32768, -1, 1)
    coded = np.round(np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log(256) * 127) / 127
    return np.asarray(np.sign(coded) * (256 ** np.abs(coded) - 1) / 255 * 32767, np.int16)


def token(room: str, identity: str, role: str = "", *, phone: dict[str, str] | None = None, metadata: dict[str, str] | None = None) -> str:
    made = api.AccessToken(LIVEKIT_KEY, LIVEKIT_SECRET).with_identity(identity).with_ttl(datetime.timedelta(hours=1))
    made = made.with_grants(api.VideoGrants(room_join=True, room=room, agent=role == "coach"))
    attributes = dict(phone or {})
    if phone is not None:
        made = made.with_kind("sip")
    if role:
        attributes[ROLE] = role
    if metadata:
        made = made.with_metadata(json.dumps(metadata))
    return made.with_attributes(attributes).to_jwt()


class Person:
    """join(), say(), leave(). Between words the microphone gives a faint hiss, as microphones do."""

    def __init__(self, url: str, room: str, identity: str, role: str = "", **more: Any) -> None:
        """``given``: a token made by somebody else."""
        self.identity, self._url, self._token = identity, url, more.pop("given", "") or token(room, identity, role, **more)
        self.room = rtc.Room()
        self._rate = 8000 if more.get("phone") is not None else RATE
        self._source = rtc.AudioSource(self._rate, 1, queue_size_ms=60)
        self._sound, self._at, self._loop = np.zeros(0, np.int16), 0, False
        self._hiss: float = 3.0
        self._task: asyncio.Task[None] | None = None
        self.received: list[str] = []
        self.hears: set[str] = set()  # identities whose sound reaches this person

    async def join(self, *, publish: bool = True, hiss: float = 3.0, dtx: bool = False) -> "Person":
        self._hiss = hiss
        self.room.on("data_received", lambda packet: self.received.append(packet.data.decode("utf-8", "replace")))
        self.room.on("track_subscribed", lambda _track, _publication, participant: self.hears.add(participant.identity))
        await self.room.connect(self._url, self._token)
        if publish:
            track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
            self.publication = await self.room.local_participant.publish_track(
                track, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=dtx)
            )
            self._task = asyncio.create_task(self._speak(), name=f"{self.identity} speaks")
        return self

    def say(self, sound: NDArray[np.int16], *, loop: bool = False) -> None:
        self._sound, self._at, self._loop = sound, 0, loop

    @property
    def saying(self) -> bool:
        return self._at < len(self._sound)

    async def _speak(self) -> None:
        size, random = self._rate // 50, np.random.default_rng(1)
        while True:
            part = self._sound[self._at : self._at + size]
            self._at += size
            if self._loop and not self.saying:
                self._at = 0
            noise = random.normal(0, self._hiss, size) if self._hiss else np.zeros(size)
            block = np.clip(np.pad(part, (0, size - len(part))) + noise, -32768, 32767).astype(np.int16)
            await self._source.capture_frame(rtc.AudioFrame(block.tobytes(), self._rate, 1, size))

    async def leave(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.room.disconnect(), 5)


async def until(true: Callable[[], Any], within_s: float = 10.0) -> Any:
    """The first truth; raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not (found := true()):  # noqa: ASYNC110  what is waited for has no event
            await asyncio.sleep(0.02)
    return found


async def connected(url: str) -> api.LiveKitAPI:
    return api.LiveKitAPI(url.replace("ws", "http", 1), LIVEKIT_KEY, LIVEKIT_SECRET)


async def main(url: str, room: str, identity: str, role: str) -> None:
    """A person in a process of its own, which can be stopped and killed: python tests/rooms.py URL ROOM IDENTITY ROLE."""
    person = await Person(url, room, identity, role).join()
    person.say(speech(role, words=True), loop=True)
    sys.stdout.write("in\n")
    sys.stdout.flush()
    await asyncio.sleep(120)


async def apart(url: str, room: str, identity: str, role: str) -> asyncio.subprocess.Process:
    """That process; whoever starts it kills it."""
    root = Path(__file__).parents[1]
    child = await asyncio.create_subprocess_exec(
        sys.executable, __file__, url, room, identity, role,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert child.stdout is not None
    assert await asyncio.wait_for(child.stdout.readline(), 20) == b"in\n"
    return child


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
