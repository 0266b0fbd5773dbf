"""What a prospect says against going on: the thirteen objections of the taxonomy, heard in their own words."""

import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from intelligence.conversation.card_head import card_head, chance_at, chance_of_objection, log_odds, margins_in
from intelligence.conversation.objection_head import ObjectionHead, load_objection_head
from intelligence.conversation.second_head import (
    MOST_DOUBTS,
    FirstWord,
    SecondHead,
    all_of_few,
    as_money,
    load_second_head,
    whole_turn,
)
from intelligence.conversation.turns import Conversation, Finding, Reading, Turn, texts_with_pairs, vectors_with_pairs
from voice.models.weights import OBJECTIONS

WEIGHTS: Final = Path(__file__).parent / "data" / "objections.npz"
SECOND: Final = Path(__file__).parent / "data" / "objections_second.npz"

_LIKELY: Final = 0.5  # while a turn is not over the second model is asked when the first head finds some kind this likely

_HEARD_IN_CONTEXT: Final = 0.6  # what no sentence says alone, the turn must be so likely to say behind what the agent said
_HEARD_GROWING: Final = 0.88  # and this likely while it is not over

PAIR_WORDS: Final = 30  # two longer sentences say two things
_WHY: Final = {
    "price": "speaks against the price",
    "commission": "speaks against the fee",
    "timing": "says that now is not the time",
    "market": "holds the market or the rates against it",
    "financing": "doubts that the money can be had",
    "decision_maker": "somebody else decides too",
    "has_agent": "already has another agent",
    "self_serve": "means to do it without an agent",
    "commitment": "does not want to sign or be tied",
    "property": "finds fault with this home",
    "location": "finds fault with this place",
    "trust": "doubts the agent or the claim",
    "stall": "puts it off without a reason",
}
# What usually lies behind each kind; the words below, when said, are better evidence and come first.
_USUAL_CAUSE: Final = {
    "price": "value_doubt",
    "commission": "value_doubt",
    "timing": "life_circumstances",
    "market": "fear_of_regret",
    "financing": "affordability",
    "decision_maker": "need_of_consensus",
    "has_agent": "loyalty",
    "self_serve": "wish_for_control",
    "commitment": "wish_for_control",
    "property": "unmet_need",
    "location": "unmet_need",
    "trust": "past_experience",
    "stall": "unspoken_reason",
}
_SAID_CAUSE: Final = (
    ("past_experience", re.compile(r"\b(last (time|guy|one|agent|realtor)|burned|before and|previous|never again|been stuck)\b")),
    ("affordability", re.compile(r"\b(afford|budget|out of (my|our) range|monthly|stretch\w*|savings?|paycheck)\b")),
    ("fear_of_regret", re.compile(r"\b(mistake|regret|what if|scared|afraid|worried|nervous|underwater|at the top)\b")),
    ("need_of_consensus", re.compile(r"\b(my|our) (wife|husband|partner|spouse|dad|mom|parents|kids|attorney|lawyer|brother|sister)\b")),
    ("value_doubt", re.compile(r"\b(what (do|would) (i|we) get|worth|justify|for what|rip ?off|overpriced|paying you)\b")),
)


def root_cause(label: str, text: str) -> str:
    """What seems to lie behind an objection: words that say it, else what usually does (a rule, not a measurement)."""
    low = text.lower().replace("’", "'")
    return next((cause for cause, words in _SAID_CAUSE if words.search(low)), _USUAL_CAUSE[label])


# Fitted on annotated calls that the models had not seen (docs/measurements.md): the log odds of the confidence, how sure the model is of
# any objection on average over the turn's sentences (a half-sentence in a long, friendly turn has little of it), and the shift.
_OF_LOG_ODDS, _OF_AROUND, _SHIFT = 1.17, 1.45, -2.62


def _chance(confidence: float, around: float) -> float:
    return chance_at(_OF_LOG_ODDS * log_odds(confidence) + _OF_AROUND * around + _SHIFT)


def _texts(sentences: Sequence[str]) -> list[str]:
    """ "It's four fifty. That's way past what we had in mind." is an objection to the price in neither half."""
    return texts_with_pairs(sentences, PAIR_WORDS)


