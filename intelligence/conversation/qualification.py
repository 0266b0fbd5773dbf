"""The sheet that fills itself in as the two speak: eight slots, each with the words that filled it."""

import re
from dataclasses import dataclass
from typing import Final

from intelligence.conversation.amounts import amounts_in
from intelligence.conversation.answers import DEBT, answers_in, asked_for
from intelligence.conversation.slot_candidates import Candidate, Candidates, money
from intelligence.conversation.slot_head import SlotHead, slot_head
from intelligence.conversation.turns import SURE, Conversation, Finding, Json, Reading, Turn, sentences_of, surety

SLOTS: Final = ("motivation", "timeframe", "location", "price", "financing", "decision_makers", "agency", "appointment")
_REASON: Final = "motivation:"  # the head's names of the reasons to move
_TOLD_BY_PROSPECTS: Final = ("financing", "agency")
MOST_REASONS: Final = 2
MOST_PLACES: Final = 3
_ORDER: Final = ("motivation", "timeframe", "price", "decision_makers", "financing", "location", "agency", "appointment")
_FOUND_ITS_FEET: Final = 8  # turns before the coach suggests a question: the opening belongs to the two of them
_BUSY: Final = frozenset({"question", "protected_question", "stress", "do_not_call", "commitment_refused"})  # answer these first
_SURE_AGENT: Final = 0.85  # a card may be wrong, a fact on the sheet not
_PAID: Final = re.compile(r"\b(?:paid|bought|borrowed)\b", re.I)
_LEAST_OWED: Final = 1000  # dollars


@dataclass(frozen=True, slots=True)
class Slot:
    """``value`` is None while the recogniser was not sure of the words; ``shown`` then ends with "?"."""

    slot: str
    value: Json
    shown: str
    quote: str
    utterance: str
    confidence: float


