"""Questions that must not be judged and wishes that must not be served, heard in the prospect's words.

The neutral answer names a public source and should be up before the agent's first word, so half a turn counts as soon
as it is clear.
"""

import re
from pathlib import Path
from typing import Final

import numpy as np

from intelligence.conversation.card_head import card_head, chance_of, margins_in
from intelligence.conversation.classifier import Head, load_head
from intelligence.conversation.compliance import PARTIAL_EXTRA
from intelligence.conversation.compliance_rules import columns, neutral
from intelligence.conversation.turns import Conversation, Finding, Reading, texts_with_pairs, vectors_with_pairs

WEIGHTS: Final = Path(__file__).parent / "data" / "protected.npz"
_SURE_PARTIAL: Final = (0.9, 0.95)  # least and most that half a sentence needs; "I want the girls" begins many
# Of the model that reads the turn behind what the agent said: below, the words are about something else; above, it is heard there alone.
_UNLIKELY: Final = 0.08
_LIKELY: Final = 0.6
SOURCE: Final = "42 U.S.C. 3604(a) and (c); 24 CFR 100.70, 100.75; NAR Code of Ethics, Article 10"
_WHY: Final = {
    "safety": "asks for a verdict on safety: a public map answers it, you do not",
    "schools": "asks for a verdict on schools: name the figures, do not judge",
    "people": "asks who lives there: not to be described, by word or by hint",
    "wish": "wishes for or against a protected group: it cannot be part of the search or the sale",
}
ANSWERS: Final = {
    "safety": "That's yours to judge. The police department's crime map shows any address; I'll send you the link.",
    "offenders": "Please search the address yourself at nsopw.gov, the national registry. I'll text you the link.",
    "schools": "The school district's website and the state report card have the figures. I'll send you both links.",
    "people": "I can't describe residents anywhere. Please visit at different hours; census.gov has public figures.",
    "wish": "Fair housing law keeps that out of our search; hud.gov explains it. Let's go by features and price.",
}
_OFFENDERS: Final = re.compile(r"\b(sex offend\w*|offenders?|predators?|pedophiles?|molest\w*|registry|registered)\b")


def answer_to(about: str, words: str) -> str:
    """What the agent can say: at most 20 words, no verdict, a public source by name."""
    return ANSWERS["offenders" if about == "safety" and _OFFENDERS.search(words) else about]


class ProtectedQuestionDetector:
    """Hears a protected question or wish in the prospect's turn; one finding a turn, of what it is most surely about."""

    name = "protected"

    def __init__(self, head: Head | None = None) -> None:
        self._head = head if head is not None else load_head(WEIGHTS)
        self._rule = f"protected-model@{self._head.digest[:8]}"

    def feed(self, reading: Reading, so_far: Conversation) -> list[Finding]:  # noqa: ARG002 -- the seam carries it; a turn is judged alone
        turn = reading.turn
        if turn.speaker != "prospect" or not reading.sentences:
            return []
        texts, vectors = texts_with_pairs(reading.sentences), vectors_with_pairs(reading)
        words = [neutral(text) for text in texts]
        table = self._head.probabilities(words, vectors, columns(words))
        bars = np.clip(self._head.thresholds + PARTIAL_EXTRA, *_SURE_PARTIAL) if turn.growing else self._head.thresholds
        over = np.where(table >= bars, table, 0.0)
        row, column = np.unravel_index(int(np.argmax(over)), over.shape)
        confidence, rule = float(over[row, column]), self._rule
        if margins := margins_in(reading):
            chance = chance_of("neutral_answer", margins["neutral_answer"])
            if confidence > 0.0 and chance < _UNLIKELY:
                return []  # words of such a question, in a turn that behind what the agent said asks none
            if confidence <= 0.0 and chance >= _LIKELY and not turn.growing:
                row, column = np.unravel_index(int(np.argmax(table)), table.shape)
                confidence, rule = chance, card_head().rule
        if confidence <= 0.0:
            return []
        about = self._head.labels[int(column)]
        return [
            Finding(
                "signal",
                "protected_question",
                turn.speaker,
                texts[int(row)],
                turn.start_ms,
                turn.end_ms,
                round(confidence, 3),
                _WHY[about],
                rule,
                SOURCE,
                turn.utterance,
                turn.partial,
                {"about": about, "answer": answer_to(about, words[int(row)])},
            )
        ]
