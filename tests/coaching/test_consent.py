"""Consent is a gate: which state of it opens it, by the places of both ends."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coaching.consent import DEFAULT_POLICY, ConsentPolicy, ConsentRefused
from coaching.events import CallStarted, ConsentChanged, ConsentState
from tests.scripted_call import Cue, Stage, agent, of_type, play, prospect, silence
from web.settings import SETTINGS

POLICY = ConsentPolicy.load()
STATES: tuple[ConsentState, ...] = ("unknown", "announced", "granted", "refused", "revoked")
STRICT = sorted(code for code, place in POLICY.states.items() if place.rule == "all")
LOOSE = sorted(code for code, place in POLICY.states.items() if place.rule == "one")


def of(state: ConsentState, **more: bool) -> ConsentChanged:
    return ConsentChanged(state=state, **{"transcribe": False, "record": False, "claude": False, **more})  # type: ignore[arg-type]  # three booleans


def test_every_state_has_a_rule_and_its_source() -> None:
    """All fifty states and the District stand in the file, each with the text that its rule rests on."""
    assert len(POLICY.states) == 51
    assert all(len(place.source) > 8 for place in POLICY.states.values())
    assert POLICY.as_of >= "2026"


def test_the_file_names_the_setting_that_replaces_it() -> None:
    """Whoever edits the file finds the right name of the setting in it."""
    named = {word.strip(".,;") for word in DEFAULT_POLICY.read_text().split() if word.startswith("SOTTOVOCE_")}
    assert named
    assert named <= {setting.name for setting in SETTINGS}


@given(st.sampled_from(LOOSE), st.sampled_from(STRICT))
def test_the_stricter_end_counts(loose: str, strict: str) -> None:
    """With one end where all must agree, all must agree, whichever end it is."""
    assert POLICY.rule_for(loose, strict) == POLICY.rule_for(strict, loose) == POLICY.states[strict]
    assert POLICY.rule_for(loose, loose).rule == "one"


@pytest.mark.parametrize("places", [("", "TX"), ("TX", ""), ("", ""), ("TX", "XX"), ("Ontario", "NY")])
def test_an_unknown_place_means_all_parties(places: tuple[str, str]) -> None:
    """What is not known counts as the stricter rule."""
    assert POLICY.rule_for(*places).rule == "all"


def test_a_place_may_be_written_small() -> None:
    """The two letters of a state count in any case."""
    assert POLICY.rule_for("tx", "ny").rule == "one"


@pytest.mark.parametrize(
    ("agent_state", "prospect_state", "hears"), [("TX", "NY", True), ("TX", "CA", False), ("FL", "TX", False), ("TX", "", False)]
)
def test_how_a_call_begins(agent_state: str, prospect_state: str, hears: bool) -> None:
    """Before anybody said a word about it, only one-party places open the gate."""
    begun = POLICY.begin("browser", agent_state, prospect_state)
    assert (begun.state, begun.transcribe, begun.record, begun.claude) == ("unknown", hears, False, False)


@pytest.mark.parametrize("state", STATES)
def test_what_each_state_opens(state: ConsentState) -> None:
    """Refused and revoked open nothing anywhere, granted opens everywhere."""
    for rule in ("one", "all"):
        opens = state in POLICY.opens[rule]
        assert not (opens and state in ("refused", "revoked"))
        assert opens or state != "granted"
    assert POLICY.opens["all"] <= POLICY.opens["one"]


def test_three_separate_yeses() -> None:
    """Recording and Claude each need their own yes, and transcribing alone gives neither."""
    for record, claude in itertools.product((False, True), repeat=2):
        now = POLICY.change(of("unknown"), "granted", agent_state="CA", prospect_state="CA", by="prospect", record=record, claude=claude)
        assert (now.transcribe, now.record, now.claude) == (True, record, claude)


def test_an_announcement_records_nothing() -> None:
    """An announcement opens the ears, never the recorder or the way to Claude."""
    now = POLICY.change(of("unknown"), "announced", agent_state="CA", prospect_state="CA", by="announcement", record=True, claude=True)
    assert (now.transcribe, now.record, now.claude) == (True, False, False)


def test_a_yes_is_kept_until_it_is_changed() -> None:
    """Saying yes to recording later leaves the yes to Claude as it was."""
    first = POLICY.change(of("unknown"), "granted", agent_state="CA", prospect_state="CA", by="prospect", claude=True)
    second = POLICY.change(first, "granted", agent_state="CA", prospect_state="CA", by="prospect", record=True)
    assert (second.record, second.claude) == (True, True)


def test_revoking_takes_every_yes() -> None:
    """After it nothing is transcribed, recorded or sent."""
    first = POLICY.change(of("unknown"), "granted", agent_state="TX", prospect_state="TX", by="prospect", record=True, claude=True)
    now = POLICY.change(first, "revoked", agent_state="TX", prospect_state="TX", by="prospect")
    assert (now.transcribe, now.record, now.claude, now.agent_only) == (False, False, False, False)


@pytest.mark.parametrize(
    ("now", "wanted"),
    [("granted", "refused"), ("granted", "announced"), ("refused", "revoked"), ("revoked", "announced"), ("refused", "unknown")],
)
def test_a_change_that_makes_no_sense_is_refused(now: ConsentState, wanted: ConsentState) -> None:
    """What was granted can be revoked, not refused; what was refused needs a yes."""
    with pytest.raises(ConsentRefused, match=f"from {now} to {wanted}"):
        POLICY.change(of(now), wanted, agent_state="TX", prospect_state="TX", by="agent")


@pytest.mark.parametrize(("agent_alone", "loud", "alone"), [(True, False, True), (True, True, False), (False, False, False)])
def test_the_agent_alone_is_heard_only_by_policy_and_never_on_loudspeaker(agent_alone: bool, loud: bool, alone: bool) -> None:
    """With a refusal the agent's own track may be coached when the brokerage wants it, but a loudspeaker carries the other side."""
    policy = ConsentPolicy.load(agent_alone=agent_alone)
    now = policy.change(of("unknown"), "refused", agent_state="CA", prospect_state="CA", by="prospect", loudspeaker=loud)
    assert (now.agent_only, now.transcribe) == (alone, False)


