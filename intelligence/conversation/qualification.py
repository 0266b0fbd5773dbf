"""The sheet that fills itself in as the two speak: eight slots, each with the words that filled it."""

import re
from dataclasses import dataclass
from typing import Final

from intelligence.conversation.turns import Conversation, Finding, Json, Reading

SLOTS: Final = ("motivation", "timeframe", "location", "price", "financing", "decision_makers", "agency", "appointment")
_SURE: Final = 0.5  # a value recognised with less than this is shown with "?" and is no fact
_FINANCING: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("pre-approved", re.compile(r"\bpre-?\s?approv(?:ed|al letter)\b(?! yet)|\bgot (?:our|my|a) pre-?\s?approval|\b(?:we're|i'm|we are|i am|been) approved\b", re.I)),
    ("cash", re.compile(r"\b(?:pay(?:ing)?|buy(?:ing)?|all|it'?s|be) (?:in |all )?cash\b|\bcash buyers?\b(?! will| can| company)", re.I)),
    ("not yet pre-approved", re.compile(r"\b(?:not|haven'?t|no|don'?t have)\b[^.?!]{0,40}\b(?:pre-?\s?approv\w+|(?:talked|spoken|spoke) (?:to|with) (?:a |any )?(?:lender|bank))", re.I)),
    ("must sell first", re.compile(r"\b(?:have|need|got) to sell\b[^.?!]{0,30}\b(?:first|before)\b|\bsell (?:our|my|this) (?:house|home|place|condo) first\b", re.I)),
    ("FHA loan", re.compile(r"\bfha\b", re.I)),
    ("VA loan", re.compile(r"\bva loan\b", re.I)),
    ("talking with a lender", re.compile(r"\b(?:talk\w*|spoke\w*|working|met) (?:to|with) (?:a |our |my |the )?(?:lender|bank|loan officer|mortgage broker|credit union)\b", re.I)),
)  # fmt: skip
_AGENCY: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("none", re.compile(r"\b(?:not|don'?t have|no|haven'?t)\b[^.?!]{0,25}\b(?:an? |another |any )?(?:agent|realtor)\b|\bnot working with (?:anyone|anybody|an)\b|\bjust you\b", re.I)),
    ("has an agent", re.compile(r"\b(?:have|got|with|using|signed with) (?:an|another|our|my|our own) (?:agent|realtor)\b|\b(?:my|our) (?:agent|realtor)\b", re.I)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Slot:
    slot: str
    value: Json
    shown: str
    quote: str
    utterance: str
    confidence: float


class QualificationSheet:
    """A detector that raises nothing: it fills slots from findings of the same turn. changes() gives what is new."""

    name = "qualification"

    def __init__(self) -> None:
        self.slots: dict[str, Slot] = {}
        self._changed: list[Slot] = []
        self._asked: set[str] = set()
        self._turns = 0
        self._proposal: Finding | None = None

    def missing(self) -> list[str]:
        return [slot for slot in SLOTS if slot not in self.slots]

    def changes(self) -> list[Slot]:
        """The slots that changed since the last call of this method."""
        changed, self._changed = self._changed, []
        return changed

    def ask_next(self) -> str | None:
        """A slot worth a question now: only after the call has found its feet, each slot once."""
        if self._turns < 8:
            return None
        slot = next(
            (
                s
                for s in ("motivation", "timeframe", "price", "decision_makers", "financing", "location", "agency")
                if s not in self.slots and s not in self._asked
            ),
            None,
        )
        if slot is not None:
            self._asked.add(slot)
        return slot

    def feed(self, reading: Reading, so_far: Conversation) -> list[Finding]:  # noqa: ARG002  one signature for all detectors
        turn = reading.turn
        if turn.partial:
            return []
        self._turns += 1
        if turn.speaker == "prospect":
            for value, pattern in _FINANCING:
                if (match := pattern.search(turn.text)) is not None:
                    self._fill("financing", value, value, turn.text, turn.utterance, self._sure(reading, match.group()))
                    break
            for value, pattern in _AGENCY:
                if (match := pattern.search(turn.text)) is not None:
                    self._fill("agency", value, value, turn.text, turn.utterance, self._sure(reading, match.group()))
                    break
        return []

    def learn(self, reading: Reading, findings: list[Finding]) -> None:
        """Fill slots from what the other detectors found in this turn."""
        turn = reading.turn
        if turn.partial:
            return
        for finding in findings:
            values = finding.values
            sure = self._sure(reading, finding.quote)
            match finding.label:
                case "price_named":
                    amounts = values.get("amounts")
                    for amount in amounts if isinstance(amounts, list) else []:
                        if isinstance(amount, dict) and amount.get("role") != "payment":
                            shown = _money(amount)
                            usd = amount.get("usd_max") or amount.get("usd_min")
                            self._fill("price", usd, shown, finding.quote, turn.utterance, sure)
                case "timeframe_named":
                    self._fill("timeframe", dict(values), finding.quote, turn.text, turn.utterance, sure)
                case "location_named":
                    self._fill("location", values.get("place"), str(values.get("place")), turn.text, turn.utterance, sure)
                case "decision_makers":
                    people = values.get("relations")
                    names = [str(p) for p in people] if isinstance(people, list) else []
                    self._fill("decision_makers", names, ", ".join(names), turn.text, turn.utterance, sure)
                case "motivation":
                    reason = str(values.get("reason", ""))
                    self._fill("motivation", reason, reason.replace("_", " "), turn.text, turn.utterance, finding.confidence)
                case "appointment":
                    when = values.get("when")
                    if when:
                        self._fill("appointment", when, str(when), turn.text, turn.utterance, sure)
                case "competitor_named" if finding.speaker == "prospect" and values.get("is_agent"):
                    self._fill("agency", "another agent named", "another agent named", turn.text, turn.utterance, sure)
                case _:
                    pass

    def _fill(self, slot: str, value: Json, shown: str, quote: str, utterance: str, confidence: float) -> None:
        if confidence < _SURE:
            shown += "?"
        old = self.slots.get(slot)
        if old is not None and (old.shown == shown or (confidence < _SURE <= old.confidence)):
            return
        filled = Slot(slot, value, shown, quote, utterance, round(confidence, 3))
        self.slots[slot] = filled
        self._changed = [*(s for s in self._changed if s.slot != slot), filled]

    def _sure(self, reading: Reading, quote: str) -> float:
        """The least recognition probability of the quoted words; 1 for text that nobody recognised."""
        wanted = {w.strip(".,?!").lower() for w in quote.split()}
        found = [w.probability for w in reading.turn.words if w.text.strip(".,?!").lower() in wanted]
        return min(found) if found else 1.0


def _money(amount: dict[str, Json]) -> str:
    low, high = amount.get("usd_min"), amount.get("usd_max")
    if isinstance(low, int) and isinstance(high, int):
        return f"${low:,}" if low == high else f"${low:,}–${high:,}"
    return f"up to ${high:,}" if isinstance(high, int) else f"from ${low:,}" if isinstance(low, int) else ""
