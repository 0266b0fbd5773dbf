"""The modules that listen to a call, fed together: one reading of each turn, every module guarded by itself."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from intelligence.conversation.card_head import in_context
from intelligence.conversation.findings import settled
from intelligence.conversation.turns import (
    Conversation,
    Detector,
    Doubting,
    Embed,
    EmbedOf,
    Finding,
    Reading,
    Turn,
    Vectors,
    read,
    sentences_of,
)
from voice.models import InContext

DEADLINE_MS: Final = 250.0  # ten times the budget of all modules together; three such turns and a module is off
_SLOW_TURNS: Final = 3

EmbedInContext: TypeAlias = Callable[[list[InContext]], Awaitable[Vectors]]


@dataclass(slots=True)
class Heard:
    """What the modules made of one turn; ``off`` names modules that were switched off by it, with the reason."""

    findings: list[Finding] = field(default_factory=list)
    off: list[tuple[str, str]] = field(default_factory=list)
    took_ms: float = 0.0


class Coaches:
    """One per call. A module that raises, or is too slow three times, is switched off for this call.

    ``second``: vectors of a speaker's second sentence model, for what leaves a module in doubt; ``context``: those of turns behind what the other
    side said last. Without them the first judgement stands.
    """

    def __init__(
        self,
        detectors: Sequence[Detector],
        embed: Embed,
        *,
        second: EmbedOf | None = None,
        context: EmbedInContext | None = None,
        today: str = "",
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.conversation = Conversation(today=today)
        self._detectors = list(detectors)
        self._embed = embed
        self._second = second
        self._context = context
        self._clock = clock
        self._paused: Reading | None = None  # the newest turn that had paused: its final mostly says the same
        self._slow: dict[str, int] = {}
        self.failures: dict[str, int] = {}

    @property
    def names(self) -> list[str]:
        return [d.name for d in self._detectors]

    async def feed(self, turn: Turn) -> Heard:
        """Read the turn and feed every module. A partial turn is not kept in the conversation."""
        began = self._clock()
        reading = await self._read(turn)
        self._paused = reading if turn.paused else None
        heard = self.consider(reading)
        if not turn.partial:
            self.conversation.add(turn, heard.findings)
        heard.took_ms = (self._clock() - began) * 1000
        return heard

    async def _read(self, turn: Turn) -> Reading:
        if (
            (paused := self._paused) is not None
            and not turn.growing
            and (paused.turn.speaker, paused.turn.text) == (turn.speaker, turn.text)
        ):
            return replace(paused, turn=turn)  # the same words by the same bars ask the same of both sentence models
        pair = in_context(turn, self.conversation) if self._context is not None else None
        sentences = sentences_of(turn.text)
        early = self._wanted(lambda d: d.at_once(turn, sentences, in_context=pair is not None))
        reading, whole, second = await asyncio.gather(read(turn, self._embed), self._in_context(pair), self._opinions(turn, early))
        reading = replace(reading, in_context=whole, second=second)
        late = [text for text in self._wanted(lambda d: d.doubts(reading)) if text not in second]
        return replace(reading, second={**second, **await self._opinions(turn, late)}) if late else reading

    async def _in_context(self, pair: InContext | None) -> Vectors | None:
        if self._context is None or pair is None:
            return None
        whole: Vectors = (await self._context([pair]))[0]
        return whole

    async def _opinions(self, turn: Turn, texts: list[str]) -> dict[str, Vectors]:
        """The second model's vectors of some sentences of a turn."""
        if self._second is None or turn.speaker == "supervisor" or not texts:
            return {}
        return dict(zip(texts, await self._second(turn.speaker, texts), strict=True))

    def consider(self, reading: Reading) -> Heard:
        """Feed every module in its order; each sees in ``conversation.fresh`` what those before it found in this turn."""
        heard = Heard()
        self.conversation.fresh = []
        for detector in list(self._detectors):
            began = self._clock()
            try:
                heard.findings = settled([*heard.findings, *detector.feed(reading, self.conversation)])
                self.conversation.fresh = heard.findings
            except Exception as failure:  # one module's fault must not end a call; it is switched off and said
                self._off(detector, heard, f"failed: {type(failure).__name__}")
                continue
            if (self._clock() - began) * 1000 > DEADLINE_MS:
                self._slow[detector.name] = self._slow.get(detector.name, 0) + 1
                if self._slow[detector.name] >= _SLOW_TURNS:
                    self._off(detector, heard, "too slow")
        return heard

    def _wanted(self, asks: Callable[[Doubting], list[str]]) -> list[str]:
        """A module that fails here will fail again when it is fed, and be switched off there."""
        wanted: list[str] = []
        for detector in self._detectors:
            if isinstance(detector, Doubting):
                with contextlib.suppress(Exception):
                    wanted += asks(detector)
        return list(dict.fromkeys(wanted))

    def _off(self, detector: Detector, heard: Heard, why: str) -> None:
        self._detectors.remove(detector)
        self.failures[detector.name] = self.failures.get(detector.name, 0) + 1
        heard.off.append((detector.name, why))
