from collections.abc import Sequence

import numpy as np
import pytest

from intelligence.conversation.places import places_in
from intelligence.conversation.qualification import QualificationSheet, Slot
from intelligence.conversation.turns import Conversation, Finding, Json, Reading, Speaker, Turn, TurnWord

_NOTHING = np.zeros((0, 384), np.float32)


def signal(label: str, **values: Json) -> Finding:
    return Finding("signal", label, "prospect", "", 0, 0, 0.9, "", "", values=values)


def amount(dollars: int, role: str | None, sure: float = 1.0) -> Finding:
    return signal("price_named", amounts=[{"usd_min": dollars, "usd_max": dollars, "role": role, "quote": "", "sure": sure}])


def say(
    sheet: QualificationSheet, text: str, speaker: Speaker = "prospect", found: Sequence[Finding] = (), sure: float | None = None
) -> None:
    words = tuple(TurnWord(w, 0, 0, sure) for w in text.split()) if sure is not None else ()
    so_far = Conversation(fresh=list(found))
    assert sheet.feed(Reading(Turn(speaker, text, words=words), (), _NOTHING), so_far) == []


def test_slots_fill_from_what_other_modules_found() -> None:
    """Findings of the same turn fill the slots, each with the words that filled it, and what is missing is known."""
    sheet = QualificationSheet()
    say(
        sheet,
        "We're moving to Denver for work.",
        found=[signal("motivation", reason="relocation"), signal("location_named", places=["Denver"], sure=1.0)],
    )
    assert sheet.slots["motivation"].value == "relocation"
    assert sheet.slots["location"].value == "Denver"
    assert sheet.slots["location"].quote == "We're moving to Denver for work."
    assert [c.slot for c in sheet.changes()] == ["motivation", "location"]
    assert sheet.changes() == []
    assert "price" in sheet.missing()


def test_a_budget_outweighs_other_amounts() -> None:
    """The newest budget is the price; a fee, a payment or an asking price named later does not replace it."""
    sheet = QualificationSheet()
    say(sheet, "They ask 450.", found=[amount(450_000, "asking")])
    say(sheet, "420 tops.", found=[amount(420_000, "budget")])
    for later in (amount(2_000, None), amount(2_100, "payment"), amount(460_000, "asking")):
        say(sheet, "Hm.", found=[later])
    assert sheet.slots["price"].value == 420_000


def test_an_amount_heard_badly_is_no_fact() -> None:
    """Below the recognition bar an amount is shown with a question mark and has no value, until it is heard well."""
    sheet = QualificationSheet()
    say(sheet, "420", found=[amount(420_000, "budget", sure=0.3)])
    assert (sheet.slots["price"].value, sheet.slots["price"].shown) == (None, "$420,000?")
    say(sheet, "420", found=[amount(420_000, "budget")])
    say(sheet, "460", found=[amount(460_000, "budget", sure=0.2)])
    assert (sheet.slots["price"].value, sheet.slots["price"].shown) == (420_000, "$420,000")


def test_a_short_answer_fills_what_was_asked() -> None:
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
def test_financing_is_read_from_speech(text: str, value: str | None) -> None:
    """How they mean to pay is told from their own words."""
    sheet = QualificationSheet()
    say(sheet, text)
    assert (sheet.slots["financing"].value if "financing" in sheet.slots else None) == value


def test_a_question_waits_for_the_right_moment() -> None:
    """Nothing is suggested in the opening nor after an objection or a question; then every missing slot, not one the agent asked for."""
    sheet = QualificationSheet()
    say(sheet, "What brings you to think about a move?", "agent")
    for _ in range(7):
        assert sheet.worth_asking() == []
        say(sheet, "Right, okay.")
    say(sheet, "How old is it?", found=[signal("question")])
    assert sheet.worth_asking() == []
    say(sheet, "Good.")
    assert sheet.worth_asking() == ["timeframe", "price", "decision_makers", "financing", "location", "agency", "appointment"]


def test_a_call_that_goes_on_keeps_its_slots() -> None:
    """A restored slot stands, and is no change."""
    sheet = QualificationSheet()
    sheet.restore(Slot("price", 420_000, "$420,000", "", "", 1.0))
    assert sheet.changes() == []
    assert "price" not in sheet.missing()


