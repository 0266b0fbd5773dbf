"""The windows of one call that wait for the engine. Bounded: one partial per speaker, finals wait and go first."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from voice.frames import Speaker
from voice.models import Window

_FINALS: Final = 64  # more than a minute of endless utterances; a call that is so far behind is told so by its delay
_SECONDS: Final = 8  # second readings happen when there is time; where there is none the oldest goes


class WindowsClosed(Exception):
    """The queue is closed and empty."""


class WindowQueue:
    """A newer partial (or tail) replaces the waiting one of its speaker; finals and speculative decodes are kept in order."""

    def __init__(self) -> None:
        self._partials: dict[str, Window] = {}
        self._tails: dict[str, Window] = {}
        self._finals: deque[Window] = deque()
        self._seconds: deque[Window] = deque()
        self._changed = asyncio.Condition()
        self._closed = False
        self.replaced = 0
        self.lost_finals = 0
        self.lost_seconds = 0

    async def put(self, window: Window) -> None:
        async with self._changed:
            match window.purpose:
                case "partial" | "settle":
                    self.replaced += window.speaker in self._partials
                    self._partials[window.speaker] = window
                case "tail":
                    self._replace_partial(window)
                    self._tails[window.speaker] = window
                case "second":
                    self._seconds.append(window)
                    if len(self._seconds) > _SECONDS:
                        self._seconds.popleft()
                        self.lost_seconds += 1
                case _:
                    self._final(window)
            self._changed.notify_all()

    async def partial(self) -> Window:
        """The next partial; raises WindowsClosed at the end."""
        return await self._next(lambda: self._partials.pop(next(iter(self._partials))) if self._partials else None)

    async def tail(self) -> Window:
        """The next reading of a first silence; raises WindowsClosed at the end."""
        return await self._next(lambda: self._tails.pop(next(iter(self._tails))) if self._tails else None)

    async def final(self) -> Window:
        """The next final or speculative window; raises WindowsClosed when closed and none is left."""
        return await self._next(lambda: self._finals.popleft() if self._finals else None)

    async def second(self) -> Window:
        """The next final to be read once more; raises WindowsClosed when closed and none is left."""
        return await self._next(lambda: self._seconds.popleft() if self._seconds else None)

    async def close(self) -> None:
        """No more will come: waiting partials are dropped, finals and second readings are still given out."""
        async with self._changed:
            self._closed = True
            self._partials.clear()
            self._tails.clear()
            self._changed.notify_all()

    async def erase(self, speaker: Speaker | None = None) -> None:
        """Consent was revoked: what waits is thrown away."""
        async with self._changed:
            for slots in (self._partials, self._tails):
                for each in [s for s in slots if speaker is None or s == speaker]:
                    del slots[each]
            self._finals = deque(w for w in self._finals if speaker is not None and w.speaker != speaker)
            self._seconds = deque(w for w in self._seconds if speaker is not None and w.speaker != speaker)

    async def _next(self, take: Callable[[], Window | None]) -> Window:
        async with self._changed:
            while (window := take()) is None:
                if self._closed:
                    raise WindowsClosed
                await self._changed.wait()
            return window

    def _final(self, window: Window) -> None:
        if window.purpose == "speculative":
            # what is waiting of the same utterance is older sound: this one says it better
            self._finals = deque(w for w in self._finals if (w.utterance, w.purpose) != (window.utterance, "speculative"))
        self._replace_partial(window)
        self._finals.append(window)
        if len(self._finals) > _FINALS:
            self._finals.popleft()
            self.lost_finals += 1

    def _replace_partial(self, window: Window) -> None:
        for slots in (self._partials, self._tails):
            waiting = slots.get(window.speaker)
            if waiting is not None and waiting.utterance == window.utterance:
                del slots[window.speaker]
