"""What a live leg yields: both speakers on one timeline, kept going by a clock, in a bounded buffer.

The legs that hear a network or a sound card share it; each of them brings packets, this brings order and time.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final

import numpy as np

from voice.frames import AudioFrame, FrameBuffer, Samples, Speaker
from voice.legs import FramesDropped, LeftReason, LegEvent, LegItem, LegLeft
from voice.legs.timeline import SpeakerTimeline, TimelineSettings

_TICK_S: Final = 0.02


class LiveItems:
    """join() a speaker's source, feed() its sound; stream() yields. For one event loop; only now_ms() is for any thread.

    ``began_at``: wall clock of the timeline's zero (now, if None). ``buffer_ms``: sound that may wait for the consumer, per
    speaker; beyond it the oldest goes and FramesDropped tells. Events may overtake frames that wait.
    """

    def __init__(
        self,
        settings: TimelineSettings | None = None,
        *,
        buffer_ms: int = 2000,
        began_at: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._clock = settings or TimelineSettings(), clock
        wall = time.time()
        self._zero_at = wall if began_at is None else began_at
        self._zero = clock() - (wall - self._zero_at)
        self._timelines: dict[Speaker, SpeakerTimeline] = {}
        self._events: deque[LegEvent] = deque(maxlen=1000)  # few in any call; the oldest would go
        self._frames = FrameBuffer(buffer_ms)
        self._reported: dict[Speaker, int] = {"agent": 0, "prospect": 0}
        self._muted: set[Speaker] = set()
        self._wake = asyncio.Event()
        self._ending = False

    def now_ms(self) -> float:
        return (self._clock() - self._zero) * 1000

    def join(self, speaker: Speaker) -> None:
        """A new source of this speaker; its first sound yields LegJoined."""
        self._timeline(speaker).join()

    def restart(self, speaker: Speaker) -> None:
        """The same source counts its samples anew."""
        self._timeline(speaker).restart()

    def feed(self, speaker: Speaker, position: int, samples: Samples, now_ms: float) -> None:
        """``position``: the source's own number of the first sample; ``now_ms``: when it arrived."""
        heard = np.zeros_like(samples) if speaker in self._muted else samples
        self._put(self._timeline(speaker).feed(position, heard, now_ms))

    def event(self, event: LegEvent) -> None:
        self._put([event])

    def mute(self, speaker: Speaker, muted: bool) -> None:
        """A muted side's frames go on, as silence."""
        (self._muted.add if muted else self._muted.discard)(speaker)

    def tick(self, speaker: Speaker, now_ms: float, waiting: int | None = None) -> None:
        """Time passed; ``waiting``: position of this speaker's sound that has come but may not go on yet."""
        if (timeline := self._timelines.get(speaker)) is None:
            return
        self._put(timeline.tick(now_ms, waiting))
        if (lost_ms := self._frames.lost_ms[speaker] - self._reported[speaker]) > 0:
            self._reported[speaker] += lost_ms
            self._put([FramesDropped(speaker, timeline.at_ms, lost_ms)])

    def leave(self, speaker: Speaker, reason: LeftReason = "hung_up") -> None:
        """This side hung up, or was lost; it may join again."""
        if (timeline := self._timelines.get(speaker)) is not None:
            self._put(timeline.leave(reason))

    def at_ms(self, speaker: Speaker) -> int:
        """How far this side's sound has come."""
        return timeline.at_ms if (timeline := self._timelines.get(speaker)) is not None else 0

    def end(self) -> None:
        self._ending = True
        self._wake.set()

    def ended(self) -> bool:
        return self._ending

    def deserted(self) -> bool:
        """There were speakers, and all of them have left."""
        return bool(self._timelines) and all(timeline.left for timeline in self._timelines.values())

    async def stream(self, tick: Callable[[float], bool]) -> AsyncGenerator[LegItem, None]:
        """Everything, until end() or until ``tick(now_ms)``, called every 20 ms, says that it is over."""
        while not self._ending and not tick(self.now_ms()):
            while (item := self._take()) is not None:
                yield item
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_S):
                    await self._wake.wait()
        for timeline in self._timelines.values():
            self._put(timeline.leave("ended"))
        left = [event for event in self._events if isinstance(event, LegLeft)]
        while (item := self._take()) is not None:
            if not isinstance(item, LegLeft):
                yield item
        for last in left:
            yield last

    def _timeline(self, speaker: Speaker) -> SpeakerTimeline:
        if speaker not in self._timelines:
            self._timelines[speaker] = SpeakerTimeline(speaker, self._settings, self._zero_at)
        return self._timelines[speaker]

    def _put(self, items: Sequence[LegItem]) -> None:
        for item in items:
            if isinstance(item, AudioFrame):
                self._frames.feed(item)
            else:
                self._events.append(item)
        if items:
            self._wake.set()

    def _take(self) -> LegItem | None:
        return self._events.popleft() if self._events else self._frames.take()
