"""A phone call that a carrier forks to us over a WebSocket: Twilio Media Streams, and Telnyx's variant of them.

From the documents of both (2026): text messages, both tracks of one call on one socket, the payload in base64, every
number a string, order not guaranteed. The web layer owns the socket; it hands each text to MediaStreamLeg.message().
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from voice.frames import SAMPLES_PER_MS, Samples, Speaker
from voice.legs import LegItem, LegRefused
from voice.legs.live import LiveItems
from voice.legs.pcm import RateResampler
from voice.legs.reorder import ReorderBuffer
from voice.legs.telephony import DECODERS
from voice.legs.timeline import TimelineSettings

Track: TypeAlias = Literal["inbound", "outbound"]

LONGEST_MESSAGE: Final = 64 * 1024
_STEADY: Final = 10 * SAMPLES_PER_MS  # time stamps are in whole ms and jitter; a hole is longer
_NUMBERS: Final = 1 << 40  # chunks are counted without end


@dataclass(frozen=True, slots=True)
class StreamStarted:
    """``parameters``: what our own answer to the carrier gave along, such as a secret and the call's id."""

    stream: str
    call: str
    encoding: str
    sample_rate: int
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StreamSound:
    track: Track
    chunk: int
    timestamp_ms: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class KeyPressed:
    digit: str


@dataclass(frozen=True, slots=True)
class StreamStopped:
    pass


@dataclass(frozen=True, slots=True)
class StreamOther:
    """``connected``, ``mark`` and what may be invented later."""

    event: str


StreamMessage: TypeAlias = StreamStarted | StreamSound | KeyPressed | StreamStopped | StreamOther


def stream_message(text: str) -> StreamMessage:
    """One message of either carrier. Raises LegRefused for what is none."""
    if len(text) > LONGEST_MESSAGE:
        raise LegRefused("A message of the media stream is too long.")
    try:
        message = json.loads(text)
        event = message["event"]
        match event:
            case "start":
                return _started(message, message["start"])
            case "media":
                return _sound(message["media"])
            case "dtmf":
                return KeyPressed(str(message["dtmf"]["digit"])[:1])
            case "stop":
                return StreamStopped()
            case str():
                return StreamOther(event[:40])
            case _:
                raise LegRefused("A message of the media stream has no event.")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as failure:
        if isinstance(failure, LegRefused):
            raise
        raise LegRefused("A message of the media stream was not understood.") from failure


def _started(message: Any, start: Any) -> StreamStarted:
    form = start.get("mediaFormat") or start["media_format"]
    parameters = start.get("customParameters") or start.get("custom_parameters") or {}
    stream = message.get("streamSid") or message.get("stream_id") or start.get("streamSid")
    call = start.get("callSid") or start.get("call_control_id")
    if not isinstance(stream, str) or not isinstance(call, str):
        raise LegRefused("The media stream does not say which call it belongs to.")
    started = StreamStarted(
        stream,
        call,
        str(form["encoding"]),
        int(form.get("sampleRate") or form["sample_rate"]),
        {str(name): str(value) for name, value in parameters.items()},
    )
    if started.encoding not in DECODERS or started.sample_rate != 8000 or int(form.get("channels", 1)) != 1:
        raise LegRefused(
            f"The media stream's sound is {started.encoding[:20]} at {started.sample_rate} Hz; µ-law or A-law at 8000 Hz, one channel, can be taken."
        )
    return started


def _sound(media: Any) -> StreamSound:
    track = media["track"]
    if track not in ("inbound", "outbound"):
        raise LegRefused("A message of the media stream has an unknown track.")
    try:
        payload = base64.b64decode(media["payload"], validate=True)
    except binascii.Error as failure:
        raise LegRefused("The sound of a media stream is no base64.") from failure
    chunk, timestamp_ms = int(media["chunk"]), int(media["timestamp"])
    if not 0 <= chunk < _NUMBERS or not 0 <= timestamp_ms < _NUMBERS:
        raise LegRefused("A message of the media stream has an impossible number.")
    return StreamSound(track, chunk, timestamp_ms, payload)


def signed_by_twilio(url: str, token: str, signature: str) -> bool:
    """Whether ``X-Twilio-Signature`` of the WebSocket's request is right: base64 of HMAC-SHA1 over the full wss:// URL.

    The URL is the one in our answer to Twilio, as seen from outside; a GET has no form fields to add.
    """
    wanted = base64.b64encode(hmac.new(token.encode(), url.encode(), hashlib.sha1).digest())
    return hmac.compare_digest(wanted, signature.encode("utf-8", "replace"))


