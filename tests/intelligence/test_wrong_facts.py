"""What the agent gives back wrongly, beside what only resembles it."""

import pytest

from intelligence.conversation.turns import Conversation, Speaker, Turn
from intelligence.conversation.wrong_facts import NamedFacts


class Talk:
    """Turns one after the other on Monday, 2 March 2026."""

    def __init__(self) -> None:
        self.facts, self.so_far, self.now = NamedFacts(), Conversation(today="2026-03-02"), 0

    def said(self, speaker: Speaker, text: str) -> None:
        self.so_far.add(Turn(speaker, text, self.now, self.now + 900, f"{speaker[0]}{self.now}"), [])
        self.now += 1000

    def wrong(self, text: str) -> str:
        """Why the agent's words are wrong; "" when nothing is claimed."""
        found = self.facts.wrong(Turn("agent", text, self.now, self.now + 900), self.so_far)
        return "" if found is None else found.why


@pytest.mark.parametrize(
    ("heard", "given_back", "right"),
    [
        ("We'd go up to four thirty-five, that's the budget.", "So you said four fifty-three is the budget.", "$435,000"),
        ("They want 198,000 for it.", "And I'll set their price of 189,000 beside it.", "$198,000"),
        ("We need three bedrooms for the kids.", "Great. So two bedrooms, in Elmwood.", "three bedrooms"),
        ("I start the job in August.", "Since you start in October we have time.", "August"),
        ("I start on April 2nd.", "So you start on April 12th.", "April 2nd"),
        ("My son Kevin has to see it.", "I'll see you and your son Brian there.", "Kevin"),
        ("It's 12 Stannard Avenue.", "I'll meet you on Stannard Street.", "Stannard Avenue"),
        ("We owe two ninety-one on it.", "Let me read that back. You owe two nineteen.", "$291,000"),
        ("Three ten at the most.", "Fine, and the three sixty we talked about is the top.", "$310,000"),
        ("My lease is up the end of October.", "So, three bed, boat room, lease up end of November.", "October"),
        ("It closes the twentieth of May.", "Then May twenty-fifth is your closing.", "the twentieth of May"),
        ("He comes the twenty-sixth.", "So your son's in on the twenty-eighth.", "twenty-sixth"),
        ("We'd put twenty-five percent down.", "So, twenty percent down, close by year end.", "twenty-five percent"),
    ],
)
def test_what_was_said_is_given_back_wrongly(heard: str, given_back: str, right: str) -> None:
    """The card names what was said; the same words with the right value say nothing, nor does the value when nobody named a rival."""
    talk = Talk()
    assert talk.wrong(given_back) == ""
    talk.said("prospect", heard)
    assert f"“{right}” was said" in talk.wrong(given_back)
    talk.said("prospect", given_back)  # now somebody has named it
    assert talk.wrong(given_back) == ""


def test_a_bare_number_behind_a_question() -> None:
    """ "Four." is a number of bedrooms when these were asked for, and nothing else otherwise."""
    for asked, why in (("How many bedrooms do you need?", "“four bedrooms” was said, not “three-bedroom”"), ("How many kids?", "")):
        talk = Talk()
        talk.said("agent", asked)
        talk.said("prospect", "Four.")
        assert talk.wrong("So, a three-bedroom for you, that's the search.") == why


def test_tomorrow_is_another_day() -> None:
    """On March 2nd tomorrow is the 3rd."""
    assert Talk().wrong("Wednesday at five. That's tomorrow, the 4th.") == "tomorrow is March 3"
    assert Talk().wrong("That's tomorrow, the 3rd.") == ""


def test_who_had_said_it() -> None:
    """An earlier figure of the agent's own is not put into the prospect's mouth."""
    for speaker, says in (("prospect", "you said $435,000"), ("agent", "it was $435,000 before")):
        talk = Talk()
        talk.said(speaker, "They would go up to four thirty-five.")  # type: ignore[arg-type]  # both are speakers
        found = talk.facts.wrong(Turn("agent", "So that's four fifty-three, right.", talk.now, talk.now + 900), talk.so_far)
        assert found is not None
        assert says in found.say


@pytest.mark.parametrize(
    ("heard", "harmless"),
    [
        ("We'd go up to four thirty-five, that's the budget.", "There's one on Hill Road that went for four fifty-three."),
        ("We'd go up to four thirty-five, that's the budget.", "You said four fifty-three, no, sorry, four thirty-five."),
        ("We need three bedrooms for the kids.", "Good. That one's a two-bedroom with an office."),
        ("I start the job in August.", "If we list in May we could close in June."),
        ("My son Kevin has to see it.", "My son Brian plays ball there."),
        ("It's 12 Stannard Avenue.", "That's two blocks from Miller Street."),
        ("We need four bedrooms.", "Three-bedrooms over there take about fourteen days."),
        ("We'd put twenty-five percent down.", "So would twenty percent be easier?"),
    ],
)
def test_another_value_of_something_else(heard: str, harmless: str) -> None:
    """Another home's price, a plan of the agent's, a slip that the agent corrects at once: nothing is claimed."""
    talk = Talk()
    talk.said("prospect", heard)
    assert talk.wrong(harmless) == ""


@pytest.mark.parametrize(
    ("given_back", "why"),
    [
        ("Great, so Thursday at two, at the house.", "“Tuesday” was said, not “Thursday”"),
        ("Great, so Tuesday at three, at the house.", "“at two” was said, not “at three”"),
        ("Great, so Tuesday at two, at the house.", ""),
        ("How about Thursday at two instead?", ""),
        ("Great. I'll call you on Thursday to confirm.", ""),
    ],
)
def test_the_day_and_hour_of_a_meeting(given_back: str, why: str) -> None:
    """Only when both have named one day and hour, and only what gives it back."""
    talk = Talk()
    talk.said("agent", "Would Tuesday at two work?")
    assert talk.wrong("Great, so Thursday at two, at the house.") == ""  # nobody has agreed yet
    talk.said("prospect", "Tuesday at two is fine.")
    assert talk.wrong(given_back) == why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Friday the seventh, at six.", "March 7 is a Saturday, not a Friday"),
        ("Saturday the seventh, at six.", ""),
        ("That's Sunday, April fifth.", ""),
        ("How about Sunday, that's the sixth?", "March 6 is a Friday, not a Sunday"),
        ("Memorial Day, that's the eighteenth.", "Memorial Day is May 25"),
        ("Memorial Day is May twenty-fifth.", ""),
        ("The first thing on Friday, the second floor is dry.", ""),
    ],
)
def test_the_calendar(text: str, why: str) -> None:
    """A weekday that is not that date, a holiday that is another day."""
    assert Talk().wrong(text) == why


def test_a_conversation_that_is_taken_up_again_is_read_whole() -> None:
    """Facts are read from the turns of the conversation, also of those before a break."""
    talk = Talk()
    talk.said("prospect", "We need three bedrooms for the kids.")
    talk.facts = NamedFacts()
    assert "three bedrooms" in talk.wrong("Great. So two bedrooms, in Elmwood.")
