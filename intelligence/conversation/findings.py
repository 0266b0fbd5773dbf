"""What one finding says about another, and several modules heard as one."""

import re
from collections.abc import Sequence
from typing import Final

from intelligence.conversation.turns import Conversation, Detector, Finding, Reading

_ENDS_IT: Final = re.compile(r"\b(?:stop|don't|do not|never|no more|remove|take|off|list|lose|delete|quit|again)\b", re.I)


def settled(findings: Sequence[Finding]) -> list[Finding]:
    """The findings of one turn that stand beside each other.

    "Don't call me again" is a request to keep, never an objection to answer: in a turn that holds one there is no objection.
    Who only asks who is calling has not asked for an end of it.
    """
    if any(f.label == "call_screening" for f in findings):
        findings = [f for f in findings if f.label != "do_not_call" or _ENDS_IT.search(f.quote)]
    if any(f.label == "do_not_call" for f in findings):
        return [f for f in findings if f.family != "objection"]
    return list(findings)


def together(detectors: Sequence[Detector], reading: Reading, so_far: Conversation) -> list[Finding]:
    """All modules in their order, each seeing what those before it found in the turn; unguarded (evaluations, programs)."""
    so_far.fresh = []
    for detector in detectors:
        so_far.fresh = settled([*so_far.fresh, *detector.feed(reading, so_far)])
    return so_far.fresh
