"""AdvancedConversationIntelligence over calls, e-mails and text messages, with the real detectors and weights."""

import tempfile
from pathlib import Path

import numpy as np
import pytest

from coaching.playbook import load
from intelligence.conversation.advanced import AdvancedConversationIntelligence
from intelligence.conversation.fitting import NotEnoughCalls, fit
from intelligence.conversation.history import Message, turns_of
from intelligence.conversation.trajectory import NAMES, PRIOR, Calibration, won_path
from voice.models import Vectors
from voice.models.onnx import SentenceVectors
from voice.models.weights import MINILM, files_of
from web.compose import detectors


@pytest.fixture(scope="module")
def model() -> SentenceVectors:
    cache = Path(tempfile.gettempdir())
    return SentenceVectors(*files_of(MINILM, folder=None, cache=cache))


@pytest.fixture
def intelligence(model: SentenceVectors) -> AdvancedConversationIntelligence:
    async def embed(sentences: list[str]) -> Vectors:
        return model.embed(sentences)

    playbook = load()
    return AdvancedConversationIntelligence(embed, detectors, questions=playbook.questions, bridges=playbook.bridges)


def call(*turns: str) -> list[Message]:
    """Turns that begin with "a:" or "p:"."""
    return [Message("agent" if t.startswith("a:") else "prospect", t[2:].strip()) for t in turns]


WARM = call(
    "a: Hi Rosa, it's Ben from Cedar Homes. Did you get to see the house on Willow?",
    "p: We did, and honestly we loved it. The yard is perfect for the kids.",
    "a: That's great. What is prompting the move?",
    "p: I start a new job in Austin in May, so we need to be out of here by the end of April.",
    "a: Who else decides with you?",
    "p: My husband, we decide together. He really liked it too.",
    "a: Would Saturday at ten work to see it once more together?",
    "p: Yes, Saturday at ten works for us.",
)
COLD = call(
    "a: Hi, it's Ben from Cedar Homes. Is this a good time?",
    "p: Not really. I told the other guy already, we're not interested.",
    "a: Could we meet on Thursday for ten minutes?",
    "p: No. We're fed up with agents calling, it's been a nightmare.",
    "a: I understand. May I send you something?",
    "p: No thank you. Please take me off your list.",
)


async def test_feelings_come_with_the_words_behind_them(intelligence: AdvancedConversationIntelligence) -> None:
    """A warm and a cold prospect are told apart, and every piece of evidence is a sentence of that prospect."""
    warm, cold = await intelligence.analyze_emotional_state(WARM), await intelligence.analyze_emotional_state(COLD)
    assert warm.sentiment == "positive"
    assert cold.sentiment == "negative"
    for state, history in ((warm, WARM), (cold, COLD)):
        for evidence in (*state.sentiment_evidence, *state.stress_evidence, *state.urgency_evidence):
            assert evidence.quote in history[evidence.turn].text
            assert history[evidence.turn].speaker == "prospect"


async def test_who_decides_has_a_stance(intelligence: AdvancedConversationIntelligence) -> None:
    """The husband is named as part of the decision and, since he liked it, counts as for it."""
    state = await intelligence.analyze_emotional_state(WARM)
    assert [(d.relation, d.stance) for d in state.decision_makers] == [("husband", "for")]
    assert "relocation" in [reason for reason, _ in state.motivations]


async def test_the_chance_follows_what_was_said_last(intelligence: AdvancedConversationIntelligence) -> None:
    """An agreed time is worth more than a request to be left alone, and without outcomes both are called a prior."""
    warm = await intelligence.predict_conversation_trajectory(WARM)
    cold = await intelligence.predict_conversation_trajectory(COLD)
    assert warm.chance == "high"
    assert cold.chance == "low"
    assert warm.prior
    assert warm.n == 0
    assert warm.won_path is None
    assert warm.reasons


async def test_silence_is_advised_after_a_question(intelligence: AdvancedConversationIntelligence) -> None:
    """Right after the agent's own question there is nothing to ask."""
    flow = await intelligence.optimize_conversation_flow(WARM[:3])
    assert flow.silent
    assert not flow.ask


async def test_the_next_question_is_a_slot_that_is_missing(intelligence: AdvancedConversationIntelligence) -> None:
    """What was told already is not asked for again, and the question is the playbook's."""
    flow = await intelligence.optimize_conversation_flow(WARM[:6], "2026-03-02")
    assert flow.ask in {"location", "price", "financing", "agency", "appointment"}
    assert flow.question == load().questions[flow.ask]
    assert flow.health is not None
    assert all(0 <= part.value <= 1 and part.why for part in flow.parts)


async def test_nothing_is_claimed_of_an_empty_history(intelligence: AdvancedConversationIntelligence) -> None:
    """Without words every level is unknown and there is no health score."""
    state, flow = await intelligence.analyze_emotional_state([]), await intelligence.optimize_conversation_flow([])
    assert (state.sentiment, state.stress, state.urgency, state.n) == ("unknown", "unknown", "unknown", 0)
    assert flow.health is None


def test_an_emails_quoted_part_is_not_its_writers() -> None:
    """What an e-mail repeats from the one before is left out."""
    mail = "Sounds good to me.\n\nOn Tue, Ben wrote:\n> The price is too high, you said?\n"
    assert [t.text for t in turns_of([Message("prospect", mail, "email")])] == ["Sounds good to me."]


def test_the_path_of_won_calls_needs_enough_of_them() -> None:
    """Below five won calls there is no path; above, it is the commonest way on."""
    path = ["opening", "discovery", "presentation", "closing"]
    assert won_path("discovery", [path] * 4) is None
    won = won_path("discovery", [path] * 6)
    assert won is not None
    assert won.stages == ("presentation", "closing")
    assert won.n == 6


def test_a_fit_needs_enough_outcomes() -> None:
    """Too few ended calls are refused with the numbers."""
    with pytest.raises(NotEnoughCalls, match="40 are needed"):
        fit([{}] * 10, [True] * 5 + [False] * 5, "2026-11-25")


def test_a_fit_learns_what_a_brokerage_shows() -> None:
    """Where buying interest means a lost call, the fitted weight turns round and beats the prior out of fold."""
    dice = np.random.default_rng(4)
    rows = [{name: float(dice.integers(0, 2)) for name in NAMES} for _ in range(200)]
    won = [row["buying_interest"] < 0.5 if dice.random() < 0.95 else row["buying_interest"] > 0.5 for row in rows]
    fitted = fit(rows, won, "2026-11-25")
    assert fitted.calibration.weights["buying_interest"] < 0 < PRIOR["buying_interest"]
    assert fitted.better
    assert fitted.calibration.n == 200


def test_the_prior_stands_where_nothing_was_fitted(tmp_path: Path) -> None:
    """A missing calibration file is the prior, and says so."""
    assert Calibration.load(tmp_path / "none.json").n == 0
