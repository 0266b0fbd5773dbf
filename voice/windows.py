"""The windows of one call that wait for the engine. Bounded: one partial per speaker, finals wait and go first."""

import asyncio
from collections import deque

from voice.frames import Speaker
from voice.models import Window

_FINALS: int = 64  # more than a minute of endless utterances; a call that is so far behind is told so by its delay


class WindowsClosed(Exception):
    """The queue is closed and empty."""


class WindowQueue:
    """A newer partial replaces the waiting one of its speaker; finals and speculative decodes are kept in order."""

    def __init__(self) -> None:
        self._partials: dict[str, Window] = {}
        self._finals: deque[Window] = deque()
        self._changed = asyncio.Condition()
        self._closed = False
        self.replaced = 0
        self.lost_finals = 0

    async def put(self, window: Window) -> None:
        async with self._changed:
            if window.purpose == "partial":
                self.replaced += window.speaker in self._partials
                self._partials[window.speaker] = window
            else:
                if window.purpose == "speculative":
                    # what is waiting of the same utterance is older sound: this one says it better
                    self._finals = deque(w for w in self._finals if (w.utterance, w.purpose) != (window.utterance, "speculative"))
                waiting = self._partials.get(window.speaker)
                if waiting is not None and waiting.utterance == window.utterance:
                    del self._partials[window.speaker]
                self._finals.append(window)
                if len(self._finals) > _FINALS:
                    self._finals.popleft()
                    self.lost_finals += 1
            self._changed.notify_all()

    async def partial(self) -> Window:
        """The next partial; raises WindowsClosed at the end."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._partials or self._closed)
            if not self._partials:
                raise WindowsClosed
            return self._partials.pop(next(iter(self._partials)))

    async def final(self) -> Window:
        """The next final or speculative window; raises WindowsClosed when closed and none is left."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._finals or self._closed)
            if not self._finals:
                raise WindowsClosed
            return self._finals.popleft()

    async def close(self) -> None:
        """No more will come: waiting partials are dropped, finals are still given out."""
        async with self._changed:
            self._closed = True
            self._partials.clear()
            self._changed.notify_all()

    async def erase(self, speaker: Speaker | None = None) -> None:
        """Consent was revoked: what waits is thrown away."""
        async with self._changed:
            self._partials = {s: w for s, w in self._partials.items() if speaker is not None and s != speaker}
            self._finals = deque(w for w in self._finals if speaker is not None and w.speaker != speaker)
