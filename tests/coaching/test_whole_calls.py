"""Whole calls with every real module against the playbook that we ship: what an agent would see."""

import functools

import numpy as np
import pytest

from coaching.events import CallStarted, Card, Contact
from coaching.summary import outcome_preset, summarise
from intelligence.conversation.turns import Embed
from tests.scripted_call import Reader, Scene, Stage, agent, changes, prospect, read_out, shown, silence
from voice.models import Vectors
from voice.models.onnx import SentenceVectors
from voice.models.weights import MINILM, files_of
from web.compose import breaks_rule, detectors


@pytest.fixture(scope="module")
def embed(tmp_path_factory: pytest.TempPathFactory) -> Embed:
    cache = tmp_path_factory.mktemp("weights")
    vectors = SentenceVectors(*files_of(MINILM, folder=None, cache=cache))

    @functools.cache
    def one(sentence: str) -> Vectors:
        return vectors.embed([sentence])[0]

    async def embedded(sentences: list[str]) -> Vectors:
        return np.array([one(s) for s in sentences], np.float32)

    return embedded


async def heard(embed: Embed, script: list[Scene]) -> tuple[Reader, list[Card]]:
    started = CallStarted(mode="replay", today="2026-02-03", contact=Contact(name="Dana Reyes"))
    reader = await read_out(script, Stage(detectors(), embed=embed, breaks_rule=breaks_rule, started=started))
    return reader, shown(reader.log.events)


async def test_a_sellers_call(embed: Embed) -> None:
    """The fee has its card with words for a seller; the agent says them, and the seller moves on to a meeting."""
    script = [
        agent("Hi Dana, it's Claire from Harbor Lane. You wanted to talk about selling your house?"),
        prospect("Yes, we are thinking of selling our house this summer because I got a job in Austin."),
        agent("Congratulations. So what is on your mind about it?"),
        prospect("Honestly, six percent commission is way too much, another agent would do it for four."),
        silence(400),
    ]
    reader, cards = await heard(embed, script)
    (card,) = [c for c in cards if c.moment == "objection"]
    assert card.label == "commission"
    await reader.read_out(
        [
            agent(card.say),
            prospect("Okay, that's fair. Could you come by on Saturday at ten?"),
            agent("Saturday at ten works. I'll bring the plan."),
        ]
    )
    assert changes(reader.log.events)[:2] == [(card.id, "used"), (card.id, "helpful")]
    assert outcome_preset(reader.state)[0] == "appointment"
    note = summarise(reader.state).crm_note
    assert "commission" in note
    assert "then moved on" in note
    assert "bring the plan [2026-02-07]" in note


async def test_a_buyers_call_with_a_trap_and_a_slip(embed: Embed) -> None:
    """The neutral answer is up before the agent speaks, the slip right behind it, both in the very same minute."""
    script = [
        agent("So how did you like the townhouse?"),
        prospect("We liked it a lot. But is that a safe neighborhood for us?"),
        agent("Oh sure, you will love it, it's a very safe area with people just like you."),
        silence(1000),
    ]
    _, cards = await heard(embed, script)
    kinds = [c.kind for c in cards]
    assert kinds.index("neutral_answer") < kinds.index("compliance_warning")
    assert all(c.source for c in cards)


async def test_a_machine_answers(embed: Embed) -> None:
    """A voicemail greeting brings the message to leave, and is the outcome."""
    reader, cards = await heard(embed, [prospect("Hi, you've reached Dana. Please leave a message after the tone."), silence(1500)])
    assert [c.kind for c in cards] == ["voicemail_message"]
    assert outcome_preset(reader.state)[0] == "voicemail"


async def test_somebody_screens_the_call(embed: Embed) -> None:
    """Who asks who is calling gets an honest answer to say."""
    _, cards = await heard(embed, [prospect("Hello, who's calling please?"), silence(1500)])
    assert [c.kind for c in cards] == ["screening_answer"]


async def test_a_request_not_to_be_called(embed: Embed) -> None:
    """It is kept, never answered as an objection."""
    reader, cards = await heard(
        embed, [agent("Hi, is this Dana?"), prospect("Yes, and please take me off your list and don't call me again."), silence(1500)]
    )
    assert [c.moment for c in cards] == ["do_not_call"]
    assert outcome_preset(reader.state)[0] == "do_not_call"


async def test_small_talk_is_left_alone(embed: Embed) -> None:
    """Minutes of a pleasant talk without a reason raise at most a question in a long pause."""
    script: list[Scene] = [
        agent("Hi Dana, how was your weekend at the lake?"),
        prospect("It was lovely, thank you. The kids swam all day."),
        agent("That sounds great, ours were at the pool."),
        prospect("Yes, the weather was perfect for it."),
        agent("It really was. I had the windows open all night."),
        prospect("Same here, and the dog slept on the porch."),
    ]
    _, cards = await heard(embed, [*script, silence(1500)])
    assert cards == []
