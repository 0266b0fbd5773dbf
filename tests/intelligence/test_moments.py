"""A machine, a screener, the market as a cue, thinking aloud, and facts that contradict what was said."""

import numpy as np
import pytest

from intelligence.conversation.moments import MomentDetector
from intelligence.conversation.turns import Conversation, Finding, Reading, Speaker, Turn, sentences_of


class Talk:
    """Turns to the detector one after the other; Tuesday, 3 February 2026."""

    def __init__(self) -> None:
        self.detector, self.so_far, self.now = MomentDetector(), Conversation(today="2026-02-03"), 0

    def hears(self, speaker: Speaker, text: str, *, overlaps: int = 0) -> list[Finding]:
        start = self.now - overlaps
        turn = Turn(speaker, text, start, start + len(text.split()) * 375, f"{speaker[0]}{start}")
        found = self.detector.feed(Reading(turn, sentences_of(text), np.zeros((1, 384), np.float32)), self.so_far)
        self.so_far.add(turn, found)
        self.now = turn.end_ms + 500
        return found


def labels(found: list[Finding]) -> list[str]:
    return [f.label for f in found]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Hi, you've reached Dana. I can't come to the phone right now.", "voicemail"),
        ("Please leave a message after the tone.", "voicemail"),
        ("The person you are trying to reach is not available.", "voicemail"),
        ("Who's calling, please?", "call_screening"),
        ("May I ask what this is regarding? What is this about?", "call_screening"),
        ("Hi, if you record your name and reason for calling, I'll see if this person is available.", "call_screening"),
    ],
)
def test_who_answers(text: str, label: str) -> None:
    """A machine and a screener are told by their first words."""
    assert labels(Talk().hears("prospect", text)) == [label]


def test_later_in_the_call_nobody_is_a_machine() -> None:
    """Somebody who speaks of a voicemail in mid-call is a person."""
    talk = Talk()
    for _ in range(3):
        talk.hears("prospect", "Yes, this is Dana, hello there.")
    assert talk.hears("prospect", "I left you a message on your voicemail.") == []


def test_a_greeting_is_no_moment() -> None:
    """An ordinary hello raises nothing, nor does a person who wants to know who speaks: the agent has just said so, or is about to."""
    for hello in ("Hello? Yes, this is she.", "Hello? Who's this, I don't have my glasses."):
        assert Talk().hears("prospect", hello) == []


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("So what are mortgage rates doing now?", True),
        ("How's the market out there?", True),
        ("We market our own pottery.", False),
        ("I like the home.", False),
    ],
)
def test_the_market_is_a_cue_when_it_is_asked_about(text: str, named: bool) -> None:
    """Rates, prices and inventory asked about are a cue for facts."""
    assert (labels(Talk().hears("prospect", text)) == ["market_named"]) is named


@pytest.mark.parametrize(
    ("text", "cited"),
    [
        ("What do the bylaws say about dogs?", True),
        ("Does the inspection report mention the roof?", True),
        ("Okay, so what’s it say in there about pets?", True),
        ("It's two pages. What does it mean where it says assignable?", True),
        ("Is that written down somewhere, that the shed stays?", True),
        ("I read the report, thanks.", False),
        ("What did your husband say about the kitchen?", False),
        ("How old is the roof?", False),
        ("Could you send me the disclosure?", False),
    ],
)
def test_a_question_that_a_document_answers(text: str, cited: bool) -> None:
    """Somebody asks what a paper says; who mentions one, or asks for one, does not."""
    assert (labels(Talk().hears("prospect", text)) == ["document_cited"]) is cited


def test_thinking_aloud_knows_whether_the_agent_broke_in() -> None:
    """The finding says how often the agent spoke into the prospect's words; listening sounds do not count."""
    talk = Talk()
    (before,) = talk.hears("prospect", "Um, I'm not sure, I guess we could, um...")
    talk.hears("agent", "Right, sure.", overlaps=3000)
    (still,) = talk.hears("prospect", "Let me think, um, maybe...")
    talk.hears("agent", "Well let me tell you about that house.", overlaps=1500)
    (after,) = talk.hears("prospect", "Uh, I don't know, maybe it, um...")
    assert [f.values["agent_broke_in"] for f in (before, still, after)] == [0, 0, 1]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("So Saturday the 8th it is.", "2026-02-08"),
        ("Let's say Monday, March 3rd.", "2026-03-03"),
        ("So Sunday the 8th it is.", None),
        ("Saturday at 8 then.", None),
        ("Saturday the 14th works.", None),
        ("See you Saturday the 7th or so.", None),
    ],
)
def test_a_weekday_that_is_not_that_date(text: str, right: str | None) -> None:
    """Only a date whose weekday the calendar contradicts is wrong; times and right dates are not."""
    found = Talk().hears("agent", text)
    assert [f.values["right"] for f in found] == ([right] if right else [])
    assert all(f.label == "wrong_fact" for f in found)


def told_budget(talk: Talk) -> None:
    talk.hears("prospect", "Four hundred twenty thousand tops.")
    quoted = Finding(
        "signal",
        "price_named",
        "prospect",
        "420,000",
        0,
        900,
        1.0,
        "w",
        "r",
        values={"amounts": [{"usd_min": None, "usd_max": 420_000, "role": "budget"}]},
    )
    talk.so_far.findings.append(quoted)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("So you said $460,000 is your limit.", True),
        ("You mentioned $420,000, right?", False),
        ("You said you have $20,000 for the down payment.", False),
        ("This one is listed at $460,000.", False),
    ],
)
def test_an_amount_given_back_wrongly(text: str, wrong: bool) -> None:
    """Only an amount that is put into the prospect's mouth, and rivals what they named, is wrong."""
    talk = Talk()
    told_budget(talk)
    found = talk.hears("agent", text)
    assert labels(found) == (["wrong_fact"] if wrong else [])
    assert all("$420,000" in str(f.values["say"]) for f in found)


def test_without_a_named_amount_nothing_is_wrong() -> None:
    """What cannot be set side by side is not judged."""
    assert Talk().hears("agent", "So you said $460,000 is your limit.") == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Well, my wife passed last spring, so it's a lot of house.", ["fear_or_pressure"]),
        ("We lost my dad in March.", ["fear_or_pressure"]),
        ("My husband passed in oh-six and I've kept the garden up since then.", []),
        ("My wife passed the bar last year.", []),
        ("We passed on that one.", []),
        ("What it would sell for and what we'd keep, I guess.", []),
    ],
)
def test_a_loss_is_heard_and_an_answer_is_no_hesitation(text: str, wanted: list[str]) -> None:
    """A death in the family is a moment to acknowledge; a plain answer that ends on "I guess" is none."""
    talk = Talk()
    for _ in range(3):
        talk.hears("prospect", "We were at the lake.")
    assert labels(talk.hears("prospect", text)) == wanted
