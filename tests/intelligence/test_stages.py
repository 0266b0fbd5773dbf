import json
from pathlib import Path

import numpy as np

from intelligence.conversation.stages import STAGES, StageTracker
from intelligence.conversation.turns import Conversation, Family, Finding, Reading, Speaker, Turn

SCRIPT = Path(__file__).parent.parent.parent / "web" / "sample" / "script.json"


def say(stages: StageTracker, text: str, speaker: Speaker = "agent", *found: tuple[Family, str]) -> str:
    findings = [Finding(family, label, "prospect", text, 0, 0, 0.9, "", "") for family, label in found]
    stages.feed(Reading(Turn(speaker, text), (), np.zeros((0, 384), np.float32)), Conversation(fresh=findings))
    return stages.stage


def test_a_call_walks_through_its_stages() -> None:
    """Greeting, needs, a home shown, an objection, a time, goodbye: each turn stands where a listener would put it."""
    stages = StageTracker()
    path = [
        say(stages, "Hi, this is Ana with Harbor. Is it okay to record?"),
        say(stages, "Sure.", "prospect"),
        say(stages, "How soon would you like to be settled?"),
        say(stages, "By June.", "prospect", ("signal", "timeframe_named")),
        say(stages, "There's one on Alder, listed at three ninety, built in 2004."),
        say(stages, "That's too much.", "prospect", ("objection", "price")),
        say(stages, "What would feel right to you?"),
        say(stages, "Saturday works.", "prospect", ("signal", "appointment")),
        say(stages, "Great, see you Saturday. Bye now."),
    ]
    assert path == [
        "opening",
        "opening",
        "discovery",
        "discovery",
        "presentation",
        "objection_handling",
        "objection_handling",
        "closing",
        "wrap_up",
    ]


def test_a_stage_is_told_once() -> None:
    """A change is given once, with its reason."""
    stages = StageTracker()
    say(stages, "That's too much.", "prospect", ("objection", "price"))
    assert stages.changed() == ("objection_handling", "objection: price")
    assert stages.changed() is None


def test_a_refused_time_is_no_closing() -> None:
    """A day named to turn it down does not bring the call to its close."""
    stages = StageTracker()
    say(stages, "Not Saturday.", "prospect", ("signal", "appointment"), ("signal", "commitment_refused"))
    assert stages.stage == "opening"


def test_the_sample_call_ends_wrapped_up() -> None:
    """The shipped sample call, with what its listener noted, passes objections and a time, and ends in goodbyes."""
    stages, seen = StageTracker(), []
    for line in json.loads(SCRIPT.read_text()):
        noted = [("objection", o) for o in line["notes"]["objections"]] + [("signal", s.split(":")[0]) for s in line["notes"]["signals"]]
        seen.append(say(stages, line["text"], line["speaker"], *noted))
    assert set(seen) <= set(STAGES)
    assert seen[0] == "opening"
    assert {"objection_handling", "closing"} <= set(seen)
    assert seen[-1] == "wrap_up"


def test_an_open_question_leads_into_discovery_and_an_early_day_does_not_close() -> None:
    """A day named in a greeting is no appointment; a question about the person opens discovery again after an objection."""
    stages = StageTracker()
    assert say(stages, "You came through the open house on Sunday, how are you?") == "opening"
    assert say(stages, "Good, thanks.", "prospect") == "opening"
    assert say(stages, "What are you two moving from?") == "discovery"
    assert say(stages, "That's too much money.", "prospect", ("objection", "price")) == "objection_handling"
    assert say(stages, "Compared with what?") == "objection_handling"
    assert say(stages, "The ones across the street.", "prospect") == "objection_handling"
    assert say(stages, "Have you talked with a lender about it?") == "discovery"
    assert say(stages, "Do you want to see it this week?") == "closing"
