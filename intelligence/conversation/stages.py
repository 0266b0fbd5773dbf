"""Where the conversation stands: from the findings of each turn and how an agent leads from one stage to the next, and, where it reads
along, from what the model of whole turns hears."""

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from intelligence.conversation.answers import asked_for
from intelligence.conversation.appointments import meeting_in
from intelligence.conversation.card_head import stage_head
from intelligence.conversation.turns import Conversation, Finding, Reading

STAGES: Final = ("opening", "discovery", "presentation", "objection_handling", "negotiation", "closing", "wrap_up")
_OPENING: Final = 4  # turns: greetings, who calls and whether it may be recorded
_SURE: Final = 0.7  # what is less sure moves no stage
_TAKEN_UP: Final = 0.8  # how sure the stage is of a call that goes on after a break
_FEET: Final = 6  # before so many turns nobody says goodbye
_FAREWELL: Final = re.compile(
    r"\b(?:bye|goodbye|take care|talk (?:to you |with you )?(?:soon|then|later)|have a (?:good|great|nice|wonderful)|see you (?:then|there|on \w+|\w+day)"
    r"|thanks (?:again|for your time|for calling)|thank you (?:again|for your time)|looking forward to (?:it|seeing|meeting)|call me with|(?:i|we)(?:'ve| have)? (?:gotta|got to|have to|better) (?:run|go|get going)\b|will do\b|i'?ll (?:pencil|get|have|send|email|text) (?:it|that|this|them|those) (?:in|over|to you|tonight|tomorrow|right away|shortly|by)|i'?ll (?:send|text|email) you (?:a |the )?(?:confirmation|address|invite|details))\b",
    re.I,
)
# What an agent says when leading into a stage; a question that fills the sheet leads into discovery.
_LEADS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("closing", re.compile(r"\b(?:(?:want|like|love|care) to (?:see|tour|visit|walk|come|look at) (?:it|inside|the (?:house|home|place|inside)|that one|them)|(?:i )?(?:could|can) show (?:it|you|them|her|him)|pencil|set (?:up )?a time|put (?:you|us) down|book (?:it|you|a)|schedule|next steps?|sign (?:the|an|it|with)|ready to (?:sign|move forward|list|write)|(?:the|an|buyer|listing) agreement (?:over|tonight|today)|meet (?:you|up|at)|come (?:by|over|out)|stop by|sit down together|write (?:it|the offer|an offer) up)\b", re.I)),
    ("negotiation", re.compile(r"\b(?:counter(?:ed|offer)?|come (?:down|up) (?:to|by|a)|meet (?:you |them )?(?:in the middle|halfway)|earnest money|concessions?|credit (?:for|toward|at)|final offer|highest and best|escalation|closing costs? (?:if|toward)|(?:they|seller)(?:'d| would| will)? (?:take|accept|agree)|lower (?:my|our|the) (?:fee|commission)|(?:my|our) (?:fee|commission) to)\b", re.I)),
    ("presentation", re.compile(r"\b(?:this one(?:'s| is| has)|(?:two|three|one|2|3|1)[- ]car garage|it(?:'s| is) listed|fenced|(?:i|we) (?:looked|pulled|ran)|went for|i can (?:get|bring|sell)|about [\w-]+ hundred a year|it has|it's got|it comes with|there's an? |has an? |the (?:kitchen|yard|garage|house|home|unit|lot) (?:has|is)|square f(?:ee|oo)t|listed (?:at|for)|built in|what (?:we|i) do is|how (?:we|i) work|(?:our|my) (?:marketing|plan|team|photographer|process)|(?:i|we)'d (?:list|price|stage|start)|comparables?|comps|sold for|homes? (?:like|near) (?:yours|it|that)|let me (?:show|tell|walk) you|i can show you)\b", re.I)),
)  # fmt: skip
_ASKS: Final = re.compile(
    r"\b(?:tell me|who's we|what (?:did|do|does|are|is|was|were|would|drew|brought|kind|made)|what's|how (?:long|did|do|are|many|soon)|where (?:do|are|would|did)|have you (?:talked|spoken|thought|seen|been|looked)"
    r"|are you|do you have|is this your|is there)\b[^.!]{3,}\?|\btell me (?:a (?:bit|little) )?about\b",
    re.I,
)
_TELLS: Final = frozenset({"motivation", "timeframe_named", "price_named", "location_named", "decision_makers", "urgency"})


