"""New cards -> better words: one question in flight, a newer one cancels it, a deadline always, a failure is a notice."""

import asyncio
from typing import Final, Protocol

from coaching.events import Card, SuggestionRefined
from coaching.record import Record
from coaching.state import CallState

_LEAVE_S: Final = 0.5  # an adviser keeps its own deadline; this long after it it is cut off


class Advisor(Protocol):
    """Makes a card better (Claude). None or any failure leaves the local card. ``deadline_s``: how long it takes at most."""

    deadline_s: float

    async def refine(self, card: Card, state: CallState) -> Card | None: ...


class Asking:
    """ask() never waits and never fails; run() is one of the call's pumps."""

    def __init__(self, record: Record, advisor: Advisor | None) -> None:
        self._record, self._advisor = record, advisor
        self._next: Card | None = None
        self._wake = asyncio.Event()
        self._asking: asyncio.Task[None] | None = None

    def ask(self, card: Card) -> None:
        """The newest question counts: it replaces a waiting one and ends the one in flight."""
        if self._advisor is not None and self._allowed():
            self._next = card
            self._wake.set()

    def drop(self) -> None:
        """Consent was taken back: nothing waits, nothing is in flight."""
        self._next = None
        if self._asking is not None:
            self._asking.cancel()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as questions:
            while self._advisor is not None:
                await self._wake.wait()
                self._wake.clear()
                if self._asking is not None and not self._asking.done():
                    self._asking.cancel()
                    await asyncio.wait([self._asking])
                if (card := self._next) is not None:
                    self._next = None
                    self._asking = questions.create_task(self._refine(card, self._advisor), name=f"ask about {card.id}")

    async def _refine(self, card: Card, advisor: Advisor) -> None:
        try:
            better = await asyncio.wait_for(advisor.refine(card, self._record.state), advisor.deadline_s + _LEAVE_S)
        except Exception as failure:  # the local card stands; the call goes on
            late = isinstance(failure, TimeoutError)  # cut off by us: its own word for that is the same
            await self._record.notice("claude_off", "TooSlow" if late else type(failure).__name__)
            return
        shown = self._record.state.cards.get(card.id)
        if better is None:
            return
        if shown is not None and shown.state == "shown" and self._allowed():
            await self._record.log(SuggestionRefined(card=better, audio_ms=self._record.live.audio_ms))
        await self._record.notice("claude_off", clear=True)

    def _allowed(self) -> bool:
        consent = self._record.state.consent
        return consent is not None and consent.claude