class _TrackSound:
    """One track's messages, in any order -> stretches of 16 kHz sound with the track's position of their first sample."""

    def __init__(self, decode: Callable[[bytes], Samples], sample_rate: int) -> None:
        self._decode, self._rate = decode, sample_rate
        self._order: ReorderBuffer[StreamSound] = ReorderBuffer(numbers=_NUMBERS)
        self._resampler = RateResampler(sample_rate)
        self._next: int | None = None

    def feed(self, sound: StreamSound, now_ms: float) -> list[tuple[int, Samples]]:
        return [stretch for ready in self._order.feed(sound.chunk, sound, now_ms) for stretch in self._stretches(ready)]

    def tick(self, now_ms: float) -> list[tuple[int, Samples]]:
        return [stretch for ready in self._order.tick(now_ms) for stretch in self._stretches(ready)]

    @property
    def given_up(self) -> int:
        return self._order.given_up

    def waiting(self) -> int | None:
        sound = self._order.waiting()
        return None if sound is None else sound.timestamp_ms * SAMPLES_PER_MS

    def _stretches(self, sound: StreamSound) -> list[tuple[int, Samples]]:
        out: list[tuple[int, Samples]] = []
        position = sound.timestamp_ms * SAMPLES_PER_MS
        if self._next is None or abs(position - self._next) > _STEADY:
            if self._next is not None:
                out.append((self._next, self._resampler.finish()))
            self._resampler, self._next = RateResampler(self._rate), position
        samples = self._resampler.feed(self._decode(sound.payload)) if sound.payload else None
        if samples is not None and len(samples):
            out.append((self._next, samples))
            self._next += len(samples)
        return out


class MediaStreamLeg:
    """One forked call. ``inbound``: whose voice the carrier receives on the leg that it forks (the caller's: the prospect).

    message() takes each text of the socket; LegRefused means: close the socket. disconnected() when the socket is gone.
    """

    def __init__(
        self,
        *,
        inbound: Speaker = "prospect",
        settings: TimelineSettings | None = None,
        buffer_ms: int = 2000,
        began_at: float | None = None,
    ) -> None:
        outbound: Speaker = "agent" if inbound == "prospect" else "prospect"
        self._speakers: dict[Track, Speaker] = {"inbound": inbound, "outbound": outbound}
        self._tracks: dict[Track, _TrackSound] = {}
        self.items = LiveItems(settings, buffer_ms=buffer_ms, began_at=began_at)
        self.started: StreamStarted | None = None

    def message(self, text: str) -> StreamMessage:
        message = stream_message(text)
        now_ms = self.items.now_ms()
        match message:
            case StreamStarted():
                self._begin(message)
            case StreamSound():
                if self.started is None:
                    raise LegRefused("The media stream sent sound before it said what it is.")
                self._heard(message.track, self._track(message.track).feed(message, now_ms), now_ms)
            case StreamStopped():
                self.disconnected()
            case KeyPressed() | StreamOther():
                pass
        return message

    def mute(self, speaker: Speaker, muted: bool) -> None:
        """A muted side's frames go on, as silence."""
        self.items.mute(speaker, muted)

    @property
    def given_up(self) -> int:
        """Messages of either track that never came, or came too late."""
        return sum(sound.given_up for sound in self._tracks.values())

    def disconnected(self) -> None:
        """The stream is over; carriers end it with the call and never take it up again."""
        for speaker in self._speakers.values():
            self.items.leave(speaker)
        if self.started is None or not self._tracks:
            self.items.end()  # nobody ever spoke, so nobody leaves

    async def __aiter__(self) -> AsyncIterator[LegItem]:
        async with aclosing(self.items.stream(self._tick)) as items:
            async for item in items:
                yield item

    async def end(self) -> None:
        self.items.end()

    async def play(self, file: Path) -> bool:  # noqa: ARG002  the seam's signature; a fork carries no sound back
        return False

    def _begin(self, started: StreamStarted) -> None:
        if self.started is not None:
            raise LegRefused("The media stream began twice.")
        self.started = started

    def _track(self, track: Track) -> _TrackSound:
        assert self.started is not None
        if track not in self._tracks:
            self._tracks[track] = _TrackSound(DECODERS[self.started.encoding], self.started.sample_rate)
            self.items.join(self._speakers[track])
        return self._tracks[track]

    def _heard(self, track: Track, stretches: list[tuple[int, Samples]], now_ms: float) -> None:
        for position, samples in stretches:
            self.items.feed(self._speakers[track], position, samples, now_ms)

    def _tick(self, now_ms: float) -> bool:
        for track, sound in self._tracks.items():
            self._heard(track, sound.tick(now_ms), now_ms)
            self.items.tick(self._speakers[track], now_ms, sound.waiting())
        return self.items.deserted()
