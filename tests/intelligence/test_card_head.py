"""A turn behind what the other side said last: what the model reads, and what it makes of the same words behind other questions."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from intelligence.conversation.card_head import BEFORE_WORDS, OWN_WORDS, WEIGHTS, card_head, chance_of_objection, in_context, load_heads
from intelligence.conversation.classifier import write_checked
from intelligence.conversation.compliance import ComplianceDetector
from intelligence.conversation.moments import MomentDetector
from intelligence.conversation.objections import ObjectionDetector
from intelligence.conversation.protected import ProtectedQuestionDetector
from intelligence.conversation.stages import STAGES, StageTracker
from intelligence.conversation.turns import Conversation, Finding, Reading, Turn, sentences_of, texts_with_pairs
from voice.models.onnx import SentenceVectors
from voice.models.trained import TrainedVectors, trained_vectors
from voice.models.weights import COMPLIANCE, MINILM, MOMENTS, WeightsRefused, files_of


@pytest.fixture(scope="module")
def whole() -> TrainedVectors:
    return trained_vectors(MOMENTS, folder=None, cache=Path("none"))


@pytest.fixture(scope="module")
def vectors() -> SentenceVectors:
    return SentenceVectors(*files_of(MINILM, folder=None, cache=Path("none")))


def conversation(*turns: tuple[str, str]) -> Conversation:
    made = Conversation()
    for speaker, text in turns:
        made.add(Turn(speaker, text), [])  # type: ignore[arg-type]  # agent, prospect or supervisor
    return made


def margin(whole: TrainedVectors, before: str, text: str, label: str) -> float:
    return card_head().margins(whole.embed([(before, text)])[0])[label]


def test_a_turn_is_read_behind_what_the_other_side_said_last() -> None:
    """Utterances of the other side in a row are one; what a supervisor whispers and one's own earlier words are left out."""
    so_far = conversation(
        ("agent", "Hello."), ("prospect", "Hi there."), ("agent", "It's negotiable."), ("supervisor", "Ask!"), ("agent", "I'd say five.")
    )
    assert in_context(Turn("prospect", "Same as the last guy."), so_far) == ("It's negotiable. I'd say five.", "Same as the last guy.")
    assert in_context(Turn("agent", "Well?"), so_far) == ("Hi there.", "Well?")
    assert in_context(Turn("prospect", "Hello?"), Conversation()) == ("", "Hello?")


def test_only_the_nearest_words_are_read() -> None:
    """The end of what was said before, and the beginning of the turn; one word that may grow is no turn yet, nor is a supervisor's."""
    long = " ".join(f"word{n}" for n in range(200))
    assert in_context(Turn("prospect", long), conversation(("agent", long))) == (
        " ".join(long.split()[-BEFORE_WORDS:]),
        " ".join(long.split()[:OWN_WORDS]),
    )
    assert in_context(Turn("prospect", "Well", partial=True), Conversation()) is None
    assert in_context(Turn("supervisor", "Ask for the date now"), Conversation()) is None


@pytest.mark.parametrize(
    ("label", "text", "objecting", "harmless"),
    [
        ("has_agent", "Yeah, I have one already.", "Are you working with an agent?", "Do you have a dog for that yard?"),
        ("commission", "That's too much for me.", "My fee is five percent.", "I could send you all forty pages."),
        ("timing", "Next year, if that.", "If you did list again, would that be this spring?", "When does your youngest start school?"),
    ],
)
def test_the_same_words_are_an_objection_behind_one_question_only(
    whole: TrainedVectors, label: str, text: str, objecting: str, harmless: str
) -> None:
    """The sentence before decides: the margin is higher by one and more."""
    assert margin(whole, objecting, text, label) > margin(whole, harmless, text, label) + 1


def judged(vectors: SentenceVectors, whole: TrainedVectors, before: str, text: str, *, speaker: str = "prospect") -> list[Finding]:
    turn, sentences = Turn(speaker, text), sentences_of(text)  # type: ignore[arg-type]  # as above
    reading = Reading(turn, sentences, vectors.embed(list(sentences)), in_context=whole.embed([(before, text)])[0])
    found: list[Finding] = []
    for detector in (ObjectionDetector(), ComplianceDetector(), ProtectedQuestionDetector(), MomentDetector()):
        so_far = Conversation(fresh=list(found))
        found += detector.feed(reading, so_far)
        assert all(f.quote for f in found)
    return found


def test_what_no_sentence_says_alone_is_heard_in_its_context(vectors: SentenceVectors, whole: TrainedVectors) -> None:
    """An objection that only the agent's words make one has the model's chance, and names the model as its rule."""
    before, text = "My fee is five percent.", "Five? That's a lot."
    alone = Reading(Turn("prospect", text), sentences_of(text), vectors.embed(list(sentences_of(text))))
    assert "commission" not in {f.label for f in ObjectionDetector().feed(alone, Conversation())}
    found = {f.label: f for f in judged(vectors, whole, before, text) if f.family == "objection"}
    chance = chance_of_objection("commission", card_head().margins(whole.embed([(before, text)])[0]), None)
    assert found["commission"].values["chance"] == pytest.approx(chance, abs=0.01)
    assert found["commission"].values["in_context"] is True
    assert found["commission"].rule == card_head().rule


