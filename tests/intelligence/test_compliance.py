import dataclasses
import itertools
import random
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from coaching.events import Card, SuggestionShown
from coaching.playbook import PlaybookFile, PlaybookRefused, load
from coaching.suggestions import SuggestionPolicy
from intelligence.conversation.classifier import load_head
from intelligence.conversation.compliance import WEIGHTS, WORDS_WEIGHTS, ComplianceDetector, breaches
from intelligence.conversation.compliance_rules import broken_rules, neutral, rules
from intelligence.conversation.objections import ObjectionDetector
from intelligence.conversation.protected import ANSWERS, ProtectedQuestionDetector
from intelligence.conversation.protected import WEIGHTS as PROTECTED_WEIGHTS
from intelligence.conversation.turns import Conversation, Finding, Reading, Speaker, Turn, sentences_of
from voice.models.onnx import SentenceVectors
from voice.models.trained import TrainedVectors, trained_vectors
from voice.models.weights import COMPLIANCE, MINILM, files_of
from web.compose import breaks_rule

LABELS = {"fair_housing", "guarantee", "legal_advice", "kickback", "dual_agency", "recording", "fee_fixing"}


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> SentenceVectors:
    cache = tmp_path_factory.mktemp("weights")
    return SentenceVectors(*files_of(MINILM, folder=None, cache=cache))


def reading_of(vectors: SentenceVectors, text: str, speaker: Speaker, *, partial: bool = False) -> Reading:
    sentences = sentences_of(text)
    return Reading(Turn(speaker, text, partial=partial), sentences, vectors.embed(list(sentences)))


def slips(vectors: SentenceVectors, text: str, speaker: Speaker = "agent", *, partial: bool = False) -> list[Finding]:
    return ComplianceDetector().feed(reading_of(vectors, text, speaker, partial=partial), Conversation())


def asked(vectors: SentenceVectors, text: str, speaker: Speaker = "prospect", *, partial: bool = False) -> list[Finding]:
    return ProtectedQuestionDetector().feed(reading_of(vectors, text, speaker, partial=partial), Conversation())


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Honestly, that part of town has a lot of crime, you don't want to be there.", "fair_housing"),
        ("its a great area for young families mostly white", "fair_housing"),
        ("I guarantee you'll get full price.", "guarantee"),
        ("values here only go up so you cant lose", "guarantee"),
        ("You don't need an attorney, I'll tell you what the clause means.", "legal_advice"),
        ("just tell the bank its your primary residence", "legal_advice"),
        ("My lender pays me two hundred for every buyer I send over.", "kickback"),
        ("Between us, the sellers would take four fifty.", "dual_agency"),
        ("we record every call and we dont tell people", "recording"),
        ("six percent is the standard commission around here", "fee_fixing"),
    ],
)
def test_a_slip_is_named_with_its_rule_and_a_way_to_say_it(vectors: SentenceVectors, text: str, label: str) -> None:
    """A slip of the agent is found under its wire name with quote, rule, source, reason and rephrase."""
    found = {f.label: f for f in slips(vectors, text)}
    assert label in found
    slip = found[label]
    assert slip.quote == text
    assert slip.rule in {rule.id for rule in rules()}
    assert slip.source
    assert slip.why
    assert slip.values["rephrase"]


@pytest.mark.parametrize(
    "text",
    [
        "I can't give legal advice, please ask an attorney.",
        "I can't tell you it's a safe area, the police have a map.",
        "The train to White Plains stops on Church Street, next to Indian River Park.",
        "There's a wheelchair ramp and the doorways are thirty-six inches.",
        "The family room opens to the master bedroom.",
        "it is a master planned community with a family room in every unit",
        "She has a bachelor's degree in design and staged it herself.",
        "It's a ten-minute walk to the station.",
        "I promise I'll call you back tomorrow.",
        "Nobody can guarantee a price.",
        "Our commission is negotiable and not set by law.",
        "May I record this call?",
        "The easement was recorded with the county.",
        "You can use any lender you like.",
        "Would Saturday at ten work for both of you?",
        "The sellers are asking four hundred and ten.",
    ],
)
def test_ordinary_words_are_no_slip(vectors: SentenceVectors, text: str) -> None:
    """Denials, referrals, place names, accessibility as a fact and ordinary phrases raise nothing."""
    assert slips(vectors, text) == []


