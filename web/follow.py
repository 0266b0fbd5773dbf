"""Showing a call that another process runs: its log read by number, its live state and its wake-ups from the bus."""

import asyncio
import contextlib
from typing import Final

import structlog

from coaching.events import LiveState, Logged
from web.bus import Message
from web.database import StoreAway
from web.holding import Holder
from web.log import Viewer

logger = structlog.get_logger()
_POLL_S: Final = 1.0  # what a lost wake-up costs
_ENDED_POLL_S: Final = 5.0


class Follower:
    """One per call and process, for all its viewers. run() until cancelled."""

    def __init__(self, holder: Holder, call: str, last: int) -> None:
        self._holder, self.call = holder, call
        self.last = last  # the last number that viewers were given
        self._saved = last  # the last that was read from the log
        self._unsaved: dict[int, Logged] = {}  # shown from another machine's journal, not in the log yet
        self._wake, self._ended = asyncio.Event(), False
        self.viewers: set[Viewer] = set()
        self.live: LiveState | None = None

    async def run(self) -> None:
        with self._holder.bus.listening(self.call, self._hear):
            while True:
                self._wake.clear()
                with contextlib.suppress(StoreAway):  # what cannot be saved comes over the bus
                    while page := await self._holder.store.events(self.call, self._saved):
                        for logged in page:
                            self._read(logged)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), _ENDED_POLL_S if self._ended else _POLL_S)

    def _hear(self, message: Message) -> None:
        try:
            match message.kind:
                case "wake":
                    self._wake.set()
                case "state":
                    self.live = LiveState.model_validate(message.body)
                    for viewer in self.viewers:
                        viewer.state(self.live)
                case "unsaved":
                    for logged in message.body["events"]:
                        self._hear_unsaved(Logged.model_validate(logged))
                case _:
                    pass
        except (ValueError, LookupError):
            logger.warning("a message of the bus cannot be read", call=self.call, kind=message.kind)

    def _hear_unsaved(self, logged: Logged) -> None:
        if logged.n == self.last + 1:
            self._unsaved[logged.n] = logged
            self._give(logged)
        elif logged.n > self.last:
            self._wake.set()  # something is missing; the log has it, or will have it

    def _read(self, logged: Logged) -> None:
        self._saved = logged.n
        shown = self._unsaved.pop(logged.n, None)
        if logged.n > self.last:
            self._give(logged)
        elif shown is not None and (shown.at, shown.event) != (logged.at, logged.event):
            logger.warning("what was shown but not saved is lost", call=self.call)
            self._unsaved.clear()
            self.last = logged.n
            for viewer in self.viewers:
                viewer.start_anew()

    def _give(self, logged: Logged) -> None:
        self.last = logged.n
        self._ended = self._ended or logged.event.type == "call_ended"
        for viewer in self.viewers:
            viewer.event(logged)
