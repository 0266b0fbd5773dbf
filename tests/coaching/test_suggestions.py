"""Few cards, well timed: the attention budget, priority, expiry, what is taken back, and what becomes of a card."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coaching.events import SuggestionShown
from coaching.experiments import preferred
from coaching.pacing import UNPACED
from coaching.playbook import Policy, load
from coaching.suggestions import Changes, SuggestionPolicy
from coaching.uptake import Tally
from intelligence.conversation.turns import Family, Finding, Json, Turn
from tests.scripted_call import Cued, Reader, Stage, agent, changes, prospect, read_out, shown, silence, times

CUES: dict[str, tuple[Family, str]] = {
    "too much money": ("objection", "price"),
    "rates are crazy": ("objection", "market"),
    "talk to my wife": ("objection", "decision_maker"),
    "scared": ("signal", "stress"),
    "safe": ("signal", "protected_question"),
    "never lose money": ("compliance", "guarantee"),
    "stop calling": ("signal", "do_not_call"),
}
VALUES: dict[str, dict[str, Json]] = {
    "protected_question": {"answer": "That's yours to judge; the police publish a map."},
    "guarantee": {"rephrase": "Nobody can promise that. Here is what sold."},
}
FILLER = "We were there on the weekend and looked at all of it."
ANSWER = "If the price were right, would this be the one for you then?"


def stage(**more: object) -> Stage:
    return dataclasses.replace(Stage(detectors=[Cued(CUES, values=VALUES)]), **more)  # type: ignore[arg-type]  # fields of Stage


def finding(
    label: str, at_ms: int = 0, *, family: Family = "objection", confidence: float = 0.9, utterance: str = "", partial: bool = False
) -> Finding:
    return Finding(
        family, label, "agent" if family == "compliance" else "prospect", "as they said it on the telephone", at_ms, at_ms + 900, confidence, "why", "rule/1",
        utterance=utterance or f"p{at_ms}", partial=partial, values=VALUES.get(label, {}),
    )  # fmt: skip


def policy(**more: object) -> SuggestionPolicy:
    playbook = load()
    return SuggestionPolicy(lambda: playbook, lambda _: None, **more)  # type: ignore[arg-type]  # fields of the policy


def labels(events: Changes) -> list[str]:
    return [e.card.label for e in events if isinstance(e, SuggestionShown)]


async def test_an_objection_raises_one_card_with_its_words() -> None:
    """The card quotes the prospect and traces to the finding in the log."""
    reader = await read_out([prospect("That is too much money for a townhouse.")], stage())
    (card,) = shown(reader.log.events)
    assert (card.kind, card.label, card.quote_speaker) == ("objection_response", "price", "prospect")
    assert "too much money" in card.quote
    assert card.rule == "scene/1"
    assert len(card.say.split()) <= 20


async def test_small_talk_raises_nothing() -> None:
    """The coach is silent when nothing asks for a glance."""
    reader = await read_out(
        [agent("Hi Marcus, how was the weekend?"), prospect("Good, thanks. We were at the lake."), silence(5000)], stage()
    )
    assert shown(reader.log.events) == []


async def test_one_card_a_minute() -> None:
    """The second objection within the minute raises no card."""
    script = [prospect("That is too much money."), silence(8000), prospect("And the rates are crazy now."), silence(30_000)]
    reader = await read_out(script, stage())
    assert [c.label for c in shown(reader.log.events)] == ["price"]


async def test_after_the_minute_the_next_card_comes() -> None:
    """An objection a minute later has its card."""
    script = [prospect("That is too much money."), silence(70_000), prospect("And the rates are crazy now."), silence(1000)]
    reader = await read_out(script, stage())
    assert [c.label for c in shown(reader.log.events)] == ["price", "market"]


async def test_compliance_is_never_held_back() -> None:
    """A slip and a trap come up within the minute and while the agent speaks."""
    script = [
        prospect("That is too much money."),
        agent("Well, houses there never lose money, that is what I keep telling everybody"),
        prospect("Okay. Is it safe around there?"),
    ]
    reader = await read_out(script, stage())
    assert [c.moment for c in shown(reader.log.events)] == ["objection", "slip", "trap_question"]


async def test_a_trap_is_up_before_the_agents_first_word() -> None:
    """The neutral answer stands when the question ends at the latest."""
    script = [
        prospect("And is it a safe place at night for us to walk around with the dog?"),
        agent("Well, you see, that is a good question."),
    ]
    reader = await read_out(script, stage())
    starts = [line.start_ms for line in reader.state.transcript() if line.speaker == "agent"]
    assert times(reader.log.events)[0] <= starts[0]


async def test_no_card_in_the_agents_mid_sentence() -> None:
    """A card for words spoken into the agent's sentence waits for its end."""
    long = agent("So what we usually do is we walk through the house first and then we look at all the numbers.")
    script = [long, prospect("That is too much money.", overlaps=6000), silence(3000)]
    reader = await read_out(script, stage(), partials=True)
    end = max(line.end_ms for line in reader.state.transcript() if line.speaker == "agent")
    assert times(reader.log.events)
    assert times(reader.log.events)[0] >= end


