"""This computer's sound card: a microphone for the agent, a second device (a loopback or monitor source) for the other side.

The only import of sounddevice, and that only when a leg is made: without PortAudio the import itself fails.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voice.frames import SAMPLE_RATE, Samples, Speaker
from voice.legs import LegItem
from voice.legs.live import LiveItems
from voice.legs.pcm import RateResampler
from voice.legs.timeline import TimelineSettings

Device = int | str | None  # PortAudio's number, a part of its name, or the computer's default


class MicrophoneMissing(RuntimeError):
    """There is no sound to be had from this computer; the message says what to do."""


@dataclass(frozen=True, slots=True)
class SoundDevice:
    """A device that records. ``number``: PortAudio's, for this run of the computer only."""

    number: int
    name: str
    channels: int
    sample_rate: int
    default: bool


def devices() -> list[SoundDevice]:
    """Every device that can record. Raises MicrophoneMissing without PortAudio."""
    sounddevice = _portaudio()
    default = sounddevice.default.device[0]
    return [
        SoundDevice(number, str(found["name"]), int(found["max_input_channels"]), int(found["default_samplerate"]), number == default)
        for number, found in enumerate(sounddevice.query_devices())
        if found["max_input_channels"] > 0
    ]


def _portaudio() -> Any:
    try:
        import sounddevice
    except OSError as failure:
        raise MicrophoneMissing(
            "PortAudio is missing: install it (Debian and Ubuntu: apt install libportaudio2) and start again."
        ) from failure
    return sounddevice


@dataclass(frozen=True, slots=True)
class MicrophoneSettings:
    """``block_ms``: sound taken from the card at a time. ``buffer_ms``: sound that may wait for the consumer, per speaker."""

    block_ms: int = 20
    buffer_ms: int = 2000
    timeline: TimelineSettings = TimelineSettings(leave_after_ms=30_000)  # noqa: RUF009  frozen, so it may be shared


class MicrophoneLeg:
    """Both devices open when the iteration begins; MicrophoneMissing is raised there if one cannot be opened.

    Each card has its own clock; the timeline follows it. A card that is pulled out is lost, then leaves.
    """

    def __init__(self, agent_device: Device = None, prospect_device: Device = None, settings: MicrophoneSettings | None = None) -> None:
        """``prospect_device``: None when the other side is not to be heard by a device of its own."""
        self._settings = settings or MicrophoneSettings()
        self._devices: dict[Speaker, Device] = {"agent": agent_device}
        if prospect_device is not None:
            self._devices["prospect"] = prospect_device
        self.items = LiveItems(self._settings.timeline, buffer_ms=self._settings.buffer_ms)

    def mute(self, speaker: Speaker, muted: bool) -> None:
        """A muted side's frames go on, as silence."""
        self.items.mute(speaker, muted)

    async def __aiter__(self) -> AsyncIterator[LegItem]:
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as cards:
            for speaker, device in self._devices.items():
                source = _Source(speaker, self.items, loop)
                # Opening may take a second (ALSA probes); the two people are not talking to us yet, but others may be.
                stream = await asyncio.to_thread(_opened, device, self._settings.block_ms, source)
                cards.callback(stream.close, ignore_errors=True)
            async with contextlib.aclosing(self.items.stream(self._tick)) as items:
                async for item in items:
                    yield item

    async def end(self) -> None:
        self.items.end()

    async def play(self, file: Path) -> bool:  # noqa: ARG002  the seam's signature; the other side is behind somebody else's program
        return False

    def _tick(self, now_ms: float) -> bool:
        for speaker in self._devices:
            self.items.tick(speaker, now_ms)
        return self.items.deserted()


class _Source:
    """One card's blocks, from PortAudio's thread to the loop. Bounded by the loop: what it cannot take, LiveItems drops."""

    def __init__(self, speaker: Speaker, items: LiveItems, loop: asyncio.AbstractEventLoop) -> None:
        self._speaker: Speaker = speaker
        self._items, self._loop = items, loop
        self._position = 0
        self._resampler: RateResampler | None = None
        items.join(speaker)

    def at_rate(self, rate: int) -> None:
        """The card's own rate, when it cannot do ours."""
        self._resampler = RateResampler(rate) if rate != SAMPLE_RATE else None

    def block(self, samples: Samples, overflowed: bool) -> None:
        """Called in PortAudio's thread, which must not wait."""
        with contextlib.suppress(RuntimeError):  # the loop is closed; so will be the card
            self._loop.call_soon_threadsafe(self._heard, samples, overflowed, self._items.now_ms())

    def _heard(self, samples: Samples, overflowed: bool, now_ms: float) -> None:
        if overflowed:
            self._items.restart(self._speaker)  # the card lost some; how much is known by the clock only
        heard = samples if self._resampler is None else self._resampler.feed(samples)
        self._items.feed(self._speaker, self._position, heard, now_ms)
        self._position += len(heard)


def _opened(device: Device, block_ms: int, source: _Source) -> Any:
    sounddevice = _portaudio()
    try:
        found = sounddevice.query_devices(device, "input")
        try:
            sounddevice.check_input_settings(device=device, channels=1, dtype="int16", samplerate=SAMPLE_RATE)
            rate = SAMPLE_RATE
        except sounddevice.PortAudioError:
            rate = int(found["default_samplerate"])
        source.at_rate(rate)
        stream = sounddevice.RawInputStream(
            device=device,
            channels=1,
            dtype="int16",
            samplerate=rate,
            blocksize=rate * block_ms // 1000,
            latency="low",
            callback=_callback(source),
        )
        stream.start()
    except (sounddevice.PortAudioError, ValueError) as failure:  # ValueError: no device, or several, of that name
        named = "no microphone was found" if device is None else f"the sound device “{device}” cannot be opened"
        raise MicrophoneMissing(f"{named[0].upper()}{named[1:]}: choose one of those that `sottovoce listen --devices` lists.") from failure
    return stream


def _callback(source: _Source) -> Callable[[Any, int, Any, Any], None]:
    def callback(block: Any, _frames: int, _times: Any, status: Any) -> None:
        source.block(np.frombuffer(bytes(block), np.int16), bool(status.input_overflow))

    return callback
