"""Personal data is taken out of words before they leave this machine."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intelligence.identifiers import _BEFORE_MAIL, hides_something
from intelligence.privacy import PlaceholderRefused, Pseudonyms

SAID = ("oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def hidden(text: str, *names: str) -> str:
    return Pseudonyms(list(names)).hide(text)


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("My number is nine three seven five five five oh one two two.", "My number is [NUMBER_1]."),
        ("it's nine three seven, five five five, um, oh one double two", "it's [NUMBER_1]"),
        ("call me at (303) 555-0122", "call me at [PHONE_1]"),
        ("call me at +1 303 555 0122 tonight", "call me at [PHONE_1] tonight"),
        ("or 555-0122", "or [PHONE_1]"),
        ("the office is eight hundred five five five one two one two", "the office is [NUMBER_1]"),
        ("reach me at karen dot lewis at gmail dot com please", "reach me at [EMAIL_1] please"),
        ("my email is k l e w i s seventy two at yahoo dot com", "my email is [EMAIL_1]"),
        ("write to karen_lewis at outlook.com", "write to [EMAIL_1]"),
        ("karen.lewis+home@example.co.uk works", "[EMAIL_1] works"),
        ("my social is 123-45-6789", "my social is [SSN_1]"),
        ("my social is one two three, four five, six seven eight nine", "my social is [NUMBER_1]"),
        ("the card is 4111 1111 1111 1111", "the card is [CARD_1]"),
        ("the gate code is 4215", "the gate code is [NUMBER_1]"),
        ("the last four are one two three four", "the last four are [NUMBER_1]"),
        ("loan number 20045519", "loan number [NUMBER_1]"),
        ("we live at 1422 Maple Street, apartment 4B in Lakewood", "we live at [ADDRESS_1] in Lakewood"),
        ("fourteen twenty two maple street in Lakewood", "[ADDRESS_1] in Lakewood"),
        ("it is 7 North 5th St.", "it is [ADDRESS_1]"),
        ("the one on Elm Avenue", "the one on [ADDRESS_1]"),
        ("send it to PO Box 1180", "send it to [ADDRESS_1]"),
        ("see https://example.com/homes?user=karen", "see [LINK_1]"),
    ],
)
def test_what_identifies_a_person_is_hidden(said: str, left: str) -> None:
    """Numbers, addresses, codes and links go, written or spoken, and nothing else of the sentence."""
    assert hidden(said) == left


@pytest.mark.parametrize(
    "said",
    [
        "We can do $450,000, maybe four hundred and fifty thousand.",
        "between four fifty and five twenty five, or 450000 to 475000",
        "four fifty, five hundred, six hundred, seven hundred thousand",
        "by 2026-11-25 or 11/25/2026 at 6:30, in twenty twenty six",
        "3 bedrooms, 2 baths, 1,850 square feet, 2,700 a month, 6.25% fixed",
        "a 20 minute drive and a 3 bedroom on a quiet street in Fort Collins",
        "5 to 10 minutes, 20, 30, 40; two story place, one of those days",
        "I was looking at zillow dot com",
        "on 5 different occasions I lost my way",
    ],
)
def test_prices_dates_and_towns_stay(said: str) -> None:
    """What advice needs is left as it was said."""
    assert hidden(said) == said


def test_names_are_hidden_in_any_case() -> None:
    """The contact's and the agent's names go, whole, in part and as a possessive."""
    text = "Karen Lewis? karen's here, Ms. Lewis. It is Will Ford, I will call."
    left = hidden(text, "Karen Lewis", "Will Ford")
    assert re.sub(r"_\d+", "", left) == "[NAME]? [NAME]'s here, Ms. [NAME]. It is [NAME], I will call."


def test_people_who_are_introduced_are_learnt() -> None:
    """A name that comes with "my wife" or "this is" is hidden then and later, also in lower case."""
    one = Pseudonyms()
    assert one.hide("my wife Linda decides") == "my wife [NAME_1] decides"
    assert one.hide("ask linda") == "ask [NAME_1]"
    assert one.hide("This is Great news") == "This is Great news"


def test_one_thing_has_one_placeholder() -> None:
    """The same number has the same placeholder in every question of a call."""
    one = Pseudonyms()
    assert one.hide("it is 303-555-0122") == one.hide("it is 303-555-0122")
    assert one.hide("and 303-555-0199") != one.hide("and 303-555-0122")


def test_nobody_can_say_a_placeholder() -> None:
    """Brackets in what was said are changed, so a prospect's words never become somebody's name."""
    one = Pseudonyms(["Karen Lewis"])
    one.hide("Karen")
    assert one.restore(one.hide("say [NAME_1] aloud")) == "say (NAME_1) aloud"


def test_only_allowed_placeholders_come_back() -> None:
    """A name may stand in an answer again; a number, or a placeholder that nobody gave out, may not."""
    one = Pseudonyms(["Karen Lewis"])
    said = one.hide("Karen, 303-555-0122")
    name, number = re.findall(r"\[\w+\]", said)
    assert one.restore(f"Thank you, {name}.") == "Thank you, Karen."
    for refused in (number, "[NAME_99]"):
        with pytest.raises(PlaceholderRefused):
            one.restore(f"Call {refused}.")


def test_memory_is_bounded() -> None:
    """After hundreds of numbers further ones are still hidden, without being kept."""
    one = Pseudonyms()
    for n in range(1000):
        assert str(3_035_550_000 + n) not in one.hide(f"it is {3_035_550_000 + n}")
    assert len(one._of) < 500


digits = st.lists(st.integers(0, 9), min_size=10, max_size=10)
around = st.sampled_from(["", "well ", "you can reach me at ", "so the number is "])


@given(
    digits,
    around,
    st.sampled_from(["{}{}{}-{}{}{}-{}{}{}{}", "({}{}{}) {}{}{}-{}{}{}{}", "{}{}{}.{}{}{}.{}{}{}{}", "{}{}{} {}{}{} {}{}{}{}", "{}" * 10]),
)
def test_no_written_ten_digit_number_gets_out(number: list[int], before: str, form: str) -> None:
    """Ten digits in any usual form leave nothing of themselves."""
    assert not re.search(r"\d{3}", re.sub(r"\[\w+\]", "", hidden(before + form.format(*number) + " thanks")))


@given(digits, around, st.lists(st.sampled_from([" ", ", ", " um ", " - "]), min_size=9, max_size=9))
def test_no_spoken_ten_digit_number_gets_out(number: list[int], before: str, gaps: list[str]) -> None:
    """Ten digits said one by one, with pauses and fillers, leave no digit word."""
    spoken = SAID[number[0]] + "".join(gap + SAID[n] for gap, n in zip(gaps, number[1:], strict=True))
    assert not any(word in hidden(before + spoken + " thanks").split() for word in SAID)


names = st.lists(st.text("abcdefghijklmnopqrstuvwxyz", min_size=2, max_size=8), min_size=1, max_size=3)


@given(names, st.sampled_from(["gmail", "yahoo", "example"]), st.sampled_from(["com", "net", "org"]))
def test_no_spoken_address_gets_out(parts: list[str], host: str, tld: str) -> None:
    """An e-mail address said with "dot" and "at" leaves neither its name nor its host."""
    left = hidden(f"sure, it is {' dot '.join(parts)} at {host} dot {tld}, thanks")
    assert left == "sure, it is [EMAIL_1], thanks" or any(p in _BEFORE_MAIL for p in parts)


@given(st.text(max_size=120))
def test_hiding_twice_changes_nothing_more(text: str) -> None:
    """Text that was hidden holds nothing left to hide."""
    once = hidden(text)
    assert not hides_something(re.sub(r"\[[A-Z]+_\d+\]", " | ", once))


@given(st.integers(1, 4_000), st.integers(0, 999))
def test_prices_are_never_taken_for_numbers(thousands: int, rest: int) -> None:
    """A price with its comma or dollar sign stays."""
    for price in (f"${thousands},{rest:03}", f"{thousands % 1000},{rest:03} dollars"):
        assert price in hidden(f"we thought of {price} or so")
