"""The number guard: figures that somebody said, and arithmetic that can be shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coaching.figures import FigureSources


def heard(*texts: str) -> FigureSources:
    sources = FigureSources()
    for text in texts:
        sources.hear(text)
    return sources


@pytest.mark.parametrize(
    "sentence",
    [
        "At $450,000 what would feel fair?",
        "Four hundred and fifty thousand is a lot.",
        "So 450 thousand, three bedrooms, by May 3?",
        "One of those two could work.",
        "6.25% it is.",
        "No figure at all.",
    ],
)
def test_what_was_heard_may_be_said(sentence: str) -> None:
    """A figure that somebody said may stand on a card in any spelling; small counting words are no figures."""
    assert (
        heard("We'd go to four hundred and fifty thousand dollars for three bedrooms", "by May third, at 6.25 percent").workings(sentence)
        == []
    )


@pytest.mark.parametrize(
    "sentence",
    [
        "At $460,000 you win.",
        "Rates are at 5.9 percent.",
        "I sold twelve homes.",
        "In ninety days it is gone.",
        "4.5% of it.",
        "Save $22,501.",
    ],
)
def test_what_nobody_said_may_not(sentence: str) -> None:
    """A figure without a source is found, in digits and in words, also when it is near a known one."""
    assert heard("We thought of $450,000 and 5 percent").workings(sentence) is None


def test_a_short_price_is_the_price_it_means() -> None:
    """ "Four fifty" said of a budget is the source of $450,000."""
    assert heard("our budget is four fifty").workings("Up to $450,000, then?") == []


@pytest.mark.parametrize(
    ("sources", "sentence", "working"),
    [
        ("The house is $450,000, they pay half a percent.", "Half a percent of $450,000 is $2,250.", "0.5 % of $450,000 = $2,250"),
        ("You ask $500,000, they offered $480,000.", "That is $20,000 apart.", "$500,000 − $480,000 = $20,000"),
        ("It is $2,000 a month.", "That is $24,000 a year.", "12 × $2,000 = $24,000"),
        ("$300,000 for the house and $20,000 for the roof", "Together $320,000.", "$300,000 + $20,000 = $320,000"),
    ],
)
def test_arithmetic_is_a_source_and_is_shown(sources: str, sentence: str, working: str) -> None:
    """The result of plain arithmetic on two heard figures may be said, and its working comes with it."""
    assert heard(sources).workings(sentence) == [working]


def test_wrong_arithmetic_is_no_source() -> None:
    """A result that does not come out to the dollar has no source."""
    assert heard("$450,000 at half a percent").workings("Half a percent of $450,000 is $2,500.") is None


@given(st.integers(1000, 2_000_000), st.integers(1, 12))
def test_a_percentage_comes_out(price: int, percent: int) -> None:
    """Whole percents of any price are known, and a dollar more is not."""
    sources, result = heard(f"${price:,} and {percent}%"), price * percent / 100
    assert sources.workings(f"That is ${result:,.2f}.") is not None
    assert sources.workings(f"That is ${result + 1.7:,.2f}.") is None
