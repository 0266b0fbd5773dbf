from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from intelligence.conversation.places import places_in
from intelligence.conversation.qualification import QualificationSheet, Slot
from intelligence.conversation.slot_head import WEIGHTS, slot_head
from intelligence.conversation.turns import Conversation, Finding, Json, Reading, Speaker, Turn, TurnWord, sentences_of
from voice.models.onnx import SentenceVectors
from voice.models.weights import MINILM, WeightsRefused, files_of

Say = Callable[..., None]


@pytest.fixture(scope="module")
def say() -> Say:
    """A turn, read by the real sentence model and fed to the sheet."""
    vectors = SentenceVectors(*files_of(MINILM, folder=None, cache=Path("none")))

    def said(
        sheet: QualificationSheet, text: str, speaker: Speaker = "prospect", found: Sequence[Finding] = (), sure: float | None = None
    ) -> None:
        words = tuple(TurnWord(w, 0, 0, sure) for w in text.split()) if sure is not None else ()
        so_far, sentences = Conversation(fresh=list(found), today="2026-03-02"), sentences_of(text)
        assert sheet.feed(Reading(Turn(speaker, text, words=words), sentences, vectors.embed(list(sentences))), so_far) == []

    return said


def talked(say: Say, *turns: str) -> QualificationSheet:
    """The sheet behind a talk; the agent's turns begin with ">"."""
    sheet = QualificationSheet()
    for turn in turns:
        say(sheet, turn.removeprefix("> "), "agent" if turn.startswith("> ") else "prospect")
    return sheet


@pytest.mark.parametrize(
    ("turns", "slot", "value"),
    [
        (("We're moving to Denver for work.",), "motivation", "relocation"),
        (("We're moving to Denver for work.",), "location", "Denver"),
        (("> Congratulations! Is this your first home?", "It is, yeah. We rent now."), "motivation", "first_home"),
        (("> Congratulations! Is this your first home?", "No, our third."), "motivation", None),
        (("> What's your budget?", "Four twenty, tops."), "price", 420_000),
        (("They're asking four fifty.", "Four twenty is our limit, we can't go higher than that."), "price", 420_000),
        (("Four twenty is our limit.", "> A home inspection is about six hundred."), "price", 420_000),
        (("Four twenty is our limit.", "My brother paid five ten for his place last year."), "price", 420_000),
        (("My sister paid too much in seventy-nine and she still talks about it.",), "price", None),
        (("> Who's moving with you?", "Me, my girlfriend, and the kids of course."), "decision_makers", ["girlfriend"]),
        (("> Who else is part of the decision?", "My wife. She has to see it too."), "decision_makers", ["wife"]),
        (("My sister paid too much in seventy-nine and she still talks about it.",), "decision_makers", None),
        (("> Hi Dana, you asked about the bungalow on Sorrel Street.",), "location", "Sorrel Street"),
        (("> Could Saturday at ten work for you?", "Saturday at ten works."), "appointment", "Saturday 10:00"),
        (("> Could Saturday at ten work for you?", "I have church on Sunday."), "appointment", None),
        (("> How would you pay for it?", "It would be all cash."), "financing", "cash"),
        (("> Have you talked to a lender yet?", "Yes, we're pre-approved up to four eighty."), "financing", "pre-approved"),
        (("> Are you working with an agent right now?", "No, not yet."), "agency", "none"),
    ],
)
def test_the_sheet_fills_in_from_speech(say: Say, turns: tuple[str, ...], slot: str, value: Json) -> None:
    """What belongs on it is taken, by question and answer together; what only sounds like it is not."""
    sheet = talked(say, *turns)
    assert (sheet.slots[slot].value if slot in sheet.slots else None) == value


def test_a_slot_keeps_the_words_that_filled_it(say: Say) -> None:
    """The quote stands beside the value, a change is told once, and what is missing is known."""
    sheet = talked(say, "We're moving to Denver for work.")
    assert sheet.slots["motivation"].quote == "We're moving to Denver for work."
    assert {c.slot for c in sheet.changes()} == {"motivation", "location"}
    assert sheet.changes() == []
    assert "price" in sheet.missing()


def test_a_babys_date_is_not_the_moves(say: Say) -> None:
    """What answers the question stands against times named in passing."""
    sheet = talked(say, "It has been three weeks.", "> When do you need to be in?", "By April the thirtieth.", "The baby is due in July.")
    assert sheet.slots["timeframe"].shown == "By April the thirtieth"


def test_an_amount_heard_badly_is_no_fact(say: Say) -> None:
    """Below the recognition bar an amount is shown with a question mark and has no value, until it is heard well."""
    sheet = talked(say, "> What's your budget?")
    say(sheet, "Four twenty, tops.", sure=0.3)
    assert (sheet.slots["price"].value, sheet.slots["price"].shown) == (None, "up to $420,000?")
    say(sheet, "What is the budget, did you say?", "agent")
    say(sheet, "Four twenty, tops.", sure=0.9)
    say(sheet, "And your budget?", "agent")
    say(sheet, "Four sixty, tops.", sure=0.2)
    assert (sheet.slots["price"].value, sheet.slots["price"].shown) == (420_000, "up to $420,000")


def test_two_places_stand_beside_each_other(say: Say) -> None:
    """The home that the call is about, and where they want to be."""
    sheet = talked(
        say,
        "> Hi Dana, you asked about the bungalow on Sorrel Street.",
        "Yes.",
        "> Where else would you like to be?",
        "We'd like to be near Bend.",
    )
    assert set(str(sheet.slots["location"].value).split(", ")) == {"Sorrel Street", "Bend"}