def test_where_they_live_now_is_not_where_they_want_to_be() -> None:
    """A place in the answer to "what are you moving from" is left out; one that is wished for is kept."""
    sheet = QualificationSheet()
    say(sheet, "What are you two moving from?", "agent")
    say(sheet, "A condo downtown.", found=[signal("location_named", places=["downtown"], sure=1.0)])
    assert "location" not in sheet.slots
    say(sheet, "We live in Salem.", found=[signal("location_named", places=["Salem"], sure=1.0)])
    assert "location" not in sheet.slots
    say(sheet, "We'd like to be near Bend.", found=[signal("location_named", places=["Bend"], sure=1.0)])
    assert sheet.slots["location"].value == "Bend"


def test_a_yes_takes_up_the_reason_that_was_asked_about() -> None:
    """ "Is this your first home?" and a yes is a reason; a no is none."""
    for answer, wanted in (("It is, yeah. We rent now.", "first_home"), ("No, our third.", None)):
        sheet = QualificationSheet()
        say(sheet, "Congratulations! Is this your first home?", "agent")
        say(sheet, answer)
        assert (sheet.slots["motivation"].value if "motivation" in sheet.slots else None) == wanted


def test_an_unsure_objection_is_no_fact_about_an_agent() -> None:
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
        ("Have you talked to a lender yet?", "Not really. My buddy says they want two years of something.", "financing", "not yet pre-approved"),
        ("Have you talked to a lender yet?", "I had a car repossessed in twenty twenty-two.", "financing", "credit trouble"),
        ("Who's moving with you?", "Me, my girlfriend, and the kids of course.", "decision_makers", ["girlfriend"]),
        ("", "Me, my girlfriend, and the kids of course.", "decision_makers", None),
    ],
)  # fmt: skip
def test_what_was_asked_tells_what_is_meant(question: str, text: str, slot: str, value: Json) -> None:
    """What an owner owes, how a loan stands, who comes along: only question and answer together say it."""
    sheet = QualificationSheet()
    say(sheet, question, "agent")
    say(sheet, text)
    assert (sheet.slots[slot].value if slot in sheet.slots else None) == value


@pytest.mark.parametrize(
    ("text", "home"),
    [
        ("Hi Dana, you asked about the bungalow on Sorrel Street.", "Sorrel Street"),
        ("I'm calling about the house for sale at 14 Tilden Court.", "14 Tilden Court"),
        ("Returning your message about the duplex on Ferris.", "Ferris"),
        ("This is Ana with Lane Street Realty, is now a good time?", None),
    ],
)
def test_the_home_that_the_agent_calls_about_is_the_location(text: str, home: str | None) -> None:
    """Said in the opening; a place that the prospect names stands beside it, and later streets of the agent's are other homes."""
    sheet = QualificationSheet()
    say(sheet, text, "agent")
    assert (sheet.slots["location"].value if home else sheet.slots.get("location")) == home
    for _ in range(12):
        say(sheet, "Okay.")
    say(sheet, "There's a ranch on Birch Lane as well.", "agent")
    say(sheet, "Or Elm Basin.", found=[signal("location_named", places=["Elm Basin"], sure=1.0)])
    assert sheet.slots["location"].value == (f"{home}, Elm Basin" if home else "Elm Basin")


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


def frame(said: str, days: int) -> Finding:
    return signal("timeframe_named", timeframes=[{"quote": said, "earliest_days": days, "latest_days": days, "sure": 1.0}])


def test_a_babys_date_is_not_the_moves() -> None:
    """What answers the question stands against times named in passing, and gives way to another answer."""
    sheet = QualificationSheet()
    say(sheet, "It has been three weeks.", found=[frame("three weeks", 21)])
    say(sheet, "When do you need to be in?", "agent")
    say(sheet, "By April the thirtieth.", found=[frame("April thirtieth", 59)])
    say(sheet, "The baby is due in July.", found=[frame("July", 130)])
    assert sheet.slots["timeframe"].shown == "April thirtieth"
    say(sheet, "How soon could that be?", "agent")
    say(sheet, "Or May.", found=[frame("May", 80)])
    assert sheet.slots["timeframe"].shown == "May"


def test_the_price_that_was_asked_for_counts() -> None:
    """An amount without a word of what it is for is the price when the agent asked for one; of two the later."""
    sheet = QualificationSheet()
    say(sheet, "What were you asking?", "agent")
    both = [{"usd_min": n, "usd_max": n, "role": None, "quote": "", "sure": 1.0} for n in (475_000, 460_000)]
    say(sheet, "Four seventy-five. Came down to four sixty.", found=[signal("price_named", amounts=both)])
    assert sheet.slots["price"].value == 460_000
    say(sheet, "The neighbors got five ten.", found=[amount(510_000, None)])
    assert sheet.slots["price"].value == 460_000