def test_only_the_agent_can_slip(vectors: SentenceVectors) -> None:
    """The same words from the prospect are no slip."""
    text = "I guarantee you'll get full price."
    assert slips(vectors, text)
    assert slips(vectors, text, "prospect") == []


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("Is it a safe neighborhood?", "safety"),
        ("hows the crime over there", "safety"),
        ("Are the schools any good?", "schools"),
        ("what kind of people live there", "people"),
        ("I don't want to sell it to foreigners.", "wish"),
    ],
)
def test_a_protected_question_gets_a_neutral_answer(vectors: SentenceVectors, text: str, about: str) -> None:
    """A question that must not be judged is told with what it is about and an answer that breaks no rule."""
    found = asked(vectors, text)
    assert [(f.family, f.label, f.values["about"]) for f in found] == [("signal", "protected_question", about)]
    assert breaches(str(found[0].values["answer"])) == []


def test_sex_offenders_are_looked_up_in_the_registry(vectors: SentenceVectors) -> None:
    """A question for sex offenders is answered with the national registry."""
    found = asked(vectors, "Are there any sex offenders living near there?")
    assert "nsopw.gov" in str(found[0].values["answer"])


def test_half_a_question_is_enough_when_it_is_clear(vectors: SentenceVectors) -> None:
    """A partial turn raises the answer before the prospect has finished."""
    found = asked(vectors, "is it a safe neighborhood because we have", partial=True)
    assert [f.partial for f in found] == [True]


@pytest.mark.parametrize(
    "text",
    ["What school district is it in?", "Is the balcony railing safe for a toddler?", "Who lives there now, the owner or a tenant?", "My wife teaches at Lincoln."],
)  # fmt: skip
def test_facts_may_be_asked(vectors: SentenceVectors, text: str) -> None:
    """Questions for facts about a home are not protected."""
    assert asked(vectors, text) == []


def test_the_agent_asks_no_protected_question(vectors: SentenceVectors) -> None:
    """Only the prospect's words are heard for protected questions."""
    assert asked(vectors, "Is it a safe neighborhood?", "agent") == []


def test_every_rule_names_its_source_and_obeys_all_rules() -> None:
    """Each of the seven kinds has rules; each rule has a source, and a rephrase of at most 20 words that breaks none."""
    assert {rule.label for rule in rules()} == LABELS
    assert len({rule.id for rule in rules()}) == len(rules())
    for rule in rules():
        assert rule.source, rule.id
        assert len(rule.rephrase.split()) <= 20, rule.id
        assert breaches(rule.rephrase) == [], rule.id


def test_every_answer_obeys_the_rules() -> None:
    """Each neutral answer has at most 20 words and breaks no rule."""
    for answer in ANSWERS.values():
        assert len(answer.split()) <= 20, answer
        assert breaches(answer) == [], answer


def test_the_shipped_playbook_obeys_the_rules() -> None:
    """Every saying of the playbook passes, as does its loading with the rules."""
    playbook = load(breaks_rule=breaks_rule)
    assert [s for s in playbook.sayings() if breaches(s)] == []


def test_a_playbook_that_breaks_a_rule_is_refused(tmp_path: Path) -> None:
    """A playbook whose words break a rule is refused with its line."""
    file = tmp_path / "playbook.toml"
    file.write_text('version = 1\n[objections.price]\ntitle = "t"\nwhy = "w"\nsay = [{ text = "Trust me, values here only go up." }]\n')
    with pytest.raises(PlaybookRefused, match=r"line 5.*guarantee"):
        load(file, breaks_rule=breaks_rule)


@pytest.mark.parametrize("file", [WEIGHTS, WORDS_WEIGHTS, PROTECTED_WEIGHTS], ids=lambda f: f.stem)
def test_the_shipped_heads_match_their_hashes(file: Path) -> None:
    """Each packaged head is the file that its hash names."""
    assert load_head(file).labels == (("safety", "schools", "people", "wish") if file == PROTECTED_WEIGHTS else tuple(_in_order()))


def _in_order() -> list[str]:
    return list(dict.fromkeys(rule.label for rule in rules()))


