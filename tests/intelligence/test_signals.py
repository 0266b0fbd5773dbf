from pathlib import Path

import numpy as np
import pytest

from intelligence.conversation.amount_roles import LABELS, role_head
from intelligence.conversation.appointments import agreed, meeting_in
from intelligence.conversation.classifier import write_checked
from intelligence.conversation.findings import together
from intelligence.conversation.objections import ObjectionDetector
from intelligence.conversation.people import decision_makers_in, relations_in
from intelligence.conversation.places import places_in
from intelligence.conversation.signals import WEIGHTS, SignalDetector
from intelligence.conversation.turns import Conversation, Finding, Reading, Speaker, Turn, TurnWord, sentences_of
from voice.models.onnx import SentenceVectors
from voice.models.weights import MINILM, WeightsRefused, files_of


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> SentenceVectors:
    cache = tmp_path_factory.mktemp("weights")
    return SentenceVectors(*files_of(MINILM, folder=None, cache=cache))


def reading(
    vectors: SentenceVectors, text: str, speaker: Speaker = "prospect", partial: bool = False, sure: float | None = None
) -> Reading:
    words = tuple(TurnWord(w, 0, 0, sure) for w in text.split()) if sure is not None else ()
    sentences = sentences_of(text)
    return Reading(Turn(speaker, text, partial=partial, words=words), sentences, vectors.embed(list(sentences)))


def heard(vectors: SentenceVectors, text: str, **of_turn: object) -> dict[str, Finding]:
    found = SignalDetector().feed(reading(vectors, text, **of_turn), Conversation(today="2026-03-02"))  # type: ignore[arg-type]
    return {f.label: f for f in found}


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Please take me off your list.", "do_not_call"),
        ("do not call this house again", "do_not_call"),
        ("Wednesday at six works for us.", "appointment"),
        ("My wife makes the decisions with me, she has to see it.", "decision_makers"),
        ("I'm really stressed and scared about all this.", "stress"),
        ("How old is the roof?", "question"),
        ("no i don't want to meet", "commitment_refused"),
        ("We're getting divorced and have to sell.", "motivation"),
        ("We have to be out by the end of June, no matter what.", "urgency"),
        ("What happens next if we want to make an offer?", "buying_interest"),
        ("I was thinking about Redfin.", "competitor_named"),
        ("we live over on sycamore avenue", "location_named"),
        ("our budget is four fifty", "price_named"),
        ("We'd like to be in by the fall.", "timeframe_named"),
    ],
)
def test_a_plain_signal_is_named(vectors: SentenceVectors, text: str, label: str) -> None:
    """A plain signal is found under its wire name with the words that show it."""
    found = heard(vectors, text)
    assert label in found
    assert found[label].quote == text
    assert found[label].rule.startswith("signals-model@")


@pytest.mark.parametrize("text", ["Okay, got it.", "We painted it last year.", "It has three bedrooms and two baths.", "Nice to meet you."])
def test_everyday_talk_raises_no_signal(vectors: SentenceVectors, text: str) -> None:
    """Small talk and descriptions are no signals."""
    assert heard(vectors, text) == {}


def test_the_agent_raises_no_signal(vectors: SentenceVectors) -> None:
    """The same words from the agent raise nothing: signals are the prospect's."""
    assert heard(vectors, "our budget is four fifty")
    assert heard(vectors, "our budget is four fifty", speaker="agent") == {}


def test_a_request_not_to_be_called_is_no_objection(vectors: SentenceVectors) -> None:
    """In a turn that asks not to be called again no objection stands, whatever else it says."""
    turn = reading(vectors, "I'd need to talk to my husband before we do anything. Take me off your list and don't call me again.")
    assert ObjectionDetector().feed(turn, Conversation())
    labels = {(f.family, f.label) for f in together([SignalDetector(), ObjectionDetector()], turn, Conversation())}
    assert ("signal", "do_not_call") in labels
    assert not any(family == "objection" for family, _ in labels)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("I didn't think anybody would actually call.", False),
        ("I never expected a call this fast.", False),
        ("I didn't think you people would call again after I told you to stop.", True),
        ("I thought I told you not to call here again.", True),
        ("The last agent got loud, so I told him to take us off his list.", False),
        ("I told you people to take us off your list.", True),
    ],
)
def test_surprise_at_a_call_is_no_request(vectors: SentenceVectors, text: str, asked: bool) -> None:
    """Who had not thought that somebody would call has not asked for an end of it: a false entry on the list is hard to notice."""
    found = together([SignalDetector()], reading(vectors, text), Conversation())
    assert any(f.label == "do_not_call" for f in found) is asked


def test_values_are_normalised(vectors: SentenceVectors) -> None:
    """Amounts come with bounds and role, dates in days from the call."""
    found = heard(vectors, "If we can stay under four eighty we'd move in June.")
    (amount,) = found["price_named"].values["amounts"]  # type: ignore[union-attr,misc]
    assert (amount["usd_min"], amount["usd_max"], amount["role"]) == (None, 480_000, "budget")  # type: ignore[index,call-overload]
    (frame,) = found["timeframe_named"].values["timeframes"]  # type: ignore[union-attr,misc]
    assert (frame["earliest_days"], frame["latest_days"]) == (91, 120)  # type: ignore[index,call-overload]


