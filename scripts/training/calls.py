"""The authored calls of intelligence/conversation/data/calls as training sentences: mostly what is said when nothing is wrong.

A turn without a label gives each of its sentences, each two in a row, and now and then the beginning of one, as a live
recogniser shows it in the middle of a sentence; a turn with a label gives its words as they stand, once.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from intelligence.conversation.objections import PAIR_WORDS, WEIGHTS
from intelligence.conversation.turns import sentences_of, texts_with_pairs

FOLDER: Final = WEIGHTS.parent / "calls"
BEGUN: Final = 0.8  # of the sentences of five words and more, this share also as a beginning
LONGEST: Final = 60  # words of a turn that counts whole


@dataclass(frozen=True, slots=True)
class Said:
    call: str
    text: str
    labels: frozenset[str]


def said_in_calls(speaker: str, family: str) -> list[Said]:
    """What this side says in all calls, with its labels of ``objections`` or ``compliance``; ``moments``: with the kind of card it raises."""
    dice = random.Random(17)
    out: dict[str, Said] = {}
    for file in sorted(FOLDER.glob("*.json")):
        call = json.loads(file.read_text())
        for number, turn in enumerate(call["turns"]):
            turn["moments"] = [moment["kind"] for moment in call["coach"]["speak"] if moment["turn"] == number]
            if turn["speaker"] == speaker:
                out.update({said.text: said for said in _taken(file.stem, turn, family, dice)})
    return list(out.values())


def whole_turns(speaker: str, family: str) -> list[str]:
    """Turns of three sentences and more that hold nothing of ``family``, as they stand: what is said in all calls by this side."""
    turns = (turn for file in sorted(FOLDER.glob("*.json")) for turn in json.loads(file.read_text())["turns"])
    texts = [turn["text"] for turn in turns if turn["speaker"] == speaker and not turn.get(family)]
    return [text for text in dict.fromkeys(texts) if len(sentences_of(text)) > 2 and len(text.split()) <= LONGEST]


def writer(call: str) -> str:
    """Who wrote a call: the letters of its name."""
    return call.rstrip("0123456789")


def beginning(words: list[str], dice: random.Random) -> str:
    """Two words and more of a sentence, not all of them."""
    return " ".join(words[: dice.randint(2, len(words) - 1)]).rstrip(",;")


def _taken(call: str, turn: dict[str, Any], family: str, dice: random.Random) -> Iterator[Said]:
    text, labels = turn["text"], frozenset(turn.get(family, ()))
    if labels:
        if len(text.split()) <= LONGEST:
            yield Said(call, text, labels)
        return
    sentences = sentences_of(text)
    for sentence in sentences:
        words = sentence.split()
        yield Said(call, sentence, labels)
        if len(words) >= 5 and dice.random() < BEGUN:
            yield Said(call, beginning(words, dice), labels)
    for pair in texts_with_pairs(sentences, PAIR_WORDS)[len(sentences) :]:
        yield Said(call, pair, labels)