def test_sound_without_words_does_not_silence_the_coach() -> None:
    """An utterance of the agent's that stays open without new words (typing, bleed, hold music) holds no card back."""
    coach = policy()
    coach.agent_said(1000, open_=True, text="so let me see")
    assert labels(coach.feed([finding("price", 1500)], {}, 2000)) == []
    assert labels(coach.tick(2400)) == ["price"]


def test_a_back_channel_is_no_sentence() -> None:
    """ "Mm-hm, right" while the prospect talks holds no card back."""
    coach = policy()
    coach.agent_said(1900, open_=True, text="Mm-hm, right")
    assert labels(coach.feed([finding("price", 1500)], {}, 2000)) == ["price"]


def test_what_weighs_more_goes_first() -> None:
    """Of two findings in one turn the objection has the card, whatever their order."""
    assert labels(policy().feed([finding("stress", 0, family="signal", confidence=0.99), finding("price", 0)], {}, 1000)) == ["price"]


def test_one_card_for_one_thing() -> None:
    """Partial and final of the same objection raise one card."""
    coach = policy(paced=False)
    first = coach.feed([finding("price", 0, utterance="p0", partial=True)], {}, 900)
    assert labels(
        [
            *first,
            *coach.retract("p0", [finding("price", 0, utterance="p0")], 1500),
            *coach.feed([finding("price", 0, utterance="p0")], {}, 1500),
        ]
    ) == ["price"]


def test_two_slips_in_two_turns_are_two_cards() -> None:
    """The cooldown of a label does not hide the second slip."""
    coach = policy()
    first = coach.feed([finding("guarantee", 0, family="compliance", utterance="a0")], {}, 1000)
    assert (
        labels([*first, *coach.feed([finding("guarantee", 9000, family="compliance", utterance="a9000")], {}, 10_000)]) == ["guarantee"] * 2
    )


def test_the_same_objection_again_waits_for_its_cooldown() -> None:
    """With a looser budget the cooldown still holds the same label back."""
    loose = load().model_copy(update={"policy": Policy(cards_per_minute=10, cooldown_s=45)})
    coach = SuggestionPolicy(lambda: loose, lambda _: None)
    shown_at = [t for t in (0, 20_000, 50_000) if labels(coach.feed([finding("price", t)], {}, t))]
    assert shown_at == [0, 50_000]


def test_a_moment_of_once_comes_once() -> None:
    """What the playbook says once is shown once per call."""
    coach = policy(paced=False)
    seen = [labels(coach.feed([finding("market_named", t, family="moment")], {}, t)) for t in (0, 300_000)]
    assert seen == [["market_named"], []]


def test_an_unsure_finding_raises_nothing() -> None:
    """Below the playbook's confidence there is no card, and half a sentence must be surer."""
    assert labels(policy().feed([finding("price", confidence=0.54)], {}, 0)) == []
    assert labels(policy().feed([finding("price", confidence=0.65, partial=True)], {}, 0)) == []