async def test_a_refusal_means_that_no_recogniser_runs() -> None:
    """With the gate shut, neither side's recogniser receives a window."""
    stage = Stage(started=CallStarted(mode="browser", agent_state="CA", prospect_state="CA"))
    refuse = Cue(lambda call: call.consent("refused", by="prospect"))
    played = await play([refuse, agent("Hi Marcus, this is Claire."), prospect("I do not want to be recorded."), silence(1000)], stage)
    assert played.models.windows == {"agent": 0, "prospect": 0}
    assert played.call.state.lines == {}


async def test_with_the_agent_alone_only_one_side_is_heard() -> None:
    """The agent's own words are recognised, not one of the prospect's."""
    stage = Stage(started=CallStarted(mode="browser", agent_state="CA", prospect_state="CA"), agent_alone=True)
    refuse = Cue(lambda call: call.consent("refused", by="prospect"))
    played = await play([refuse, agent("Hi Marcus, this is Claire."), prospect("I do not want to be recorded."), silence(1000)], stage)
    assert played.models.windows["prospect"] == 0
    assert {line.speaker for line in played.call.state.lines.values()} == {"agent"}


async def test_revoking_in_mid_call_stops_the_words() -> None:
    """What is said after it leaves no word in the log, and the overlay is told that nobody listens."""
    script = [
        agent("May I take notes?"),
        prospect("Sure, go ahead."),
        Cue(lambda call: call.consent("revoked", by="prospect")),
        prospect("My salary is secret."),
    ]
    played = await play([*script, silence(1000)])
    assert "secret" not in " ".join(line.text for line in played.call.state.transcript())
    assert ("not_listening", None) in played.call.state.notices
    assert [e.state for e in of_type(played.events, ConsentChanged)] == ["granted", "revoked"]


@pytest.mark.parametrize("text", ["", "as_of = 1", '[states]\nTX = { rule = "some", source = "x" }'])
def test_a_policy_file_that_is_wrong_says_where(tmp_path: Path, text: str) -> None:
    """A broken file is refused by name instead of opening anything."""
    file = tmp_path / "consent.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"consent\.toml"):
        ConsentPolicy.load(file)
