import dataclasses
from pathlib import Path

import numpy as np
import pytest

from intelligence.conversation.classifier import WIDTH, features, load_head, save_head
from intelligence.conversation.objection_cues import cues
from intelligence.conversation.objection_head import concepts, load_objection_head
from intelligence.conversation.objections import SECOND, WEIGHTS, ObjectionDetector
from intelligence.conversation.second_head import as_money, in_its_turn, load_second_head
from intelligence.conversation.turns import Conversation, Finding, Reading, Speaker, Turn, sentences_of
from voice.models.onnx import SentenceVectors
from voice.models.trained import TrainedVectors, trained_vectors
from voice.models.weights import COMPLIANCE, MINILM, OBJECTIONS, WeightsRefused, files_of


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> SentenceVectors:
    cache = tmp_path_factory.mktemp("weights")
    return SentenceVectors(*files_of(MINILM, folder=None, cache=cache))


def heard(vectors: SentenceVectors, text: str, speaker: Speaker = "prospect", partial: bool = False) -> list[Finding]:
    sentences = sentences_of(text)
    reading = Reading(Turn(speaker, text, partial=partial), sentences, vectors.embed(list(sentences)))
    return ObjectionDetector().feed(reading, Conversation())


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("I'd need to talk to my husband before we do anything.", "decision_maker"),
        ("let me think about it and get back to you", "stall"),
        ("i dont want to sign an exclusive contract", "commitment"),
    ],
)
def test_a_plain_objection_is_named(vectors: SentenceVectors, text: str, label: str) -> None:
    """A plain objection is found under its wire name with the words that show it."""
    found = {f.label: f for f in heard(vectors, text)}
    assert label in found
    assert found[label].quote == text
    assert found[label].rule.startswith("objections-model@")


@pytest.mark.parametrize("text", ["Okay, got it.", "How many bedrooms does it have?", "Saturday at ten works for us."])
def test_everyday_talk_raises_nothing(vectors: SentenceVectors, text: str) -> None:
    """Small talk, questions for information and agreements are no objections."""
    assert heard(vectors, text) == []


def test_the_agent_raises_no_objection(vectors: SentenceVectors) -> None:
    """The same words from the agent raise nothing."""
    text = "let me think about it and get back to you"
    assert heard(vectors, text)
    assert heard(vectors, text, speaker="agent") == []


def test_a_changed_weight_file_is_refused(tmp_path: Path) -> None:
    """A weight file whose bytes are not those its hash names is refused."""
    file = tmp_path / "head.npz"
    numbers = np.zeros((1, WIDTH), np.float32)
    one = np.ones(1, np.float32)
    save_head(file, ["price"], {"weights": numbers, "bias": one, "scale": np.ones((1, 2), np.float32), "thresholds": one})
    assert load_head(file).labels == ("price",)
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(WeightsRefused):
        load_head(file)


def test_the_shipped_head_matches_its_hash() -> None:
    """The packaged head loads and knows thirteen objections."""
    assert len(load_objection_head(WEIGHTS).labels) == 13


def test_features_ignore_case_and_punctuation() -> None:
    """The hashed words of a clean sentence and of a recogniser's version are the same."""
    same = np.zeros((2, 384), np.float32)
    rows = features(["I don't know, maybe.", "i dont know maybe"], same)
    assert np.array_equal(rows[0], rows[1])


def test_a_cue_taken_back_is_no_cue() -> None:
    """A turn of phrase taken back in the same breath counts for nothing."""
    assert "commission" in cues("The commission is too high.")
    assert cues("The commission is too high for some, that doesn't bother me.") == frozenset()


def test_ideas_are_read_whatever_the_word() -> None:
    """Words of one sense give the same idea, in the order in which they were said."""
    assert concepts("my wife decides")[0] == concepts("my brother decides")[0] == "relative"
    assert concepts("Let us hold off until summer.").index("wait") < concepts("Let us hold off until summer.").index("later")