def test_judging_costs_less_than_embedding(vectors: SentenceVectors) -> None:
    """What the rules and the head add to a turn is less than five times what its embedding costs."""
    text = "I think you'd like the kitchen, and the station is ten minutes away, so mornings are easy. Shall we look at it on Saturday?"
    detector = ComplianceDetector()
    reading = reading_of(vectors, text, "agent")

    def median_ms(step: Callable[[], object]) -> float:
        times = []
        for _ in range(15):
            began = time.perf_counter()
            step()
            times.append((time.perf_counter() - began) * 1000)
        return statistics.median(times)

    assert median_ms(lambda: detector.feed(reading, Conversation())) < 5 * median_ms(lambda: vectors.embed(list(reading.sentences)))


# ---- a thousand provoking turns

_OPENERS = ("", "Honestly, ", "um so ", "Between you and me, ", "Look, ", "I shouldn't ask, but ", "my wife wants to know ", "Sure. ")
_PROSPECT = (
    "is it a safe neighborhood", "are the schools any good", "what kind of people live there", "is it mostly white", "I don't want to live near immigrants",
    "I won't rent to anyone in a wheelchair", "only show me Christian areas", "promise me it'll sell for six hundred", "tell me you guarantee the price",
    "what's the seller's bottom line", "isn't six percent standard", "why should I pay you three percent", "should I put it in an LLC to dodge the tax",
    "can I just break my lease", "does your lender pay you for this", "are you recording me without asking", "I want to think about it",
    "the price is way too high", "I have to ask my husband", "we're waiting for the crash", "is it safe for my kids", "do a lot of blacks live there",
    "I need to sell before those people move in", "you people are all crooks", "would you send your kids to that school",
)  # fmt: skip
_AGENT = (
    "it's a very safe area with people like you", "the schools there are terrible", "there are no Mexicans on that street", "I guarantee it'll sell by Friday",
    "you can't lose money here", "you'll definitely be approved", "you don't need a lawyer", "just put it in an LLC and owe nothing",
    "my lender gives me five hundred a deal", "the seller will take four fifty, she told me", "I represent both of you so I'll get you a deal",
    "I've been recording and didn't ask", "six percent is standard", "no agent shows homes that pay two percent", "the owner doesn't want kids",
)  # fmt: skip
_ENDS = ("", ", right?", " you know what I mean", ", just say yes.", " or what", ". Say it.")
_HEARD = ("Oakville", "a safe white neighborhood", "the ghetto", "guaranteed profit in two years", "the good part of town")
# What no card may hold, in words that are not the rules' own patterns.
_NEVER = re.compile(
    r"\b(safe (area|neighborhood|street|town)|(good|great|bad|terrible) schools?|white|black|hispanic|mexicans?|christian|muslims?|immigrants?|foreigners?"
    r"|guaranteed|i (can )?(guarantee|promise)|cant lose|can't lose|standard (fee|commission|rate)|bottom line is|don't need (a|an) (lawyer|attorney))\b",
    re.IGNORECASE,
)


def _batches(texts: list[str]) -> list[list[str]]:
    return [texts[i : i + 32] for i in range(0, len(texts), 32)]


def test_a_thousand_provoking_turns_raise_no_card_that_breaks_a_rule(vectors: SentenceVectors) -> None:
    """Whatever either side says, no words on a card break a rule; and the slips and questions do raise cards."""
    dice = random.Random(3)
    speakers: tuple[tuple[Speaker, tuple[str, ...]], ...] = (("prospect", _PROSPECT), ("agent", _AGENT))
    turns = [(s, f"{a}{b}{c}") for s, each in speakers for a, b, c in itertools.product(_OPENERS, each, _ENDS)]
    dice.shuffle(turns)
    turns = turns[:1000]
    flat = {s for _, text in turns for s in sentences_of(text)}
    known = dict(zip(sorted(flat), np.concatenate([vectors.embed(b) for b in _batches(sorted(flat))]), strict=True))
    detectors = (ComplianceDetector(), ProtectedQuestionDetector(), ObjectionDetector())
    playbook = PlaybookFile(breaks_rule=breaks_rule)
    cards: list[Card] = []
    for number, (speaker, text) in enumerate(turns):
        sentences = sentences_of(text)
        reading = Reading(Turn(speaker, text), sentences, np.array([known[s] for s in sentences]))
        policy = SuggestionPolicy(playbook.current, breaks_rule, paced=False)
        policy.heard = {
            "place": _HEARD[number % 5],
            "relation": _HEARD[number % 5],
            "when": _HEARD[number % 4],
            "price": _HEARD[number % 3],
        }
        findings = [f for d in detectors for f in d.feed(reading, Conversation())]
        cards += [e.card for e in policy.feed(findings, {}, 1000 * number) if isinstance(e, SuggestionShown)]
    shown = [words for card in cards for words in (card.say,)]
    assert [s for s in set(shown) if breaches(s)] == []
    assert [s for s in set(shown) if _NEVER.search(s)] == []
    raised = {card.moment for card in cards}
    assert {"slip", "trap_question", "objection"} <= raised
    assert len(cards) > len(turns) / 3


