"""What to do next in a conversation: the question that is missing, the sentence that leads there, when to be silent, and
how healthy the conversation is, part by part. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from intelligence.conversation.history import Heard

_ORDER: Final = ("motivation", "timeframe", "location", "price", "financing", "decision_makers", "agency", "appointment")
_THINKING: Final = re.compile(
    r"(?:\b(?:let me think|i'm thinking|i don't know|hmm+|well|i guess|i mean|maybe)\b[ ,.…]*){1,}$|…$|\.\.\.$", re.I
)
_OPEN_QUESTION: Final = re.compile(r"\b(?:what|how|why|tell me|where|when|who)\b", re.I)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the health of a conversation: ``value`` in [0, 1], with what it was counted from."""

    name: str
    value: float
    n: int
    why: str


@dataclass(frozen=True, slots=True)
class Flow:
    """``ask``: a slot of the qualification sheet, its question and the bridge to it. ``silent``: say nothing now, and why."""

    ask: str
    question: str
    bridge: str
    silent: str
    health: float | None
    parts: tuple[Part, ...]


def flow(heard: Heard, filled: Sequence[str], questions: Mapping[str, str], bridges: Mapping[str, str]) -> Flow:
    """``filled``: slots of the sheet that are known; ``questions``/``bridges``: the playbook's, by slot."""
    missing = [slot for slot in _ORDER if slot not in filled and slot in questions]
    silent = _silence(heard)
    open_objection = _open_objection(heard)
    slot = "" if silent or open_objection else next(iter(missing), "")
    parts = _parts(heard, filled)
    return Flow(
        ask=slot,
        question=questions.get(slot, ""),
        bridge=bridges.get(slot, ""),
        silent=silent,
        health=round(sum(p.value for p in parts) / len(parts), 2) if parts else None,
        parts=parts,
    )


def _silence(heard: Heard) -> str:
    if not heard.readings:
        return ""
    last = heard.readings[-1].turn
    if last.speaker == "prospect" and _THINKING.search(last.text.strip()):
        return "they are thinking aloud: let them finish"
    if last.speaker == "agent" and last.text.rstrip().endswith("?"):
        return "you have asked: wait for the answer"
    return ""


def _open_objection(heard: Heard) -> bool:
    """The prospect's last turn raised an objection: answer it before asking for anything else."""
    if not heard.readings or heard.readings[-1].turn.speaker != "prospect":
        return False
    last = heard.readings[-1].turn.utterance
    kinds = {f.label for f in heard.findings if f.family == "objection" and f.utterance == last}
    return bool(kinds - {"decision_maker"})  # naming who else decides is an answer as well


def _parts(heard: Heard, filled: Sequence[str]) -> tuple[Part, ...]:
    agent, prospect = heard.of("agent"), heard.of("prospect")
    said = [len(r.turn.text.split()) for r in agent], [len(r.turn.text.split()) for r in prospect]
    if len(agent) + len(prospect) < 6:
        return ()
    share = sum(said[0]) / max(1, sum(said[0]) + sum(said[1]))
    asked = [r for r in agent if "?" in r.turn.text]
    opened = [r for r in asked if _OPEN_QUESTION.search(r.turn.text)]
    objections = [f for f in heard.findings if f.family == "objection"]
    order = {r.turn.utterance: i for i, r in enumerate(heard.readings)}
    answered = [f for f in objections if _answered(heard, order.get(f.utterance, 0))]
    parts = [
        Part("listening", _peak(share, 0.3, 0.55), sum(said[0]) + sum(said[1]), f"the agent spoke {share:.0%} of the words"),
        Part("questions", min(1.0, len(opened) / max(1.0, len(agent) / 4)), len(agent), f"{len(opened)} open of {len(asked)} questions"),
        Part("qualification", len(filled) / len(_ORDER), len(_ORDER), f"{len(filled)} of {len(_ORDER)} slots known"),
    ]
    if objections:
        parts.append(Part("objections", len(answered) / len(objections), len(objections), f"{len(answered)} of {len(objections)} answered"))
    return tuple(Part(p.name, round(p.value, 2), p.n, p.why) for p in parts)


def _answered(heard: Heard, at: int) -> bool:
    following = heard.readings[at + 1 : at + 4]
    return any(r.turn.speaker == "agent" and len(r.turn.text.split()) >= 5 for r in following)


def _peak(value: float, low: float, high: float) -> float:
    """1 between ``low`` and ``high``, falling to 0 at 0 and 1."""
    return 1.0 if low <= value <= high else max(0.0, value / low if value < low else (1 - value) / (1 - high))
