"""Numbers in captions."""

import pytest

from voice.numerals import written


@pytest.mark.parametrize(
    ("spoken", "wanted"),
    [
        ("we paid four hundred and fifty thousand dollars for it", "we paid $450,000 for it"),
        ("four hundred fifty thousand dollars.", "$450,000."),
        ("about 450 thousand dollars", "about $450,000"),
        ("about 450,000 dollars", "about $450,000"),
        ("$450,000 is too much", "$450,000 is too much"),
        ("one point two million dollars", "$1.2 million"),
        ("a three percent commission", "a 3% commission"),
        ("six point five percent", "6.5%"),
        ("three bedrooms and two and a half baths", "3 bed, 2.5 bath"),
        ("3 bedrooms, 2 bathrooms", "3 bed, 2 bath"),
        ("a three bedroom house", "a 3 bedroom house"),
        ("built in nineteen ninety five", "built in 1995"),
        ("in twenty twenty four", "in 2024"),
        ("closing on March twenty-first", "closing on March 21"),
        ("the third of June", "June 3"),
        ("two thousand square feet", "2,000 square feet"),
        ("twenty five hundred a month", "2500 a month"),
    ],
)
def test_a_number_is_written_as_people_write_it(spoken: str, wanted: str) -> None:
    """A spoken number gets the form that a person would type."""
    assert written(spoken) == wanted


@pytest.mark.parametrize(
    "spoken",
    ["one of them said so", "two or three times", "You know, I may not.", "at first I thought", "number one agent", "a second opinion", ""],
)
def test_a_word_that_counts_nothing_stays(spoken: str) -> None:
    """Ordinary words are left as they are."""
    assert written(spoken) == spoken


@pytest.mark.parametrize("text", ["$450,000", "3 bed, 2.5 bath", "6.5%", "June 3", "$1.2 million"])
def test_written_twice_is_written_once(text: str) -> None:
    """The written form is a fixed point."""
    assert written(text) == text
