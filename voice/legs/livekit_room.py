"""A LiveKit room: browsers and phones, one speaker per participant. The only import of livekit.rtc.

Verified of the SDK and the server, and relied on here:

* a peer that died stays in the room for about 21 s and its stream delivers exact zeros at pace: a run of zeros is
  reported as no sound (LegLost), never as hung up; a silent microphone is never exact zeros, with DTX neither;
* after a restart of the server tracks come back by a new track_subscribed, and participant_disconnected without a
  reason, while reconnecting, is nobody's leaving;
* only automatic subscription finds every track again, so nothing is subscribed by hand.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from voice.frames import SAMPLE_RATE, SAMPLES_PER_MS, Speaker
from voice.legs import LegItem, LegLost, LegRefused, LegResumed, RoomsMissing
from voice.legs.live import LiveItems
from voice.legs.timeline import TimelineSettings

try:
    from livekit import rtc
except ImportError as missing:
    raise RoomsMissing("Calls from LiveKit rooms need further packages: run scripts/setup --livekit.") from missing

Role: TypeAlias = Literal["agent", "prospect", "supervisor"]
ROLE: Final = "sottovoce.role"  # the attribute that says it; tokens carry it
_NOT_ANSWERED: Final = frozenset({"dialing", "ringing"})  # of sip.callStatus: its track is there already, and silent
_FRAME_MS: Final = 20
_CLOSE_S: Final = 2.0


class RoomLost(ConnectionError):
    """The room has turned us out or cannot be reached again. The people in it may go on: this is no end of the call."""


@dataclass(frozen=True, slots=True)
class RoomSettings:
    """``silent_after_ms``: exact zeros for so long are reported. ``return_ms``: everybody has left for so long: the call is
    over. ``away_ms``: who has not come back so long after a lost connection has left. ``waiting_ms``: sound that may wait
    in the SDK while this process stands still; ``buffer_ms``: frames that may wait for the consumer, per speaker."""

    silent_after_ms: float = 2000.0
    return_ms: float = 10_000.0
    away_ms: float = 30_000.0
    waiting_ms: int = 10_000
    buffer_ms: int = 2000
    timeline: TimelineSettings = field(default_factory=TimelineSettings)


def role_of(participant: Any) -> Role | None:
    """By attribute, by metadata ({"role": …}), or by kind: a phone is the prospect unless it is said to be another.

    None: nobody that a call listens to (an agent program, a recorder, somebody whose token is not ours)."""
    said = participant.attributes.get(ROLE, "")
    if not said:
        with contextlib.suppress(ValueError, AttributeError):
            said = json.loads(participant.metadata or "{}").get("role", "")
    if said in ("agent", "prospect", "supervisor") and participant.kind != rtc.ParticipantKind.PARTICIPANT_KIND_AGENT:
        return said  # type: ignore[no-any-return]  # one of the three
    return "prospect" if participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_SIP else None


@dataclass(slots=True, eq=False)
class _Source:
    """One subscribed track: its own count of samples, because frames carry no time."""

    speaker: Speaker
    participant: Any
    publication: Any
    position: int = 0
    came_ms: float = 0.0
    heard: bool = False  # anything but zeros, ever
    zeros_ms: float = 0.0
    silent: bool = False


class RoomLeg:
    """The people of one room. ``room``: one whose connecting is another's work (the worker's framework); else join().

    ``began_at``: wall clock of the timeline's zero (now, if None). ``on_listeners``: told who listens in, when that changes.
    The iteration ends when everybody has left, when a phone hung up, or when the room was deleted; it raises RoomLost
    when we alone are out.
    """

    def __init__(
        self,
        settings: RoomSettings | None = None,
        *,
        room: Any = None,
        began_at: float | None = None,
        on_listeners: Callable[[tuple[str, ...]], None] = lambda _: None,
    ) -> None:
        self.settings = settings or RoomSettings()
        self.items = LiveItems(self.settings.timeline, buffer_ms=self.settings.buffer_ms, began_at=began_at)
        self.room = room or rtc.Room()
        self._on_listeners = on_listeners
        self._sources: dict[Speaker, _Source] = {}  # whom we hear
        self._offered: dict[Speaker, _Source] = {}  # subscribed, no sound yet
        self._pumps: set[asyncio.Task[None]] = set()
        self._reconnecting = False
        self._away: dict[Speaker, float] = {}
        self._listeners: tuple[str, ...] = ()
        self._deserted_at: float | None = None
        self._over = False
        self._lost = ""
        self._closing = asyncio.Lock()
        handlers: tuple[tuple[Any, Callable[..., None]], ...] = (
            ("track_subscribed", self._subscribed),
            ("participant_connected", lambda _: self._look_for_listeners()),
            ("participant_disconnected", self._gone),
            ("participant_attributes_changed", lambda _, participant: self._changed(participant)),
            ("reconnecting", self._lost_connection),
            ("reconnected", self._back),
            ("disconnected", self._out),
        )
        for name, handler in handlers:
            self.room.on(name, handler)

    async def join(self, url: str, token: str) -> None:
        """Raises LegRefused."""
        try:
            await self.room.connect(url, token, rtc.RoomOptions(auto_subscribe=True))
        except rtc.ConnectError as failure:
            raise LegRefused(f"The room cannot be joined: {failure}") from failure
        self.joined()

    def joined(self) -> None:
        """After somebody else's connect(): who was there before us listens too."""
        self._look_for_listeners()

    def mute(self, speaker: Speaker, muted: bool) -> None:
        """A muted side's frames go on, as silence."""
        self.items.mute(speaker, muted)

    # ---- what the room tells

    def _subscribed(self, track: Any, publication: Any, participant: Any) -> None:
        role = role_of(participant)
        if track.kind != rtc.TrackKind.KIND_AUDIO or role not in ("agent", "prospect") or self.items.ended():
            return
        source = _Source(role, participant, publication)
        self._offered[role] = source
        task = asyncio.get_running_loop().create_task(self._pump(source, track), name=f"hear the {role} in a room")
        self._pumps.add(task)
        task.add_done_callback(self._pumps.discard)

    async def _pump(self, source: _Source, track: Any) -> None:
        # Nothing here waits, so the queue fills only while the whole loop stands still.
        capacity = self.settings.waiting_ms // _FRAME_MS
        stream = rtc.AudioStream.from_track(
            track=track, sample_rate=SAMPLE_RATE, num_channels=1, frame_size_ms=_FRAME_MS, capacity=capacity
        )
        try:
            async for event in stream:
                self._heard(source, np.frombuffer(event.frame.data, np.int16))
        finally:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stream.aclose(), _CLOSE_S)

    def _heard(self, source: _Source, samples: Any) -> None:
        speaker, now_ms = source.speaker, self.items.now_ms()
        if source.participant.attributes.get("sip.callStatus", "") in _NOT_ANSWERED:
            return
        if self._offered.get(speaker) is source:
            del self._offered[speaker]
            self._sources[speaker] = source
            self._away.pop(speaker, None)
            self.items.join(speaker)
        elif self._sources.get(speaker) is not source:
            return  # a newer track has taken its place
        elif now_ms - source.came_ms > self.settings.waiting_ms:
            self.items.restart(speaker)  # so much was thrown away meanwhile, unsaid, that its count means nothing
        source.came_ms = now_ms
        self._weigh(source, bool(samples.any()), len(samples) / SAMPLES_PER_MS)
        self.items.feed(speaker, source.position, samples, now_ms)
        source.position += len(samples)

    def _weigh(self, source: _Source, sound: bool, ms: float) -> None:
        """Frames prove nothing: those of a peer that is gone are exact zeros. A muted one's may be so too."""
        source.heard = source.heard or sound
        if sound or source.publication.muted or not source.heard:
            source.zeros_ms = 0.0
            if source.silent:
                source.silent = False
                self.items.event(LegResumed(source.speaker, self.items.at_ms(source.speaker)))
            return
        source.zeros_ms += ms
        if source.zeros_ms >= self.settings.silent_after_ms and not source.silent:
            source.silent = True
            self.items.event(LegLost(source.speaker, self.items.at_ms(source.speaker)))

    def _changed(self, participant: Any) -> None:
        if participant.attributes.get("sip.callStatus", "") == "hangup":
            self._gone(participant)
        self._look_for_listeners()

    def _gone(self, participant: Any) -> None:
        self._look_for_listeners()
        role = role_of(participant)
        if role not in ("agent", "prospect"):
            return
        if (offered := self._offered.get(role)) is not None and offered.participant is participant:
            del self._offered[role]
        source = self._sources.get(role)
        if source is None or source.participant is not participant:
            return
        reason = participant.disconnect_reason
        if self._reconnecting and reason is None:
            self._away[role] = self.items.now_ms()
            return
        if reason == rtc.DisconnectReason.ROOM_DELETED:  # the server says it of the others before it says it to us, or after
            self.items.leave(role, "ended")
            self._over = True
        else:
            dead = reason in (rtc.DisconnectReason.CONNECTION_TIMEOUT, rtc.DisconnectReason.SIGNAL_CLOSE)
            self.items.leave(role, "lost" if dead else "hung_up")
        del self._sources[role]
        # A browser may be a page that is being loaded anew; a phone that hung up does not come back.
        if participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_SIP and role not in self._offered:
            self._over = True

    def _lost_connection(self) -> None:
        self._reconnecting = True

    def _back(self) -> None:
        self._reconnecting = False
        now_ms, here = self.items.now_ms(), {each.sid for each in self.room.remote_participants.values()}
        for speaker, source in self._sources.items():
            if source.participant.sid not in here:
                self._away.setdefault(speaker, now_ms)
        self._look_for_listeners()

    def _out(self, reason: int) -> None:
        if reason == rtc.DisconnectReason.ROOM_DELETED:
            self._over = True
        elif reason == rtc.DisconnectReason.ROOM_CLOSED and self._everybody_left():
            self._over = True  # it closes when nobody has been in it for a while
        elif reason != rtc.DisconnectReason.CLIENT_INITIATED:
            names = {int(number): name for name, number in rtc.DisconnectReason.items()}
            self._lost = names.get(reason, str(reason))

    def _look_for_listeners(self) -> None:
        listening = [each for each in self.room.remote_participants.values() if role_of(each) == "supervisor"]
        names = tuple(sorted(each.name or each.identity for each in listening))
        if names != self._listeners:
            self._listeners = names
            self._on_listeners(names)

    # ---- time

    def _everybody_left(self) -> bool:
        return self.items.deserted() and not self._offered

    def _tick(self, now_ms: float) -> bool:
        if self._lost:
            raise RoomLost(self._lost)
        for speaker, since in list(self._away.items()):
            if now_ms - since > self.settings.away_ms:
                del self._away[speaker]
                self._sources.pop(speaker, None)
                self.items.leave(speaker, "lost")
        self.items.tick("agent", now_ms)
        self.items.tick("prospect", now_ms)
        if not self._everybody_left():
            self._deserted_at = None
        elif self._deserted_at is None:
            self._deserted_at = now_ms
        gone = self._deserted_at is not None and now_ms - self._deserted_at >= self.settings.return_ms
        return self._over or gone

    # ---- the leg

    async def __aiter__(self) -> AsyncIterator[LegItem]:
        try:
            async with contextlib.aclosing(self.items.stream(self._tick)) as items:
                async for item in items:
                    yield item
        finally:
            await self._close()

    async def end(self) -> None:
        """We leave; whoever else is in the room stays in it."""
        self.items.end()
        await self._close()

    async def play(self, file: Path) -> bool:  # noqa: ARG002  the seam's signature; nothing of ours is ever heard in a room
        return False

    async def _close(self) -> None:
        self.items.end()
        async with self._closing:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.room.disconnect(), _CLOSE_S)
            if self._pumps:
                for pump in self._pumps:
                    pump.cancel()
                await asyncio.wait(self._pumps)
