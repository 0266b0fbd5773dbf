"""What a prospect says against going on: the thirteen objections of the taxonomy, heard in their own words."""

import itertools
import re
from pathlib import Path
from typing import Final

import numpy as np

from intelligence.conversation.objection_head import ObjectionHead, load_objection_head
from intelligence.conversation.turns import Conversation, Finding, Reading, Vectors

WEIGHTS: Final = Path(__file__).parent / "data" / "objections.npz"

_PAIR_WORDS: Final = 30  # two longer sentences say two things
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


def with_pairs(reading: Reading) -> tuple[list[str], Vectors]:
    """The sentences of a turn, and behind them each two that follow each other: "It's four fifty. That's way past what we
    had in mind." is an objection to the price in neither half. A pair's vector is the mean of its two, made unit again.
    """
    texts, vectors = list(reading.sentences), [reading.vectors]
    for at, (first, second) in enumerate(itertools.pairwise(reading.sentences)):
        if len(first.split()) + len(second.split()) <= _PAIR_WORDS:
            mean = reading.vectors[at] + reading.vectors[at + 1]
            texts.append(f"{first} {second}")
            vectors.append((mean / max(float(np.linalg.norm(mean)), 1e-9))[None])
    return texts, np.concatenate(vectors)


class ObjectionDetector:
    """Hears objections in the prospect's turns; several may stand in one. The agent's words raise none."""

    name = "objections"

    def __init__(self, head: ObjectionHead | None = None) -> None:
        self._head = head if head is not None else load_objection_head(WEIGHTS)
        self._rule = f"objections-model@{self._head.digest[:8]}"

    def feed(self, reading: Reading, so_far: Conversation) -> list[Finding]:  # noqa: ARG002 -- the seam carries it; a turn is judged alone
        turn = reading.turn
        if turn.speaker != "prospect" or not reading.sentences:
            return []
        texts, vectors = with_pairs(reading)
        table = self._head.probabilities(texts, vectors)
        bars = self._head.partial if turn.partial else self._head.thresholds
        found: list[Finding] = []
        for column, label in enumerate(self._head.labels):
            best = int(np.argmax(table[:, column]))
            confidence = float(table[best, column])
            if confidence < bars[column]:
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
                    self._rule,
                    utterance=turn.utterance,
                    partial=turn.partial,
                    values={"root_cause": root_cause(label, quote)},
                )
            )
        return sorted(found, key=lambda f: -f.confidence)