def test_a_head_trained_for_other_inputs_is_refused(tmp_path: Path) -> None:
    """A weight file of an older make is refused although its hash is right."""
    file = tmp_path / "head.npz"
    save_head(file, ["price"], {"weights": np.zeros((1, WIDTH), np.float32), "bias": np.ones(1, np.float32)})
    with pytest.raises(WeightsRefused):
        load_objection_head(file)


def test_an_unfinished_sentence_has_bars_of_its_own(vectors: SentenceVectors) -> None:
    """A turn that is not over is held to the partial bars, a finished one is not."""
    head = load_objection_head(WEIGHTS)
    detector = ObjectionDetector(dataclasses.replace(head, partial=np.full(13, 1.1, np.float32)))
    text = "let me think about it and get back to you"
    vector = vectors.embed([text])
    assert detector.feed(Reading(Turn("prospect", text), (text,), vector), Conversation())
    assert detector.feed(Reading(Turn("prospect", text, partial=True), (text,), vector), Conversation()) == []


@pytest.fixture(scope="module")
def second() -> TrainedVectors:
    return trained_vectors(OBJECTIONS, folder=None, cache=Path("none"))


def with_second_opinion(
    vectors: SentenceVectors, second: TrainedVectors, text: str, partial: bool = False
) -> tuple[list[str], list[Finding]]:
    """What the second model is asked about, and what is found with its answer."""
    detector, sentences = ObjectionDetector(), sentences_of(text)
    reading = Reading(Turn("prospect", text, partial=partial), sentences, vectors.embed(list(sentences)))
    doubtful = detector.doubts(reading)
    answered = dataclasses.replace(reading, second=dict(zip(doubtful, second.embed(doubtful), strict=True)))
    return doubtful, detector.feed(answered, Conversation())


@pytest.mark.parametrize("text", ["Okay, got it.", "How many bedrooms does it have?", "Saturday at ten works for us.", ""])
def test_the_second_model_hears_nothing_in_plain_talk(vectors: SentenceVectors, second: TrainedVectors, text: str) -> None:
    """Small talk, questions for information and agreements are no objections to the second model either."""
    assert with_second_opinion(vectors, second, text)[1] == []


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("That's too expensive for us.", "price"),
        ("That's out of our price range.", "price"),
        ("We already have an agent.", "has_agent"),
        ("Your commission is too high.", "commission"),
        ("We want to wait until next year.", "timing"),
        ("I'm not signing anything today.", "commitment"),
    ],
)
def test_the_plainest_objections_are_likely_ones(vectors: SentenceVectors, second: TrainedVectors, text: str, label: str) -> None:
    """Both models together: sure of the sentence, and of its being worth an answer; said in a long friendly turn it is less so."""
    alone, among = (
        {f.label: f for f in with_second_opinion(vectors, second, said)[1]}
        for said in (text, f"The dog says hello. We had rain all week. {text} The kids are at school. I made coffee.")
    )
    assert float(str(alone[label].values["chance"])) >= 0.6
    assert float(str(among[label].values["chance"])) < float(str(alone[label].values["chance"]))


def test_two_sentences_are_also_read_as_one(vectors: SentenceVectors, second: TrainedVectors) -> None:
    """What stands in neither of two sentences alone is found in both together."""
    text = "They want four fifty. We had three eighty in mind."
    doubtful, found = with_second_opinion(vectors, second, text)
    assert text in doubtful
    assert "price" in {f.label for f in found}


def test_the_words_of_the_second_model_are_those_of_the_first(vectors: SentenceVectors, second: TrainedVectors) -> None:
    """A sentence beside longer ones has the vector that it has alone: what is padded is not read."""
    alone = second.embed(["That is too much for us."])[0]
    beside = second.embed(["That is too much for us.", "and then there is the matter of the fence that runs along the back of the lot"])[0]
    assert np.allclose(alone, beside, atol=1e-4)
    assert np.isclose(np.linalg.norm(alone), 1.0, atol=1e-5)