def test_a_card_that_waited_too_long_is_dropped() -> None:
    """A card for words long gone does not come up when the agent pauses at last."""
    coach = policy()
    coach.agent_said(900, open_=True, text="so what I wanted to say is")
    coach.feed([finding("price", 0)], {}, 1000)
    for at in range(1000, 20_000, 500):
        coach.agent_said(at, open_=True, text="so what I wanted to say is this and more")
        coach.tick(at)
    coach.agent_said(20_000, open_=False, text="and that was it.")
    assert labels(coach.tick(20_500)) == []


def test_a_card_expires_by_folding() -> None:
    """An unanswered card says that it expired, once."""
    coach = policy()
    coach.feed([finding("price")], {}, 0)
    events = [e for t in range(1000, 90_000, 1000) for e in coach.tick(t)]
    assert [getattr(e, "change", "") for e in events] == ["expired"]


def test_a_card_from_half_a_sentence_is_taken_back() -> None:
    """When the rest of the sentence turns it round, the card greys instead of going away."""
    coach = policy()
    coach.feed([finding("price", utterance="p0", partial=True)], {}, 500)
    assert [e.change for e in coach.retract("p0", [], 2000)] == ["taken_back"]
    assert coach.retract("p0", [], 2500) == []


def test_a_confirmed_card_stays() -> None:
    """When the final agrees, nothing happens to the card."""
    coach = policy()
    coach.feed([finding("price", utterance="p0", partial=True)], {}, 500)
    assert coach.retract("p0", [finding("price", 0, utterance="p0")], 2000) == []
    assert [c.label for c in coach.open_cards()] == ["price"]


@pytest.mark.parametrize(("chance", "changes"), [(0.1, ["taken_back"]), (0.6, [])])
def test_a_card_that_the_whole_turn_makes_unlikely_is_taken_back(chance: float, changes: list[str]) -> None:
    """The sentence still sounds like an objection; behind what the agent said, whole, it is hardly one."""
    coach = policy()
    coach.feed([finding("price", utterance="p0", partial=True)], {}, 500)
    whole = dataclasses.replace(finding("price", utterance="p0"), values={"chance": chance, "in_context": True})
    assert [e.change for e in coach.retract("p0", [whole], 2000)] == changes


async def test_do_not_call_closes_politely() -> None:
    """A request not to be called has its card at once, within any budget."""
    reader = await read_out([prospect("That is too much money."), prospect("And please stop calling me here.")], stage())
    assert [c.moment for c in shown(reader.log.events)] == ["objection", "do_not_call"]


def test_nobody_asks_for_a_time_that_was_just_named() -> None:
    """A buying signal behind an agreed meeting raises no card that asks for one."""
    coach = policy()
    coach.filled("appointment", "Sunday 14:00", 50_000)
    assert labels(coach.feed([finding("buying_interest", 60_000, family="signal")], {}, 61_000)) == []
    assert labels(coach.feed([finding("buying_interest", 200_000, family="signal")], {}, 201_000)) == ["buying_interest"]


async def test_an_unfinished_phrase_raises_no_objection_card() -> None:
    """ "I do not pay too much money and" may turn round; the card waits for the next words."""
    said = prospect("I think that is too much money and we will never ever sign it.")
    reader = await read_out([said], stage())
    heard = said.text.split().index("and") + 1
    assert times(reader.log.events)[0] > 500 + heard * 375


# ---- light cards never take the place of weighty ones


async def test_an_objection_is_not_blocked_by_a_question_before_it() -> None:
    """In a flowing conversation no missing question is shown, so the objection a second later has its card."""
    script = [prospect(FILLER), agent("I see, thank you for telling me that.")] * 8 + [
        prospect(FILLER),
        prospect("But that is too much money."),
    ]
    reader = await read_out(script, stage())
    assert [c.moment for c in shown(reader.log.events)] == ["objection"]


async def test_a_missing_question_needs_a_pause() -> None:
    """When nobody says a word and the sheet is stuck, the next question comes up."""
    script = [prospect(FILLER), agent("I see, thank you for telling me that.")] * 6 + [prospect(FILLER), silence(5000)]
    reader = await read_out(script, stage())
    assert [c.kind for c in shown(reader.log.events)] == ["missing_question"]
    lines = reader.state.transcript()
    assert times(reader.log.events)[0] >= lines[-1].end_ms + 2500