def test_lawful_words_that_sound_like_a_slip_are_none(vectors: SentenceVectors, whole: TrainedVectors) -> None:
    """The head of slips alone may be in doubt; behind what was asked nothing is: nor is a real slip passed over."""
    text = "There's a monthly association fee of three forty."
    lawful = judged(vectors, whole, "That's the two-bedroom for three eighteen?", text, speaker="agent")
    assert [f.label for f in lawful if f.family == "compliance"] == []
    said = "I guarantee you we'll get the three eighty-nine, no question."
    slip = judged(vectors, whole, "And what do you think it sells for?", said, speaker="agent")
    assert "guarantee" in {f.label for f in slip}


def test_a_slip_is_told_by_its_own_name_only(vectors: SentenceVectors, whole: TrainedVectors) -> None:
    """One sentence of a turn that is a slip sounds, alone, like another one; in its context the turn is the one that it is."""
    text = (
        "It's arithmetic. Look, I'm the listing agent on it too. And between us, she has a balloon payment due in January. She'd take 390."
    )
    sentences, second = sentences_of(text), trained_vectors(COMPLIANCE, folder=None, cache=Path("none"))
    both = texts_with_pairs(sentences)
    opinions = dict(zip(both, second.embed(both), strict=True))
    alone = Reading(Turn("agent", text), sentences, vectors.embed(list(sentences)), opinions)
    assert "fee_fixing" in {f.label for f in ComplianceDetector().feed(alone, Conversation())}
    behind = dataclasses.replace(alone, in_context=whole.embed([("370, more or less. I know that sounds rude.", text)])[0])
    assert [f.label for f in ComplianceDetector().feed(behind, Conversation())] == ["dual_agency"]


@pytest.mark.parametrize(
    ("speaker", "before", "text", "label"),
    [
        ("prospect", "I pulled the sales around you.", "What are they getting for these, the last few months?", "market_named"),
        ("prospect", "It's the brick one on the corner.", "So when could we get inside? Tomorrow, even?", "buying_signal"),
        (
            "prospect",
            "Take your time with it.",
            "I lie awake over this, honestly. What if I lose the job and we can't pay?",
            "fear_or_pressure",
        ),
        ("prospect", "Any street you like better?", "And who lives on it, is it folks like us, or not so much?", "protected_question"),
        ("agent", "And if it just sits there?", "It won't. It'll be sold in two weeks, you have my word on that.", "guarantee"),
    ],
)
def test_cards_that_a_whole_turn_raises(
    vectors: SentenceVectors, whole: TrainedVectors, speaker: str, before: str, text: str, label: str
) -> None:
    """The moment is found in its words and its context; small talk in the same place finds none of them."""
    assert label in {f.label for f in judged(vectors, whole, before, text, speaker=speaker)}
    small = judged(vectors, whole, before, "The dog is asleep on my foot, so I can't get up.", speaker=speaker)
    assert label not in {f.label for f in small}


def test_the_stage_is_heard_turn_by_turn(whole: TrainedVectors) -> None:
    """Greeting, needs, an objection, a time, goodbye: the stage follows; a call that is taken up again stands where it stood."""
    tracker, so_far, path = StageTracker(), Conversation(), []
    for speaker, text in (
        ("agent", "Hi, this is Ana with Harbor Realty. Is it okay if I record this?"),
        ("prospect", "Sure, that's fine."),
        ("agent", "What has you thinking about a move?"),
        ("prospect", "We've got a baby coming and we're out of bedrooms."),
        ("agent", "How soon would you like to be in?"),
        ("prospect", "By June, before he's born."),
        ("agent", "And where have you been looking?"),
        ("prospect", "Maple Ridge, mostly."),
        ("agent", "There's one on Alder at three ninety, four bedrooms, a fenced yard."),
        ("prospect", "Three ninety is too much for that street, honestly."),
        ("agent", "What would feel right to you for it?"),
        ("prospect", "I don't know, we're stretched as it is."),
        ("agent", "Would Saturday at ten work to walk through it?"),
        ("prospect", "Saturday at ten works."),
        ("agent", "Great. I'll send you the address tonight. Talk soon, bye now."),
    ):
        turn = Turn(speaker, text)  # type: ignore[arg-type]  # as above
        pair = in_context(turn, so_far)
        assert pair is not None
        objects = "too much" in text or "stretched" in text
        so_far.fresh = [Finding("objection", "price", "prospect", text, 0, 0, 0.9, "", "")] if objects else []
        tracker.feed(Reading(turn, sentences_of(text), np.zeros((1, 384), np.float32), in_context=whole.embed([pair])[0]), so_far)
        so_far.add(turn, [])
        path.append(tracker.stage)
    assert path[0] == "opening"
    assert path[5] == path[7] == "discovery"
    assert path[9] in ("presentation", "objection_handling")
    assert path[11] == "objection_handling"
    assert path[13] == "closing"
    assert path[-1] in ("closing", "wrap_up")
    assert tracker.changed() is not None
    taken_up = StageTracker()
    taken_up.restore("negotiation")
    assert (taken_up.stage, taken_up.changed()) == ("negotiation", None)
    assert set(STAGES) >= set(path)


def test_a_head_of_other_layers_is_refused(tmp_path: Path) -> None:
    """Weights and layers belong together, by the layers' hash."""
    head = card_head()
    file = tmp_path / "moments.npz"
    with np.load(WEIGHTS) as held:
        write_checked(file, **{**held, "layers": np.zeros(32, np.uint8)})
    with pytest.raises(WeightsRefused, match="other layers"):
        load_heads(file)
    assert dataclasses.replace(head, digest="0123456789").rule == "moments-model@01234567"
    assert load_heads(WEIGHTS)[0].labels == head.labels