def test_an_amount_heard_badly_says_so(vectors: SentenceVectors) -> None:
    """The least recognition probability of an amount's words goes with it."""
    (amount,) = heard(vectors, "our budget is four fifty", sure=0.3)["price_named"].values["amounts"]  # type: ignore[union-attr,misc]
    assert amount["sure"] == 0.3  # type: ignore[index,call-overload]


def test_half_a_sentence_raises_only_what_a_card_needs(vectors: SentenceVectors) -> None:
    """On settled words of an open sentence amounts and places wait for its end."""
    assert set(heard(vectors, "our budget is four fifty and we want to live in Denver", partial=True)) <= {
        "stress",
        "buying_interest",
        "do_not_call",
    }


def test_a_long_turn_is_heard_whole(vectors: SentenceVectors) -> None:
    """Signals of several sentences in one turn all come out."""
    text = "I start a new job in Denver in May. Our budget is four fifty. My wife has to see it too."
    assert {"motivation", "location_named", "price_named", "decision_makers"} <= set(heard(vectors, text))


def test_the_shipped_head_knows_every_signal_it_is_asked_for() -> None:
    """The packaged head has each signal but the one that rules hear, and motivation once for each reason."""
    labels = np.load(WEIGHTS)["labels"].tolist()
    assert "protected_question" not in labels
    assert sum(label.startswith("motivation:") for label in labels) == 12
    assert len(labels) == 24


@pytest.mark.parametrize(
    ("said", "proposed", "wanted"),
    [
        ("Saturday at ten works", None, "Saturday 10:00"),
        ("tomorrow at four thirty", None, "tomorrow 16:30"),
        ("that works for us", "How about Friday at noon?", "Friday 12:00"),
        ("ten is fine", "Would Saturday be good?", "Saturday 10:00"),
        ("let's say Tuesday morning", None, "Tuesday morning"),
    ],
)
def test_a_meeting_is_completed_by_what_was_proposed(said: str, proposed: str | None, wanted: str) -> None:
    """The day and time agreed to are those said now, else those that the other side proposed."""
    meeting = agreed(meeting_in(said), meeting_in(proposed) if proposed else None)
    assert str(meeting) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("We're looking in Maplewood or on Chestnut Street.", ["Maplewood", "Chestnut Street"]),
        ("i live over on birch lane", ["birch lane"]),
        ("we want to stay on the north side", ["the north side"]),
        ("moving from cleveland to denver", ["cleveland", "denver"]),
        ("I was in a hurry and in good shape.", []),
        ("this is Tom, I talked to Sarah", []),
    ],
)
def test_places_are_read_as_said(text: str, wanted: list[str]) -> None:
    """Streets, towns and parts of town are found in clean and in recogniser's text; everyday phrases and people are not."""
    assert [p.name for p in places_in(text)] == wanted


def test_a_relation_is_kept_as_said() -> None:
    """Deciders carry the word that was said; a relative who only lives somewhere decides nothing."""
    assert [d.relation for d in decision_makers_in("My mom has to sign too.")] == ["mom"]
    assert decision_makers_in("My brother lives in Ohio.") == []
    assert relations_in("Dad's paying, and my sister drives.") == ["dad", "sister"]


@pytest.mark.parametrize(
    ("text", "roles"),
    [
        ("I'd be tickled with two sixty five for the farmhouse, honestly.", ["asking"]),
        ("The builder wants $489,500 and not a penny less.", ["asking"]),
        ("the cash guy said two oh five and he can close in ten days", ["offer"]),
        ("three hundred is about what we can stretch to", ["budget"]),
        ("the rent here is eighteen hundred", ["payment"]),
        ("We still owe one eighty on the loan.", [None]),
        ("They came back at four ninety but our lender only says four sixty.", ["offer", "budget"]),
    ],
)
def test_the_role_of_an_amount_follows_from_the_situation(vectors: SentenceVectors, text: str, roles: list[str | None]) -> None:
    """No key word is needed: who says which figure of which home is enough."""
    amounts = heard(vectors, text)["price_named"].values["amounts"]
    assert [a["role"] for a in amounts] == roles  # type: ignore[union-attr,index,call-overload]


def test_a_role_head_of_other_inputs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights for other inputs are said to be wrong rather than used."""
    write_checked(tmp_path / "roles.npz", labels=np.array(LABELS), weights=np.zeros((5, 3), np.float16), bias=np.zeros(5, np.float16))
    monkeypatch.setattr("intelligence.conversation.amount_roles.WEIGHTS", tmp_path / "roles.npz")
    role_head.cache_clear()
    with pytest.raises(WeightsRefused, match="train it anew"):
        role_head()
    role_head.cache_clear()