async def test_no_question_while_the_prospects_own_is_open() -> None:
    """After the prospect's question the agent has something to answer."""
    script = [prospect(FILLER), agent("I see, thank you for telling me that.")] * 6 + [
        prospect("And how do we go on from here?"),
        silence(5000),
    ]
    assert shown((await read_out(script, stage())).log.events) == []


async def test_no_question_behind_an_objection() -> None:
    """Shortly after an objection the sheet can wait."""
    script = [prospect(FILLER), agent("I see, thank you for telling me that.")] * 6
    script += [prospect("That is too much money."), agent("I hear you."), prospect(FILLER), silence(5000)]
    assert [c.moment for c in shown((await read_out(script, stage())).log.events)] == ["objection"]


def test_thinking_aloud_only_for_an_agent_who_broke_in() -> None:
    """ "Let them talk" is for somebody who did not, in this call."""
    quiet = Finding("moment", "thinking_aloud", "prospect", "um, well", 0, 900, 0.8, "w", "r", utterance="p0", values={"agent_broke_in": 0})
    assert labels(policy().feed([quiet], {}, 70_000)) == []
    assert labels(policy().feed([dataclasses.replace(quiet, values={"agent_broke_in": 1})], {}, 70_000)) == ["thinking_aloud"]


# ---- invariants


@settings(deadline=None, max_examples=80)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 20_000),
            st.sampled_from([*CUES.values(), ("moment", "market_named"), ("signal", "buying_interest"), ("objection", "stall")]),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_the_budget_holds_whatever_is_found(found: list[tuple[int, tuple[Family, str], bool]]) -> None:
    """In no minute more than one card, in no ten minutes more than six, compliance apart, and none in mid-sentence."""
    coach, now = policy(), 0
    came: list[int] = []
    for pause, (family, label), agent_speaks in found:
        now += pause
        coach.agent_said(now, open_=agent_speaks, text="so this is what I say")
        events = coach.feed([finding(label, now, family=family)], {}, now)
        paced = [e.card.moment for e in events if isinstance(e, SuggestionShown) and e.card.moment not in UNPACED]
        assert not (agent_speaks and paced)
        came += [now] * len(paced)
    assert all(sum(1 for t in came if start <= t < start + 60_000) <= 1 for start in came)
    assert all(sum(1 for t in came if start <= t < start + 600_000) <= 6 for start in came)


# ---- what becomes of a card


async def test_a_card_is_used_when_the_agent_says_it() -> None:
    """The agent's next words, not a click, make a card used; moving on makes it helpful."""
    script = [
        prospect("That is too much money."),
        agent(ANSWER),
        prospect("Yes, it would be, we love the kitchen."),
        agent("Good to hear that from the both of you."),
    ]
    reader = await read_out(script, stage())
    assert changes(reader.log.events) == [("k1", "used"), ("k1", "helpful")]


async def test_other_words_are_no_use() -> None:
    """An agent who says something else has not used the card."""
    reader = await read_out([prospect("That is too much money."), agent("The kitchen was redone only last year, you know.")], stage())
    assert changes(reader.log.events) == []


async def test_the_same_objection_again_is_no_help() -> None:
    """A used card does not count as helpful when the prospect repeats the objection."""
    script = [prospect("That is too much money."), agent(ANSWER), prospect("No, it is still too much money for us."), prospect(FILLER)]
    assert changes((await read_out(script, stage())).log.events) == [("k1", "used")]


async def test_a_thumb_is_no_use() -> None:
    """What the agent clicks changes nothing about used and helpful."""
    reader = await read_out([prospect("That is too much money.")], stage())
    coach = reader.advising._suggestions
    coach.answered("k1", "thumbs_up")
    assert [c.id for c in coach.open_cards()] == ["k1"]