class StageTracker:
    """Fed after the modules whose findings it reads; raises nothing itself. ``stage`` and ``why`` say where the call stands."""

    name = "stages"

    def __init__(self) -> None:
        self.stage, self.why = "opening", "the call begins"
        self._told = "opening"
        self._turns = 0
        self._objected = False  # in the prospect's last turn
        self._moved = False  # by this turn
        self._belief: NDArray[np.float64] | None = None

    def changed(self) -> tuple[str, str] | None:
        """(stage, why) when it changed since the last call of this method."""
        if self.stage == self._told:
            return None
        self._told = self.stage
        return self.stage, self.why

    def restore(self, stage: str) -> None:
        """The stage of a call that goes on after a break."""
        self.stage = self._told = stage
        self._turns = _FEET
        self._belief = np.array([_TAKEN_UP if each == stage else (1 - _TAKEN_UP) / (len(STAGES) - 1) for each in STAGES])

    def feed(self, reading: Reading, so_far: Conversation) -> list[Finding]:
        turn = reading.turn
        if turn.partial or not turn.text:
            return []
        self._turns += 1
        before, self._moved = (self.stage, self.why), False
        if turn.speaker == "prospect":
            self._hear_prospect(turn.text, so_far.fresh)
        elif turn.speaker == "agent":
            self._hear_agent(turn.text)
        if reading.in_context is not None:
            self._weigh(reading, before)
        return []

    def _weigh(self, reading: Reading, before: tuple[str, str]) -> None:
        """The model's word on the stage, with what findings and words spoke for just now as one witness of two."""
        assert reading.in_context is not None
        head, by_agent = stage_head(), reading.turn.speaker == "agent"
        told = [self.stage] if self._moved else []
        self._belief = head.next(self._belief, reading.in_context, self._turns - 1, agent=by_agent, told=told)
        best = int(np.argmax(self._belief))
        if head.stages[best] in told:
            return
        self.stage, self.why = before
        if head.stages[best] != self.stage:
            self.stage, self.why = head.stages[best], f"sounds like it ({self._belief[best]:.0%}): “{reading.sentences[0]}”"

    def _hear_prospect(self, text: str, findings: list[Finding]) -> None:
        labels = {f.label for f in findings}
        objection = next((f for f in findings if f.family == "objection" and f.confidence >= _SURE), None)
        self._objected = objection is not None
        if "do_not_call" in labels or (
            self._turns > _FEET and self.stage in ("closing", "wrap_up", "objection_handling") and _FAREWELL.search(text)
        ):
            self._move("wrap_up", "they end the call")
        elif "appointment" in labels and "commitment_refused" not in labels:
            self._move("closing", "a time was named")
        elif objection is not None:
            self._move("objection_handling", f"objection: {objection.label.replace('_', ' ')}")
        elif "buying_interest" in labels and self.stage in ("presentation", "objection_handling", "negotiation"):
            self._move("closing", "they lean forward")
        elif self.stage == "opening" and labels & _TELLS and self._turns > 2:
            self._move("discovery", "they say what they want")

    def _hear_agent(self, text: str) -> None:
        if self._turns > _FEET and (match := _FAREWELL.search(text)):
            self._move("wrap_up", f"“{match.group()}”")
            return
        lead = next(((stage, m.group()) for stage, words in _LEADS if (m := words.search(text))), None)
        meeting = meeting_in(text)
        if meeting is not None and meeting.day and ("?" in text or meeting.clock) and self._turns > _OPENING:
            self._move("closing", f"“{meeting}”")
        elif lead is not None and lead[0] in ("closing", "negotiation") and self._turns > _OPENING:
            self._move(lead[0], f"“{lead[1]}”")
        elif self._objected:
            pass  # whatever the agent says next handles the objection
        elif (
            (slot := asked_for(text)) is not None
            and slot != "appointment"
            and self.stage in ("opening", "objection_handling", "presentation")
        ):
            self._move("discovery", f"asks for {slot.replace('_', ' ')}")
        elif lead is not None and self._turns > 2 and self.stage in ("opening", "discovery", "objection_handling"):
            self._move(lead[0], f"“{lead[1]}”")
        elif self._turns > 2 and self.stage in ("opening", "objection_handling", "presentation") and (match := _ASKS.search(text)):
            self._move("discovery", f"asks “{match.group()}”")

    def _move(self, stage: str, why: str) -> None:
        self.stage, self.why, self._moved = stage, why, True
