"""What became of a card, judged by words; what earlier calls teach."""

import pytest

from coaching.events import AnyEvent, Card, Logged, SuggestionChanged, SuggestionShown
from coaching.uptake import Tally, Uptake, content, learnt, said
from intelligence.conversation.turns import Conversation, Reading, Turn
from tests.scripted_call import Cued, Stage, prospect, read_out

SAY = "What would you want an agent to do for that fee? Let's start there."


def card(say: str = SAY, quote: str = "") -> Card:
    return Card(id="k1", moment="objection", kind="objection_response", label="commission", title="t", say=say, why="w", quote=quote)


def logged(*events: AnyEvent) -> list[Logged]:
    return [Logged(call="c", n=n, at=0.0, event=event) for n, event in enumerate(events, 1)]


@pytest.mark.parametrize(
    ("text", "used"),
    [
        ("So what would you want an agent to do for that fee?", True),
        ("Okay. For that fee, what do you want your agent to do, where shall we start?", True),
        ("Our fee is the same for everybody.", False),
        ("What would you say about Sunday?", False),
        ("", False),
    ],
)
def test_a_card_is_said_in_its_own_or_other_words(text: str, used: bool) -> None:
    """Most of its content words or a run of its words make a use; a shared word or two do not."""
    assert bool(said(card(), text)) is used


def test_the_prospects_own_words_are_no_use() -> None:
    """An agent who only takes up what the prospect said has not said the card."""
    shared = card("The fee pays for photos and the whole listing agreement.", "The fee in your listing agreement is for what, photos?")
    assert said(shared, "The fee in the listing agreement, yes, photos.") == ""


def test_words_that_come_too_late_are_no_use() -> None:
    """Half a minute later the agent answers something else."""
    uptake = Uptake()
    uptake.shown(card(), SAY, 0)
    assert uptake.agent_turn(SAY, 40_000, 40_000) == []


def test_inflection_does_not_matter() -> None:
    """Compared, comparing and compare are one word."""
    assert content("comparing them") == content("compared") == content("compares")


def test_one_lucky_call_decides_nothing() -> None:
    """A saying that helped once is not worth more than one that helps again and again."""
    assert Tally(shown=1, used=1, helpful=1).worth() < Tally(shown=20, used=18, helpful=17).worth()
    assert Tally(shown=10, ignored=10).worth() < Tally().worth()


def test_earlier_calls_teach_by_their_logs() -> None:
    """Shown, used and helpful are counted for each saying, fitted or not; thumbs and unknown cards count nothing."""
    fitted = "What will your {relation} want to know?"
    events = logged(
        SuggestionShown(card=card()),
        SuggestionChanged(card="k1", change="used"),
        SuggestionChanged(card="k1", change="thumbs_up"),
        SuggestionShown(card=card("What will your wife want to know?").model_copy(update={"id": "k2"})),
        SuggestionChanged(card="k2", change="used"),
        SuggestionChanged(card="k2", change="helpful"),
        SuggestionShown(card=card("Something that Claude wrote.").model_copy(update={"id": "k3"})),
        SuggestionChanged(card="k3", change="used"),
    )
    assert learnt(events, [SAY, fitted, "Never shown."]) == {
        SAY: Tally(shown=1, used=1),
        fitted: Tally(shown=1, used=1, helpful=1),
        "Never shown.": Tally(),
    }


async def test_a_call_teaches_the_next_one() -> None:
    """The saying that was used in one call is offered first in the next."""
    stage = Stage([Cued({"your fee": ("objection", "commission")})])
    first = await read_out([prospect("I have a problem with your fee.")], stage)
    offered = [e.event.card.say for e in first.log.events if isinstance(e.event, SuggestionShown)]
    answer = next(a for a in stage.playbook.objections["commission"].say if a.when == "" and a.text not in offered)
    past = learnt(
        logged(*[SuggestionShown(card=card(answer.text)), *[SuggestionChanged(card="k1", change=c) for c in ("used", "helpful")]]),
        stage.playbook.sayings(),
    )
    coach = stage.policy()
    coach.learn(past)
    finding = Cued({"fee": ("objection", "commission")})
    turn = Turn("prospect", "the fee", 0, 900, "p0")
    found = finding.feed(Reading(turn, ("the fee",), await stage.embed(["the fee"])), Conversation())
    (event,) = coach.feed(found, {}, 1000)
    assert isinstance(event, SuggestionShown)
    assert event.card.say == answer.text