def test_a_fact_about_tomorrow_is_a_guarantee_and_a_safe_trip_is_no_place() -> None:
    """What somebody knows "for a fact" about what comes is a promise; wishing a safe trip says nothing about a street."""
    assert {r.label for r in broken_rules(neutral("I can tell you for a fact they'll be in the fives by summer."))} == {"guarantee"}
    assert broken_rules(neutral("I can tell you for a fact they sold it in May.")) == ()
    assert broken_rules(neutral("I'll send you both things tonight. Safe travels, Curtis.")) == ()
    assert neutral("Drive safe!") == "drivesafe"


@pytest.fixture(scope="module")
def second() -> TrainedVectors:
    return trained_vectors(COMPLIANCE, folder=None, cache=Path("none"))


def with_second_opinion(vectors: SentenceVectors, second: TrainedVectors, text: str, *, partial: bool = False) -> list[Finding]:
    """What is found with the answer of the second model to what it was asked."""
    detector, reading = ComplianceDetector(), reading_of(vectors, text, "agent", partial=partial)
    doubtful = detector.doubts(reading)
    answered = dataclasses.replace(reading, second=dict(zip(doubtful, second.embed(doubtful), strict=True)))
    return detector.feed(answered, Conversation())


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("He told me over lunch he'd sign at four ten, so that's where I'd start if I were you.", "dual_agency"),
        ("You'd be happier over by the temple, that's where your people are.", "fair_housing"),
        ("The title girl covers my sign budget, so let's close with her.", "kickback"),
        ("Offer the buyer side less and nobody in this town brings you a soul.", "fee_fixing"),
        ("Put it on the market Thursday and I'd bet my license it's gone by Sunday.", "guarantee"),
    ],
)
def test_what_is_said_in_passing_is_heard_by_the_second_model(
    vectors: SentenceVectors, second: TrainedVectors, text: str, label: str
) -> None:
    """A slip without its telling word."""
    assert label in {f.label for f in with_second_opinion(vectors, second, text)}


@pytest.mark.parametrize(
    "text",
    [
        "My fee is five percent, and that's something we can talk about.",
        "I can't tell you what they'd take, they hired me to keep that to myself.",
        "That's one for your accountant, I'd only be guessing.",
        "Is it okay with you if I record this, so I don't miss anything?",
        "There are three lenders on the list and you can pick any other, I get nothing from them.",
        "The bus stops on Church Street and there's a ramp at the back door.",
        "Saturday at ten works.",
        "",
    ],
)
def test_the_second_model_hears_nothing_in_lawful_talk(vectors: SentenceVectors, second: TrainedVectors, text: str) -> None:
    """What only sounds like a slip, and plain talk."""
    assert with_second_opinion(vectors, second, text) == []


def test_the_second_model_is_asked_about_the_agents_words_only(vectors: SentenceVectors) -> None:
    """The prospect's words never, half a turn only where the first head finds something likely in it; never more than nine."""
    detector = ComplianceDetector()
    slip = "I guarantee you'll get full price."
    assert detector.doubts(reading_of(vectors, slip, "prospect")) == []
    assert detector.doubts(reading_of(vectors, "Saturday at ten works.", "agent", partial=True)) == []
    assert detector.doubts(reading_of(vectors, slip, "agent", partial=True)) == [slip]
    turn = " ".join([slip, "Saturday works.", "How many rooms?"])
    assert detector.doubts(reading_of(vectors, turn, "agent"))[0] == turn
    many = " ".join(
        f"{day} works, and I guarantee you'll get full price for the {room}." for day in ("Monday", "Friday") for room in "abcde"
    )
    assert len(detector.doubts(reading_of(vectors, many, "agent"))) == 9