def test_a_head_that_is_not_its_own_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Other bytes than the hash names are no head."""
    broken = tmp_path / WEIGHTS.name
    broken.write_bytes(WEIGHTS.read_bytes()[:-1] + b"x")
    broken.with_suffix(".sha256").write_text(WEIGHTS.with_suffix(".sha256").read_text())
    monkeypatch.setattr("intelligence.conversation.slot_head.WEIGHTS", broken)
    slot_head.cache_clear()
    with pytest.raises(WeightsRefused, match="check it out again"):
        slot_head()
    slot_head.cache_clear()


def test_a_short_answer_fills_what_was_asked(say: Say) -> None:
    """ "No." to the agent's question about another agent says that there is none; without the question it says nothing."""
    sheet = QualificationSheet()
    say(sheet, "No.")
    assert sheet.slots == {}
    say(sheet, "Are you working with an agent right now?", "agent")
    say(sheet, "No, not yet.")
    assert sheet.slots["agency"].value == "none"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Yeah, we're pre-approved through our credit union.", "pre-approved"),
        ("We haven't talked to a lender yet.", "not yet pre-approved"),
        ("It would be all cash.", "cash"),
        ("We'd have to sell our house first.", "must sell first"),
        ("I can't buy anything until that one's sold.", "must sell first"),
        ("There's a letter from our bank, good through May.", "pre-approved"),
        ("Twenty percent down, and the bank does the rest.", "a down payment"),
        ("The letter carrier leaves it on the porch.", None),
    ],
)
def test_financing_is_read_from_speech(say: Say, text: str, value: str | None) -> None:
    """How they mean to pay is told from their own words."""
    sheet = QualificationSheet()
    say(sheet, text)
    assert (sheet.slots["financing"].value if "financing" in sheet.slots else None) == value


def test_a_question_waits_for_the_right_moment(say: Say) -> None:
    """Nothing is suggested in the opening nor after an objection or a question; then every missing slot, not one the agent asked for."""
    sheet = QualificationSheet()
    say(sheet, "What brings you to think about a move?", "agent")
    for _ in range(7):
        assert sheet.worth_asking() == []
        say(sheet, "Right, okay.")
    say(sheet, "How old is it?", found=[Finding("signal", "question", "prospect", "", 0, 0, 0.9, "", "")])
    assert sheet.worth_asking() == []
    say(sheet, "Good.")
    assert sheet.worth_asking() == ["timeframe", "price", "decision_makers", "financing", "location", "agency", "appointment"]


def test_a_call_that_goes_on_keeps_its_slots() -> None:
    """A restored slot stands, and is no change."""
    sheet = QualificationSheet()
    sheet.restore(Slot("price", 420_000, "$420,000", "", "", 1.0))
    assert sheet.changes() == []
    assert "price" not in sheet.missing()


def test_the_places_of_a_call_that_goes_on_stand_beside_new_ones(say: Say) -> None:
    """What was known before the break is not thrown away by the next street that somebody names."""
    sheet = QualificationSheet()
    sheet.restore(Slot("location", "Sorrel Street, Bend", "Sorrel Street, Bend", "", "", 1.0))
    say(sheet, "We also drove through Elm Basin on Sunday.")
    assert {"Sorrel Street", "Bend", "Elm Basin"} == set(str(sheet.slots["location"].value).split(", "))


def test_an_unsure_objection_is_no_fact_about_an_agent(say: Say) -> None:
    """Only a sure "has an agent" fills the sheet."""
    for confidence, filled in ((0.7, False), (0.95, True)):
        sheet = QualificationSheet()
        say(sheet, "A fella on TV does it.", found=[Finding("objection", "has_agent", "prospect", "", 0, 0, confidence, "", "")])
        assert ("agency" in sheet.slots) is filled


@pytest.mark.parametrize(
    ("question", "text", "slot", "value"),
    [
        ("Is there anything still owed on the house?", "No, Frank took care of that years ago, with the bonus from the plant.", "financing", None),
        ("Is there anything still owed on the house?", "No. Frank took care of that years ago, with the bonus from the plant.", "financing", "paid off"),
        ("Do you have a mortgage on it?", "We paid it off in 2014, the year that Frank stopped working.", "financing", "paid off"),
        ("And what do you owe on it, roughly?", "It was ninety thousand. No, eighty-two thousand.", "financing", "owes $82,000"),
        ("And what do you owe on it, roughly?", "About a hundred and ninety thousand. Paid 268,000 for it back in 2011.", "financing", "owes $190,000"),
        ("You're not signed with anybody else, right?", "Nope, not signed with anybody.", "agency", "none"),
        ("Okay.", "We haven't signed with anyone.", "agency", "none"),
        ("Have you talked to a lender yet?", "Not really. My buddy says they want two years of something.", "financing", "not yet pre-approved"),
        ("Have you talked to a lender yet?", "I had a car repossessed in twenty twenty-two.", "financing", "credit trouble"),
    ],
)  # fmt: skip
def test_what_was_asked_tells_what_is_meant(say: Say, question: str, text: str, slot: str, value: Json) -> None:
    """What an owner owes, how a loan stands, who comes along: only question and answer together say it."""
    sheet = QualificationSheet()
    say(sheet, question, "agent")
    say(sheet, text)
    assert (sheet.slots[slot].value if slot in sheet.slots else None) == value


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("You'd have to get it past Samira.", []),
        ("It's my uncle's old place, and Peg next door knows the roof.", []),
        ("There were seventeen of them at the computer.", []),
        ("We've looked in Elm Basin, mostly.", ["Elm Basin"]),
        ("we looked at a house in larkfield", ["larkfield"]),
    ],
)
def test_people_and_everyday_words_are_no_places(text: str, places: list[str]) -> None:
    """One name alone that acts is a person's; where names are written with capitals a word without one is none."""
    assert [p.name for p in places_in(text)] == places