def test_a_saying_ignored_twice_is_not_offered_again() -> None:
    """The coach learns within the call which words this agent does not say."""
    loose = load().model_copy(update={"policy": Policy(cards_per_minute=20, cards_per_ten_minutes=100, cooldown_s=0)})
    coach = SuggestionPolicy(lambda: loose, lambda _: None)
    said: list[str] = []
    for at in range(0, 1_600_000, 40_000):
        said += [e.card.say for e in coach.feed([finding("trust", at)], {}, at) if isinstance(e, SuggestionShown)]
        for n in (1, 2):
            turn = Turn("agent", "The weather has been lovely around here lately.", at + n * 1000, at + n * 1000 + 900)
            coach.answered_by(turn, [], at + n * 2000)
    assert said
    assert all(said.count(words) <= 2 for words in set(said))
    assert len(set(said)) == len(load().objections["trust"].say)


def test_what_helped_in_earlier_calls_is_offered_first() -> None:
    """Across calls the saying that was used and helped comes before the others."""
    last = load().objections["trust"].say[-1].text
    coach = policy()
    coach.learn({last: Tally(shown=10, used=8, helpful=7)})
    (event,) = coach.feed([finding("trust")], {}, 0)
    assert isinstance(event, SuggestionShown)
    assert event.card.say == last


# ---- words fitted, guarded and within the rules


def test_a_saying_is_fitted_to_the_person() -> None:
    """What the sheet knows stands in the sentence; a slot that is unknown or unsure is never shown."""
    coach = policy()
    coach.filled("decision_makers", "wife", 0)
    (event,) = coach.feed([finding("decision_maker")], {}, 1000)
    assert isinstance(event, SuggestionShown)
    assert "your wife" in event.card.say
    unsure = policy()
    unsure.filled("decision_makers", "wife?", 0)
    (event,) = unsure.feed([finding("decision_maker")], {}, 1000)
    assert isinstance(event, SuggestionShown)
    assert "wife" not in event.card.say
    assert "{" not in event.card.say


def test_a_seller_hears_no_sentence_for_buyers() -> None:
    """The side of the table is heard from what both say."""
    coach = policy()
    coach.heard_turn(Turn("prospect", "We want to sell our house this summer."))
    buyers = {s.text for s in load().objections["price"].say if s.when == "buyer"}
    sellers = {s.text for s in load().objections["price"].say if s.when == "seller"}
    seen = set()
    for at in range(0, 20 * 61_000, 61_000):
        seen |= {e.card.say for e in coach.feed([finding("price", at)], {}, at) if isinstance(e, SuggestionShown)}
    assert seen & sellers
    assert not seen & buyers


def test_a_figure_without_a_source_is_not_shown() -> None:
    """A detector's sentence with a number that nobody said is held back until somebody does."""
    wrong = Finding(
        "moment", "wrong_fact", "agent", "q", 0, 900, 0.9, "w", "r", utterance="a0", values={"say": "You said $420,000, is that right?"}
    )
    coach = policy()
    assert labels(coach.feed([wrong], {}, 1000)) == []
    coach.heard_turn(Turn("prospect", "Four hundred and twenty thousand at most."))
    assert labels(coach.feed([wrong], {}, 2000)) == ["wrong_fact"]


def test_the_calendar_is_a_source() -> None:
    """Nobody named the right date; the calendar holds it."""
    values = {"say": "Sorry, let me check the calendar: March 7 is a Saturday.", "source": "calendar"}
    wrong = Finding("moment", "wrong_fact", "agent", "q", 0, 900, 0.9, "w", "r", utterance="a0", values=values)
    assert labels(policy().feed([wrong], {}, 1000)) == ["wrong_fact"]


def test_a_card_that_breaks_a_rule_is_not_shown() -> None:
    """Our own words obey our own rules, after their slots are filled as well."""
    playbook = load()
    coach = SuggestionPolicy(lambda: playbook, lambda words: "rule/x" if "wife" in words else None)
    coach.filled("decision_makers", "wife", 0)
    (event,) = coach.feed([finding("decision_maker")], {}, 1000)
    assert isinstance(event, SuggestionShown)
    assert "wife" not in event.card.say


