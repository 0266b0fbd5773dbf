"""The sheet that fills itself in as the two speak: eight slots, each with the words that filled it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from intelligence.conversation.amounts import amounts_in
from intelligence.conversation.answers import DEBT, answers_in, asked_for, lives_now, lives_there, reason_asked, says_yes
from intelligence.conversation.people import relations_in
from intelligence.conversation.places import home_in
from intelligence.conversation.turns import SURE, Conversation, Finding, Json, Reading, Turn, surety

SLOTS: Final = ("motivation", "timeframe", "location", "price", "financing", "decision_makers", "agency", "appointment")
_ORDER: Final = ("motivation", "timeframe", "price", "decision_makers", "financing", "location", "agency", "appointment")
_OPENING: Final = 10  # turns in which the agent says which home the call is about
_FOUND_ITS_FEET: Final = 8  # turns before the coach suggests a question: the opening belongs to the two of them
_BUSY: Final = frozenset({"question", "protected_question", "stress", "do_not_call", "commitment_refused"})  # answer these first
_WEIGHT: Final = {"budget": 3, "asking": 2, "offer": 1}  # which amount is the price of the sheet; others are not
_SURE_AGENT: Final = 0.85  # a card may be wrong, a fact on the sheet not
_LIKELY_A_PRICE: Final = 50_000  # dollars: below, an amount without a role is a fee, a repair or a deposit
# Words of moving in or out, of selling and of what ends where they live now.
_MOVES: Final = re.compile(
    r"\b(?:mov(?:e|ed|ing)|(?:be|get|got) (?:in|out|gone|settled)|in by|out by|sell(?:ing)?|sold|list(?:ed|ing)?|clos(?:e|ed|ing)|buy(?:ing)?|lease|rent(?:al)? (?:is|ends|runs)"
    r"|relocat\w+|transfer\w*|start(?:s|ing)? (?:work|school|at|the)|school (?:starts|begins|is out)|on the market|ready|spring market|retir\w+|deadline)\b",
    re.I,
)
_TAKEN_ALONG: Final = frozenset({"kids", "children", "family"})  # asked who moves, people count them in
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
    """Fed after the modules whose findings it reads; raises nothing itself. changes() gives what is new."""

    name = "qualification"

    def __init__(self) -> None:
        self.slots: dict[str, Slot] = {}
        self._changed: list[Slot] = []
        self._asked: set[str] = set()
        self._question: str | None = None  # the slot that the agent asked for last
        self._lived = False  # the agent asked where they live now
        self._reason = ""  # the reason for moving that the agent asked about with yes or no
        self._turns = 0
        self._busy = True
        self._price_weight = self._timeframe_weight = 0

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

    def worth_asking(self) -> list[str]:
        """The slots worth a question now, the first before the others; [] in the opening and while the prospect's last
        words want another answer. What the agent asked already is not among them."""
        if self._turns < _FOUND_ITS_FEET or self._busy:
            return []
        return [s for s in _ORDER if s not in self.slots and s not in self._asked]

    def feed(self, reading: Reading, so_far: Conversation) -> list[Finding]:
        turn = reading.turn
        if turn.partial:
            return []
        self._turns += 1
        if turn.speaker == "agent":
            if self._turns <= _OPENING and "location" not in self.slots and (home := home_in(turn.text)):
                self._join("location", [home], turn, surety(turn, home))
            self._lived = lives_now(turn.text)
            self._reason = reason_asked(turn.text)
            if (slot := asked_for(turn.text)) is not None:
                self._question = slot
                self._asked.add("financing" if slot == DEBT else slot)
            return []
        if turn.speaker == "prospect":
            self._busy = any(f.family == "objection" or f.label in _BUSY for f in so_far.fresh)
            for finding in so_far.fresh:
                self._learn(finding, turn)
            for answer in answers_in(turn.text, self._question):
                value: Json = [] if answer.slot == "decision_makers" else answer.value
                self._fill(answer.slot, value, answer.value, turn, surety(turn, answer.quote))
            if self._question == DEBT and (owed := _owed(turn.text)):
                self._fill("financing", f"owes {owed}", f"owes {owed}", turn, surety(turn, turn.text))
            if self._question == "decision_makers":
                self._decides([r for r in relations_in(turn.text) if r not in _TAKEN_ALONG], turn)
            if self._reason and says_yes(turn.text):
                self._join("motivation", [self._reason], turn, 1.0)
            if len(turn.text.split()) > 2:
                self._question, self._lived, self._reason = None, False, ""
        return []

    def _learn(self, finding: Finding, turn: Turn) -> None:
        said = finding.values
        match finding.label:
            case "price_named":
                for amount in _items(said, "amounts"):
                    self._price(amount, turn)
            case "timeframe_named":
                for frame in _items(said, "timeframes"):
                    value = {"said": frame["quote"], "earliest_days": frame["earliest_days"], "latest_days": frame["latest_days"]}
                    self._timeframe(value, str(frame["quote"]), turn, _number(frame["sure"]))
            case "location_named" if not self._lived and not lives_there(turn.text) and (names := _names(said, "places")):
                self._join("location", names, turn, _number(said.get("sure", 1.0)))
            case "motivation":
                self._join("motivation", [str(said.get("reason", ""))], turn, finding.confidence)
            case "decision_makers" if names := _names(said, "relations"):
                self._decides(names, turn)
            case "appointment" if when := said.get("when"):
                self._fill("appointment", when, str(when), turn, _number(said.get("sure", 1.0)))
            case "has_agent" if finding.confidence >= _SURE_AGENT:
                self._fill("agency", "has an agent", "has an agent", turn, surety(turn, finding.quote))
            case _:
                pass

    def _decides(self, names: list[str], turn: Turn) -> None:
        old = self.slots.get("decision_makers")
        known = [str(n) for n in old.value] if old is not None and isinstance(old.value, list) else []
        if names:
            names = list(dict.fromkeys([*known, *names]))
            self._fill("decision_makers", names, ", ".join(names), turn, surety(turn, " ".join(names)))

    def _timeframe(self, value: Json, shown: str, turn: Turn, sure: float) -> None:
        """An answer to the agent's question before words of moving before any other time (a baby's, a contract's); of those the first, of answers the newest."""
        weight = 2 if self._question == "timeframe" else 1 if _MOVES.search(turn.text) else 0
        first = "timeframe" not in self.slots
        if (first or weight == 2 or weight > self._timeframe_weight) and self._fill("timeframe", value, shown, turn, sure):
            self._timeframe_weight = weight

    def _price(self, amount: Mapping[str, Json], turn: Turn) -> None:
        """The budget before the asking price before an offer; the newest of the same kind."""
        dollars = amount.get("usd_max") or amount.get("usd_min")
        weight = _WEIGHT.get(str(amount.get("role")), 2 if self._question == "price" else 0)
        if not isinstance(dollars, int) or amount.get("role") == "payment" or weight < self._price_weight:
            return
        if not weight and ("price" in self.slots or dollars < _LIKELY_A_PRICE):
            return
        if self._fill("price", dollars, money(amount), turn, _number(amount["sure"])):
            self._price_weight = weight

    def _join(self, slot: str, names: list[str], turn: Turn, sure: float) -> None:
        """Several may stand in one slot, in the order in which they were said."""
        old = self.slots.get(slot)
        known = str(old.value).split(", ") if old is not None and old.value else []
        joined = ", ".join(dict.fromkeys([*known, *names]))
        self._fill(slot, joined, joined.replace("_", " "), turn, sure)

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


def money(amount: Mapping[str, Json]) -> str:
    """ "$420,000", "up to $420,000", "$400,000–$450,000"."""
    low, high = amount.get("usd_min"), amount.get("usd_max")
    if isinstance(low, int) and isinstance(high, int):
        return f"${low:,}" if low == high else f"${low:,}–${high:,}"
    return f"up to ${high:,}" if isinstance(high, int) else f"from ${low:,}" if isinstance(low, int) else ""


def _owed(text: str) -> str:
    """The last amount of an answer to what is owed: people correct themselves to the truth. "" where there is none."""
    held = [money({"usd_min": a.usd_min, "usd_max": a.usd_max}) for a in amounts_in(text) if (a.usd_max or a.usd_min or 0) >= _LEAST_OWED]
    return held[-1] if held else ""


def _items(said: Mapping[str, Json], key: str) -> list[Mapping[str, Json]]:
    held = said.get(key)
    return [each for each in held if isinstance(each, Mapping)] if isinstance(held, list) else []


def _names(said: Mapping[str, Json], key: str) -> list[str]:
    held = said.get(key)
    return [str(each) for each in held] if isinstance(held, list) else []


def _number(value: Json) -> float:
    return float(value) if isinstance(value, int | float) else 1.0
