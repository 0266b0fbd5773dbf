"""Where the conversation stands, from what was said last and what was found in it."""

import re
from typing import Final

from intelligence.conversation.turns import Conversation, Finding, Reading

STAGES: Final = ("opening", "discovery", "presentation", "objection_handling", "negotiation", "closing", "wrap_up")
_CUES: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("wrap_up", re.compile(r"\b(?:bye|goodbye|take care|talk (?:to you )?(?:soon|then|later)|have a (?:good|great|nice)|see you (?:then|on|saturday|sunday|monday|tuesday|wednesday|thursday|friday)|thanks for your time)\b", re.I)),
    ("closing", re.compile(r"\b(?:would (?:\w+day|tomorrow|ten|noon)[^.?!]{0,30}work|does (?:\w+day|ten|noon)[^.?!]{0,20}work|works for (?:me|us)|put (?:you|us) down for|book (?:it|you|a)|set (?:up )?a time|schedule|sign (?:the|an|it)|ready to sign|send (?:over )?the (?:agreement|contract|paperwork))\b", re.I)),
    ("negotiation", re.compile(r"\b(?:counter(?:offer)?|come (?:down|up)|meet (?:you )?in the middle|earnest money|contingenc\w+|concession\w*|credit (?:for|toward)|if (?:you|they) (?:take|accept|agree)|final offer|lower (?:it|the price|your fee))\b", re.I)),
    ("presentation", re.compile(r"\b(?:it has|it's got|there's a|the (?:kitchen|yard|garage|house|home|unit) (?:has|is)|square f(?:ee|oo)t|listed (?:at|for)|built in|what we do is|our (?:marketing|plan|team)|I'd (?:list|price|stage)|comparables?|comps)\b", re.I)),
    ("discovery", re.compile(r"\b(?:what (?:are you|brings|has you|made you|matters|would|'s important|kind|number|range)|when (?:are|would|do) you|how (?:soon|many|long|much)|where (?:are|do|would) you|why (?:are|now)|who else|tell me (?:about|more)|are you (?:looking|planning|hoping|working))\b", re.I)),
    ("opening", re.compile(r"\b(?:this is|it's) \w+ (?:from|with|at)\b|\bhow are you\b|\bis (?:now|this) a good time\b|\brecord(?:ed|ing)? this\b|\bmind if I record\b", re.I)),
)  # fmt: skip


class StageTracker:
    """A detector that raises nothing; ``stage`` and ``why`` say where the call stands."""

    name = "stages"

    def __init__(self) -> None:
        self.stage, self.why = "opening", "the call begins"
        self._told = "opening"
        self._votes: list[str] = []

    def changed(self) -> tuple[str, str] | None:
        """(stage, why) when it changed since the last call of this method."""
        if self.stage == self._told:
            return None
        self._told = self.stage
        return self.stage, self.why

    def feed(self, reading: Reading, so_far: Conversation) -> list[Finding]:
        turn = reading.turn
        if turn.partial:
            return []
        for stage, pattern in _CUES:
            match = pattern.search(turn.text)
            if match is None:
                continue
            if stage in ("discovery", "presentation", "closing") and turn.speaker != "agent" and stage != "closing":
                continue
            if stage == "wrap_up" and len(so_far.turns) < 6:
                continue
            if stage == "opening" and len(so_far.turns) > 4:
                continue
            self._move(stage, f"“{match.group()}”")
            return []
        return []

    def learn(self, reading: Reading, findings: list[Finding]) -> None:
        if any(f.family == "objection" and not f.partial for f in findings):
            self._move("objection_handling", f"objection: {reading.turn.text[:60]}")
        elif self.stage == "opening" and any(f.label in ("motivation", "price_named", "timeframe_named") for f in findings):
            self._move("discovery", "the prospect tells what they want")
        elif any(f.label == "appointment" for f in findings):
            self._move("closing", "a time was named")

    def _move(self, stage: str, why: str) -> None:
        self.stage, self.why = stage, why