async def test_a_call_that_goes_on_keeps_its_budget() -> None:
    """After a restart the cards shown count, and no card has the name of an older one."""
    before = await read_out([prospect("That is too much money.")], stage())
    again = Reader(stage())
    again.advising.remember(before.state)
    again.log.events += before.log.events
    coach = again.advising._suggestions
    assert labels(coach.feed([finding("market", 20_000)], {}, 20_000)) == []
    (event,) = [e for e in coach.feed([finding("market", 80_000)], {}, 80_000) if isinstance(e, SuggestionShown)]
    assert event.card.id != "k1"


def test_a_strategy_chooses_among_the_sayings_and_nothing_else() -> None:
    """With a strategy the same card comes at the same time, with words that suit the strategy."""
    plain, asking = policy(), policy(strategy="ask_first")
    (one,) = [e.card for e in plain.feed([finding("stall")], {}, 1000) if isinstance(e, SuggestionShown)]
    (other,) = [e.card for e in asking.feed([finding("stall")], {}, 1000) if isinstance(e, SuggestionShown)]
    assert one.model_copy(update={"say": ""}) == other.model_copy(update={"say": ""})
    assert other.say in preferred([s.text for s in load().objections["stall"].say], "ask_first")


def test_a_strategy_leaves_compliance_alone() -> None:
    """What a detector says in a slip or a trap is never chosen by an experiment."""
    for label, family in (("guarantee", "compliance"), ("protected_question", "signal")):
        plain, trial = (policy(strategy=s).feed([finding(label, family=family)], {}, 1000) for s in ("", "next_step_first"))  # type: ignore[arg-type]  # both are families
        assert plain == trial


def test_what_is_not_sure_enough_is_no_card() -> None:
    """Objections want more certainty in a plain question, about a seller's own home and beside another one; paced or not."""
    for paced in (True, False):
        assert labels(policy(paced=paced).feed([finding("price", confidence=0.58)], {}, 1000)) == []
        asked = dataclasses.replace(finding("commission", confidence=0.9), quote="And what do you folks charge?")
        assert labels(policy(paced=paced).feed([asked], {}, 1000)) == []
        assert labels(policy(paced=paced).feed([dataclasses.replace(asked, confidence=0.95)], {}, 1000)) == ["commission"]
        own = finding("property", confidence=0.85)
        assert labels(policy(paced=paced, side="seller").feed([own], {}, 1000)) == []
        assert labels(policy(paced=paced, side="buyer").feed([own], {}, 1000)) == ["property"]
    both = policy(paced=False)
    assert labels(both.feed([finding("commission"), finding("has_agent", confidence=0.8)], {}, 1000)) == ["commission"]


def test_an_unlikely_objection_is_no_card() -> None:
    """Where the detector says how likely an objection is one to answer, that decides; its sureness of the sentence is not enough."""
    for chance, wanted in ((0.45, []), (0.75, ["price"])):
        heard = dataclasses.replace(finding("price", confidence=0.92), values={"root_cause": "value_doubt", "chance": chance})
        assert labels(policy(paced=False).feed([heard], {}, 1000)) == wanted


def test_a_few_words_of_a_sentence_raise_no_card() -> None:
    """ "I'll call" is the beginning of anything, and nobody is shown out before the sentence is over."""
    begun = dataclasses.replace(finding("stall", confidence=0.95, partial=True), quote="I'll call")
    assert labels(policy(paced=False).feed([begun], {}, 1000)) == []
    assert labels(policy(paced=False).feed([begun], {}, 1000, paused=True)) == ["stall"]
    refused = finding("do_not_call", family="signal", confidence=0.95, partial=True)
    assert labels(policy(paced=False).feed([refused], {}, 1000)) == []
    assert labels(policy(paced=False).feed([refused], {}, 1000, paused=True)) == ["do_not_call"]


def test_the_same_objection_so_soon_is_the_same_objection() -> None:
    """Without pacing, too, what is said twice within half a minute has one card."""
    coach = policy(paced=False)
    assert labels(coach.feed([finding("price")], {}, 1000)) == ["price"]
    assert labels(coach.feed([finding("price", 15_000)], {}, 15_000)) == []
    assert labels(coach.feed([finding("price", 60_000)], {}, 60_000)) == ["price"]