def test_the_second_model_decides_where_it_is_asked(vectors: SentenceVectors, second: TrainedVectors) -> None:
    """What both heads stand behind names both; its confidence is the second's."""
    text = "let me think about it and get back to you"
    doubtful, found = with_second_opinion(vectors, second, text)
    assert doubtful == [text]
    assert [f.label for f in found] == ["stall"]
    assert "+" in found[0].rule
    first = heard(vectors, text)[0]
    assert (first.rule, first.confidence) != (found[0].rule, found[0].confidence)


@pytest.mark.parametrize("amount", ["$450,000", "450,000", "450000"])
def test_an_amount_is_money_with_and_without_its_sign(vectors: SentenceVectors, second: TrainedVectors, amount: str) -> None:
    """Whether the recogniser wrote the dollar sign changes no judgement; what is no amount stays as it is."""
    _, found = with_second_opinion(vectors, second, f"Well we liked it, but um, {amount} is, it's just way past what we had in mind.")
    assert [f.label for f in found] == ["price"]
    assert found[0].quote.count(amount) == 1
    assert as_money("call 312-555-0100, zip 60614, the 2,400 feet") == "call 312-555-0100, zip 60614, the 2,400 feet"


def test_a_partial_wants_both_heads(vectors: SentenceVectors, second: TrainedVectors) -> None:
    """While a turn goes on the second model is asked about what would raise a card only, and can only take away."""
    for text in ("let me think about it and get back to you", "well the price is", "i dont want to sign an exclusive contract"):
        doubtful, found = with_second_opinion(vectors, second, text, partial=True)
        alone = {f.label for f in heard(vectors, text, partial=True)}
        assert bool(doubtful) == bool(alone)
        assert {f.label for f in found} <= alone


@pytest.mark.parametrize(
    ("said", "label", "then"),
    [
        ("The commute is too long for me.", "location", "At least that's what I thought, it's twelve minutes."),
        ("The price is too high.", "price", "That's what my brother said, but I think it's fair."),
    ],
)
def test_what_the_next_sentence_takes_back_is_no_objection(
    vectors: SentenceVectors, second: TrainedVectors, said: str, label: str, then: str
) -> None:
    """A part is seen in its turn: what one sentence sounds like alone, the next may take back."""
    assert [f.label for f in with_second_opinion(vectors, second, said)[1]] == [label]
    assert with_second_opinion(vectors, second, f"{said} {then}")[1] == []


def test_a_long_turn_asks_about_few_sentences(vectors: SentenceVectors, second: TrainedVectors) -> None:
    """However much is said, the turn and eight of its sentences and pairs are asked about at most, of a very long one only these."""
    said = " ".join(["I need to talk to my husband.", "I won't sign a contract.", "Your fee is too high.", "Call me in spring."])
    for times in (1, 2, 4, 8):
        doubtful, _ = with_second_opinion(vectors, second, " ".join([said] * times))
        assert 3 < len(doubtful) <= 9
        assert (" ".join([said] * times) in doubtful) == (times <= 2)


def test_changed_second_weights_are_refused(tmp_path: Path) -> None:
    """The second head's file, too, is refused when its bytes are not those its hash names."""
    file = tmp_path / "second.npz"
    file.write_bytes(SECOND.read_bytes() + b"x")
    file.with_suffix(".sha256").write_text(SECOND.with_suffix(".sha256").read_text())
    with pytest.raises(WeightsRefused):
        load_second_head(file, OBJECTIONS)
    with pytest.raises(WeightsRefused, match="other layers"):
        load_second_head(SECOND, COMPLIANCE)
    assert len(load_second_head(SECOND, OBJECTIONS).labels) == 13


def test_a_part_is_drawn_towards_its_turn() -> None:
    """All the way where the turn is one sentence, half the log odds where it has two, and the less the more it has."""
    parts, whole = np.array([[0.9, 0.2]], np.float32), np.array([0.1, 0.2], np.float32)
    assert np.allclose(in_its_turn(parts, whole, 1), whole, atol=1e-4)
    assert np.allclose(in_its_turn(parts, whole, 2), [[0.5, 0.2]], atol=1e-4)
    assert 0.5 < in_its_turn(parts, whole, 3)[0, 0] < in_its_turn(parts, whole, 6)[0, 0] < 0.9
