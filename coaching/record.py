"""What a call knows and tells: its committed events folded into its state, its notices, and the live lane."""

import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from coaching.events import AnyEvent, LiveState, Logged, Notice, NoticeCleared, NoticeRaised, Speaker
from coaching.state import CallState

_METERS_EVERY_S: Final = 0.2


class EventLog(Protocol):
    """Commits events, then sends them: what append() returned is never lost."""

    async def append(self, events: Sequence[AnyEvent]) -> list[Logged]: ...


class Record:
    """The one place of a call that writes its log. ``state`` is always the fold of what was committed."""

    def __init__(self, log: EventLog, state: CallState, on_state: Callable[[LiveState], None]) -> None:
        self._log, self._on_state = log, on_state
        self.state = state
        self.live = LiveState(audio_ms=state.audio_ms)
        self._published = 0.0

    async def log(self, *events: AnyEvent) -> None:
        if events:
            for logged in await self._log.append(list(events)):
                self.state.apply(logged)

    async def notice(self, notice: Notice, detail: str = "", speaker: Speaker | None = None, *, clear: bool = False) -> None:
        """Raise a notice that does not stand yet, or clear one that does."""
        stands = (notice, speaker) in self.state.notices
        if clear and stands:
            await self.log(NoticeCleared(notice=notice, speaker=speaker, audio_ms=self.live.audio_ms))
        elif not clear and not stands:
            await self.log(NoticeRaised(notice=notice, speaker=speaker, detail=detail, audio_ms=self.live.audio_ms))

    def listening_to(self, speaker: Speaker) -> bool:
        """The gate: whether this side's sound may reach a recogniser now."""
        consent = self.state.consent
        return consent is not None and (consent.transcribe or (consent.agent_only and speaker == "agent"))

    def publish(self, *, meters: bool = False) -> None:
        """Send the live state; ``meters``: only when the last one is 0.2 s old, because levels change with every frame."""
        now = time.monotonic()
        if not meters or now - self._published > _METERS_EVERY_S:
            self._published = now
            self._on_state(self.live.model_copy(deep=True))


class MemoryLog:
    """An EventLog that keeps its events in memory, for replays and evaluation; ``tell`` hears each one."""

    def __init__(self, call: str, tell: Callable[[Logged], None] = lambda _: None) -> None:
        self.call, self.events, self._tell = call, list[Logged](), tell

    async def append(self, events: Sequence[AnyEvent]) -> list[Logged]:
        now, last = time.time(), len(self.events)
        logged = [Logged(call=self.call, n=last + i, at=now, event=event) for i, event in enumerate(events, 1)]
        self.events += logged
        for each in logged:
            self._tell(each)
        return logged