class QualificationSheet:
    """Fed every turn of both sides after the modules whose findings it reads; raises nothing itself. changes() gives what is new.

    Amounts, times, places, people, meetings and reasons are judged by a trained head (slot_head.py); how they pay, and whether another
    agent is in it, by the head and, where it hears nothing, by rules.
    """

    name = "qualification"

    def __init__(self, head: SlotHead | None = None) -> None:
        self.slots: dict[str, Slot] = {}
        self._head = head if head is not None else slot_head()
        self._columns = {label: column for column, label in enumerate(self._head.labels)}
        self._candidates = Candidates()
        self._margins: dict[str, float] = {}  # of what the head put into a slot, and of every reason told
        self._places: dict[str, float] = {}  # that were likely, with their margins
        self._changed: list[Slot] = []
        self._asked: set[str] = set()
        self._question: str | None = None  # the slot that the agent asked for last
        self._turns = 0
        self._busy = True

    def missing(self) -> list[str]:
        return [slot for slot in SLOTS if slot not in self.slots]

    def changes(self) -> list[Slot]:
        """The slots that changed since the last call of this method."""
        changed, self._changed = self._changed, []
        return changed

    def restore(self, slot: Slot) -> None:
        """A slot of a call that goes on after a break; it is no change."""
        self.slots[slot.slot] = slot
        self._turns = _FOUND_ITS_FEET
        named = [_REASON + reason for reason in str(slot.value).split(", ")] if slot.slot == "motivation" else [slot.slot]
        self._margins |= {name: float(self._head.thresholds[self._columns[name]]) for name in named if name in self._columns}
        if slot.slot == "location" and slot.value is not None:
            self._places = dict.fromkeys(str(slot.value).split(", "), self._margins["location"])

    def worth_asking(self) -> list[str]:
        """The slots worth a question now, the first before the others; [] in the opening and while the prospect's last
        words want another answer. What the agent asked already is not among them."""
        if self._turns < _FOUND_ITS_FEET or self._busy:
            return []
        return [s for s in _ORDER if s not in self.slots and s not in self._asked]

    def feed(self, reading: Reading, so_far: Conversation) -> list[Finding]:
        turn = reading.turn
        if turn.partial or turn.speaker == "supervisor":
            return []
        self._turns += 1
        candidates = self._candidates.feed(reading, so_far.today)
        answers = answers_in(turn.text, self._question) if turn.speaker == "prospect" else []
        for candidate, margins in zip(candidates, self._head.margins(candidates).tolist(), strict=True):
            match candidate.slot:
                case "told":
                    self._told(turn, margins, {answer.slot: answer.value for answer in answers})
                case "location":
                    self._place(candidate, turn, margins[self._columns["location"]])
                case _:
                    self._judge(candidate, turn, margins[self._columns[candidate.slot]])
        if turn.speaker == "agent":
            if (slot := asked_for(turn.text)) is not None:
                self._question = slot
                self._asked.add("financing" if slot == DEBT else slot)
            return []
        self._busy = any(f.family == "objection" or f.label in _BUSY for f in so_far.fresh)
        if any(f.label == "has_agent" and f.confidence >= _SURE_AGENT for f in so_far.fresh):
            self._fill("agency", "has an agent", "has an agent", turn, surety(turn, turn.text))
        for answer in answers:
            value: Json = [] if answer.slot == "decision_makers" else answer.value
            if answer.slot == "decision_makers" or answer.slot not in self._margins:
                self._fill(answer.slot, value, answer.value, turn, surety(turn, answer.quote))
        if self._question == DEBT and (owed := _owed(turn.text)):
            self._fill("financing", f"owes {owed}", f"owes {owed}", turn, surety(turn, turn.text))
        if len(turn.text.split()) > 2:
            self._question = None
        return []

    def _judge(self, found: Candidate, turn: Turn, margin: float) -> None:
        """What is likely enough stands there, until something comes that is not much less likely."""
        column = self._columns[found.slot]
        standing, patience = self._margins.get(found.slot), float(self._head.patience[column])
        if margin < float(self._head.thresholds[column]) or (standing is not None and margin < standing - patience):
            return
        value, shown = found.value, found.shown
        if found.slot == "decision_makers":  # several stand beside each other
            old = self.slots.get(found.slot)
            known = [str(n) for n in old.value] if old is not None and isinstance(old.value, list) else []
            names = list(dict.fromkeys([*known, str(value)]))
            value, shown = list[Json](names), ", ".join(names)
        if self._fill(found.slot, value, shown, turn, found.sure) or found.slot not in self._margins:
            self._margins[found.slot] = margin

    def _place(self, found: Candidate, turn: Turn, margin: float) -> None:
        """The home that the call is about, and where they want to be: the likeliest places, a few."""
        threshold, patience = (float(each[self._columns["location"]]) for each in (self._head.thresholds, self._head.patience))
        if margin < threshold:
            return
        name = next(
            (each for each in self._places if each.lower() in found.shown.lower() or found.shown.lower() in each.lower()), found.shown
        )
        longer = max(name, found.shown, key=len)
        self._places[longer] = max(margin, self._places.pop(name, margin))
        least = max(self._places.values()) - patience
        likely = sorted((each for each in self._places if self._places[each] >= least), key=lambda each: -self._places[each])
        joined = ", ".join(likely[:MOST_PLACES])
        self._fill("location", joined, joined, turn, found.sure)

    def _told(self, turn: Turn, margins: list[float], read: dict[str, str]) -> None:
        """The likeliest reason told so far, and a second one that is hardly less likely; how they pay, and whether another agent is in
        it, in the turn that tells it most clearly, in the words of the rule that ``read`` it there, if one did.
        """
        likely = {
            label: margins[column]
            for label, column in self._columns.items()
            if ":" in label and margins[column] >= float(self._head.thresholds[column])
        }
        for label, margin in likely.items():
            if label.startswith(_REASON):
                self._margins[label] = max(margin, self._margins.get(label, margin))
        self._reason(turn)
        for slot in _TOLD_BY_PROSPECTS if turn.speaker == "prospect" else ():
            best = max((label for label in likely if label.startswith(f"{slot}:")), key=lambda label: likely[label], default="")
            if best and likely[best] >= self._margins.get(slot, likely[best]):
                self._margins[slot] = likely[best]
                value = read.get(slot, best.removeprefix(f"{slot}:"))
                self._fill(slot, value, value, turn, 1.0)

    def _reason(self, turn: Turn) -> None:
        reasons = {label: margin for label, margin in self._margins.items() if label.startswith(_REASON)}
        if reasons:
            best = max(reasons, key=lambda label: reasons[label])
            least = reasons[best] - float(self._head.patience[self._columns[best]])
            close = sorted((label for label in reasons if reasons[label] >= least), key=lambda label: -reasons[label])
            joined = ", ".join(label.removeprefix(_REASON) for label in close[:MOST_REASONS])
            self._fill("motivation", joined, joined.replace("_", " "), turn, 1.0)

    def _fill(self, slot: str, value: Json, shown: str, turn: Turn, sure: float) -> bool:
        """False when nothing changed: an unsure value never takes the place of a sure one."""
        old = self.slots.get(slot)
        if sure < SURE:
            value, shown = None, f"{shown}?"
        if old is not None and (old.shown == shown or (sure < SURE <= old.confidence)):
            return False
        filled = Slot(slot, value, shown, turn.text, turn.utterance, round(sure, 3))
        self.slots[slot] = filled
        self._changed = [*(s for s in self._changed if s.slot != slot), filled]
        return True


def _owed(text: str) -> str:
    """The last amount of an answer to what is owed: people correct themselves to the truth; what they paid is another. "" for none."""
    held = [
        money(a)
        for said in sentences_of(text)
        if not _PAID.search(said)
        for a in amounts_in(said)
        if (a.usd_max or a.usd_min or 0) >= _LEAST_OWED
    ]
    return held[-1] if held else ""
