"""What one finding says about another, and several modules heard as one."""

import re
from collections.abc import Sequence
from typing import Final

from intelligence.conversation.turns import Conversation, Detector, Finding, Reading

_ENDS_IT: Final = re.compile(r"\b(?:stop|don't|do not|never|no more|remove|take|off|list|lose|delete|quit|again)\b", re.I)

# "I didn't think anybody would actually call" is surprise; who asked for it too has words for that.
_SURPRISED: Final = re.compile(
    r"\b(?:didn't|did not|didnt|never|wasn't|wasnt) (?:really |even |actually )?(?:think|thought|expect\w*|know|realize\w*|figure\w*|believe\w*|count\w*)\b[^.?!]*\bcall",
    re.I,
)
# "so I told him to take us off his list" was said to somebody else.
_TOLD_OTHERS: Final = re.compile(
    r"\b(?:i|we|she|he|my \w+) (?:\w+ )?(?:told|asked) (?!you\b|your\b)(?:\w+ ){1,3}(?:not )?to (?:take|stop|remove|quit|lose|call|put)\b",
    re.I,
)
_STOP: Final = re.compile(
    r"\b(?:stop|don't call|dont call|do not call|no more|remove|take (?:me|us|my|this)|list|lose my|delete|quit|again|anymore)\b", re.I
)


def settled(findings: Sequence[Finding]) -> list[Finding]:
    """The findings of one turn that stand beside each other.

    "Don't call me again" is a request to keep, never an objection to answer: in a turn that holds one there is no objection.
    What was told to somebody else asks us for nothing. Who only asks who is calling, or had not thought that somebody would, has not asked for an end of it.
    """
    findings = [f for f in findings if f.label != "do_not_call" or not _SURPRISED.search(f.quote) or _STOP.search(f.quote)]
    findings = [f for f in findings if f.label != "do_not_call" or not _TOLD_OTHERS.search(f.quote)]
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