class ObjectionDetector:
    """Hears objections in the prospect's turns; several may stand in one. The agent's words raise none.

    A first head reads every sentence, so that what is still being said stays cheap. Of a turn that is over a second one decides, if the
    reading brings the second model's vectors (``at_once`` and ``doubts`` say of what they are wanted: the turn, its sentences and pairs of
    them); without them the first head's word stands. ``chance`` among a finding's values: how likely it is one to answer, where
    ``confidence`` is about the words alone.
    """

    name = "objections"

    def __init__(self, head: ObjectionHead | None = None, second: SecondHead | None = None) -> None:
        self._head = head if head is not None else load_objection_head(WEIGHTS)
        self._second = second if second is not None else _second_head()
        self._rule = f"objections-model@{self._head.digest[:8]}"
        self._second_rule = f"{self._rule}+{self._second.digest[:8]}"
        self._first = FirstWord(lambda r: self._head.probabilities(_texts(r.sentences), vectors_with_pairs(r, PAIR_WORDS)))

    def at_once(self, turn: Turn, sentences: Sequence[str], *, in_context: bool) -> list[str]:  # noqa: ARG002 -- it asks in either case
        """Of a prospect's turn that is over, and has few sentences, the whole, all of them and their pairs."""
        if turn.speaker != "prospect" or turn.growing:
            return []
        return all_of_few(map(as_money, [*whole_turn(turn, sentences), *_texts(sentences)]))

    def doubts(self, reading: Reading) -> list[str]:
        """A turn that is over, and its sentences, and pairs of them, those the first head finds likeliest first; none while a turn is not
        over and the first head finds nothing likely in it, so that partials stay cheap.
        """
        if reading.turn.speaker != "prospect" or not reading.sentences:
            return []
        texts = _texts(reading.sentences)
        doubtful = [texts[row] for row in self._first.doubtful(reading, _LIKELY)]
        return list(dict.fromkeys(map(as_money, [*whole_turn(reading.turn, reading.sentences), *doubtful])))[:MOST_DOUBTS]

    def feed(self, reading: Reading, so_far: Conversation) -> list[Finding]:  # noqa: ARG002 -- the seam carries it; a turn is judged alone
        turn = reading.turn
        if turn.speaker != "prospect" or not reading.sentences:
            return []
        texts = _texts(reading.sentences)
        table = self._first.table(reading)
        bars = np.repeat((self._head.partial if turn.growing else self._head.thresholds)[None], len(texts), axis=0)
        asked = self._asked(texts, table, bars, reading) if reading.second else set()
        around = float(table.max(axis=1).mean())
        alone = table[list(asked)].max(axis=0).tolist() if asked else [None] * len(self._head.labels)
        margins = margins_in(reading)
        found: list[Finding] = []
        for column, label in enumerate(self._head.labels):
            passing = np.where(table[:, column] >= bars[:, column], table[:, column], -1.0)
            best = int(np.argmax(passing))
            confidence, rule = float(passing[best]), self._second_rule if best in asked else self._rule
            chance = chance_of_objection(label, margins, alone[column]) if margins else _chance(confidence, around)
            if confidence < 0 and margins and chance >= (_HEARD_GROWING if turn.growing else _HEARD_IN_CONTEXT):
                # "Same as the last guy, then." is an objection behind what the agent asks, and none alone.
                best = int(np.argmax(table[: len(reading.sentences), column]))
                confidence, rule = chance, card_head().rule
            if confidence < 0:
                continue
            quote = texts[best]
            found.append(
                Finding(
                    "objection",
                    label,
                    turn.speaker,
                    quote,
                    turn.start_ms,
                    turn.end_ms,
                    round(confidence, 3),
                    _WHY[label],
                    rule,
                    utterance=turn.utterance,
                    partial=turn.partial,
                    values={"root_cause": root_cause(label, quote), "chance": round(chance, 3), "in_context": bool(margins)},
                )
            )
        return sorted(found, key=lambda f: -f.confidence)

    def _asked(self, texts: list[str], table: NDArray[np.float32], bars: NDArray[np.float32], reading: Reading) -> set[int]:
        """Puts the second head's word into ``table`` and ``bars`` where there is one; the rows that it concerns.

        Each is what it says of that part, seen in its turn. While a turn is not over only the kinds count that the first head holds likely
        somewhere in it.
        """
        rows = [row for row, text in enumerate(texts) if as_money(text) in reading.second]
        if not rows:
            return set()
        whole = map(as_money, whole_turn(reading.turn, reading.sentences))
        answers = self._second.seen_in_turn([as_money(texts[row]) for row in rows], whole, reading)
        open_to = table.max(axis=0) >= _LIKELY if reading.turn.growing else True
        for row, answer in zip(rows, answers, strict=True):
            table[row] = np.where(open_to, answer, 0.0)
            bars[row] = self._second.thresholds
        return set(rows)


@functools.cache
def _second_head() -> SecondHead:
    """Once a process."""
    return load_second_head(SECOND, OBJECTIONS)
