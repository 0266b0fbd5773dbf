import math
import random
from collections.abc import Iterator

import pytest

from coaching.experiments import (
    CONTROL,
    ERROR,
    MEANING,
    STRATEGIES,
    Evidence,
    Outcome,
    assigned,
    interval,
    preferred,
    report_of,
)
from coaching.playbook import load

_RUNS = 300
_PAIRS = 250
_LIMIT = math.log(len(STRATEGIES[1:]) / ERROR)


def _calls(dice: random.Random, n: int, share: dict[str, float]) -> Iterator[Outcome]:
    for number in range(n):
        strategy = assigned("trial", f"person {dice.random()}")
        won = dice.random() < share.get(strategy, 0.3)
        yield Outcome(strategy, str(number), True, "appointment" if won else "lost")


def test_a_person_keeps_a_strategy() -> None:
    """The same person has the same strategy in one experiment, and people are spread evenly over the five."""
    people = [f"p{i}" for i in range(5000)]
    assert all(assigned("spring", p) == assigned("spring", p) for p in people)
    counts = [sum(assigned("spring", p) == s for p in people) for s in STRATEGIES]
    assert min(counts) > 900
    assert sum(assigned("spring", p) != assigned("autumn", p) for p in people) > 3500


def test_each_strategy_changes_what_the_shipped_playbook_says() -> None:
    """In the shipped playbook every strategy prefers some sayings to others in at least five objections."""
    book = load()
    for strategy in STRATEGIES[1:]:
        chosen = [preferred([s.text for s in a.say], strategy) for a in book.objections.values()]
        assert sum(len(c) < len(a.say) for c, a in zip(chosen, book.objections.values(), strict=True)) >= 5, strategy
    assert preferred(["A.", "B?"], CONTROL) == ["A.", "B?"]
    assert preferred(["No word fits."], "facts_first") == ["No word fits."]


def test_looking_after_every_call_claims_falsely_no_more_often_than_said() -> None:
    """Where nothing differs, the chance that one of four comparisons is ever claimed stays below 5 %, at any share."""
    dice = random.Random(1)
    for share in (0.05, 0.3, 0.6):
        false = 0
        for _ in range(_RUNS):
            sides = [Evidence() for _ in STRATEGIES[1:]]
            for _ in range(_PAIRS):
                control = dice.random() < share
                for each in sides:
                    each.feed(0, control)
                    each.feed(1, dice.random() < share)
            false += any(each.most >= _LIMIT for each in sides)
        assert false / _RUNS <= ERROR + 3 * math.sqrt(ERROR * (1 - ERROR) / _RUNS)


def test_the_usual_test_looked_at_after_every_call_claims_falsely_far_more_often() -> None:
    """The simulation can fail: a z-test of the same data at the same error, stopped when it pleases, errs many times as often."""
    dice, false = random.Random(2), 0
    for _ in range(_RUNS):
        won = [0, 0]
        for n in range(1, _PAIRS + 1):
            won = [won[0] + (dice.random() < 0.3), won[1] + (dice.random() < 0.3)]
            pooled = sum(won) / (2 * n)
            spread = math.sqrt(2 * pooled * (1 - pooled) / n) if 0 < pooled < 1 else math.inf
            if n >= 10 and abs(won[0] - won[1]) / n > 1.96 * spread:
                false += 1
                break
    assert false / _RUNS > 3 * ERROR


def test_a_real_difference_is_found() -> None:
    """Thirty points more won calls are claimed within 200 calls of each strategy, nearly always."""
    dice, found = random.Random(3), 0
    for _ in range(60):
        evidence = Evidence()
        for _ in range(200):
            evidence.feed(0, dice.random() < 0.3)
            evidence.feed(1, dice.random() < 0.6)
        found += evidence.most >= _LIMIT
    assert found >= 54


def test_an_interval_holds_at_every_time_at_once() -> None:
    """The true share lies outside the confidence sequence at some time in at most the chance said."""
    dice, error, out = random.Random(4), 0.1, 0
    for _ in range(200):
        won = 0
        for n in range(1, 201):
            won += dice.random() < 0.25
            low, high = interval(won, n, error)
            if not low <= 0.25 <= high:
                out += 1
                break
    assert out / 200 <= error + 3 * math.sqrt(error * (1 - error) / 200)
    assert interval(0, 0, error) == (0.0, 1.0)
    low, high = interval(500, 1000, error)
    assert 0.42 < low < 0.5 < high < 0.58


def test_without_enough_calls_nothing_is_claimed() -> None:
    """However lopsided, a handful of calls gives no claim in words."""
    report = report_of([Outcome(s, f"{s}{i}", True, "appointment" if s == "ask_first" else "lost") for s in STRATEGIES for i in range(5)])
    assert {a.verdict for a in report.arms} == {"too_few"}
    assert not report.stop
    assert report.says.startswith("No claim yet")


def test_a_better_strategy_is_said_with_its_interval() -> None:
    """A strategy that wins twice as often is called better, with an uplift that lies within its interval."""
    report = report_of(_calls(random.Random(5), 4000, {"ask_first": 0.62}))
    (best,) = [a for a in report.arms if a.strategy == "ask_first"]
    assert best.verdict == "better"
    assert best.uplift is not None
    assert best.uplift_low is not None
    assert best.uplift_high is not None
    assert 0 < best.uplift_low < best.uplift < best.uplift_high
    assert report.says.startswith("ask_first: +")
    assert [a.verdict for a in report.arms if a.strategy not in ("ask_first", CONTROL)].count("better") == 0


def test_a_strategy_that_cannot_be_worth_it_ends_the_search() -> None:
    """With very many calls and a clear loss, the experiment says that nothing is left to learn."""
    outcomes = [
        Outcome(s, f"{s}{i}", True, "lost" if i % 10 < (3 if s == CONTROL else 8) else "next_step") for i in range(600) for s in STRATEGIES
    ]
    report = report_of(outcomes)
    assert {a.verdict for a in report.arms[1:]} <= {"worse", "not_worth_it"}
    assert report.stop


@pytest.mark.parametrize(
    ("extra", "why"),
    [
        (Outcome("ask_first", "new", False, "lost"), "not_exposed"),
        (Outcome("ask_first", "new", True, ""), "no_outcome"),
        (Outcome("ask_first", "new", True, "voicemail"), "no_outcome"),
        (Outcome("ask_first", "one", True, "lost"), "called_again"),
    ],
)
def test_calls_that_do_not_count_are_named(extra: Outcome, why: str) -> None:
    """A call without a card, without a talk or of a person already counted is left out and said so."""
    report = report_of([Outcome("ask_first", "one", True, "appointment"), extra])
    assert report.left_out[why] == 1
    assert sum(a.calls for a in report.arms) == 1


def test_every_strategy_says_what_it_means() -> None:
    """Five strategies, each with a sentence, the first being the playbook as it is."""
    assert len(MEANING) == 5
    assert STRATEGIES[0] == CONTROL
