"""What may be dialled through us."""

import datetime
from pathlib import Path

import pytest

from web.do_not_call import put_on
from web.phones.dialing import DialingPolicy, may_dial
from web.store import Store

NOON_IN_CHICAGO = datetime.datetime(2026, 6, 1, 17, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    "dialled",
    ["911", "9911", "91911", "+911", "1911", "9-1-1", "911 666 1234", "933", "112", "988", "711", "311", "sip:911@us;user=phone",
     "tel:911;phone-context=+1", "urn:service:sos.police", "<sip:9911@10.0.0.1>"],
)  # fmt: skip
def test_an_emergency_never_passes_through_us(dialled: str) -> None:
    """911, 933 and the other services are refused however they are dressed, whatever is opened."""
    verdict = DialingPolicy(open=("+1", "+9", "US"), premium=("+1", "+9")).weigh(dialled)
    assert verdict.refused == "emergency"
    assert "own telephone line" in verdict.why


@pytest.mark.parametrize(
    ("dialled", "refused"),
    [
        ("(312) 555-0100", ""), ("13125550100", ""), ("800 555 0100", ""), ("1001", ""), ("sip:+13125550100@trunk", ""),
        ("+442079460958", "foreign"), ("011 44 20 7946 0958", "foreign"), ("876 555 1234", "foreign"), ("416 555 0100", "foreign"),
        ("+911234567890", "foreign"), ("900 555 1234", "premium"), ("312 976 1234", "premium"), ("+881612345678", "premium"),
        ("+979123456789", "premium"), ("hello", "not_a_number"), ("", "not_a_number"), ("555-0100", "not_a_number"), ("*67", "not_a_number"),
    ],
)  # fmt: skip
def test_abroad_and_premium_are_closed_at_first(dialled: str, refused: str) -> None:
    """The own country's ordinary numbers and extensions pass; Jamaica and Canada are abroad though they are dialled like home."""
    assert DialingPolicy().weigh(dialled).refused == refused


@pytest.mark.parametrize(
    ("dialled", "refused"),
    [("416 555 0100", ""), ("+442079460958", ""), ("+441619460958", "foreign"), ("900 555 1234", ""), ("+33123456789", "foreign")],
)
def test_what_was_opened_is_open_and_no_more(dialled: str, refused: str) -> None:
    """A country or a prefix opens itself only."""
    assert DialingPolicy(open=("CA", "+4420"), premium=("+1900",)).weigh(dialled).refused == refused


def test_opening_a_country_opens_no_premium_there() -> None:
    """Premium numbers want an opening of their own."""
    assert DialingPolicy(open=("GB",)).weigh("+449098790000").refused == "premium"


@pytest.mark.parametrize(
    ("number", "hour", "refused"),
    [("312 555 0100", 13, "quiet_hours"), ("312 555 0100", 14, ""), ("312 555 0100", 2, ""), ("312 555 0100", 3, "quiet_hours"),
     ("415 555 0100", 15, "quiet_hours"), ("415 555 0100", 16, ""), ("800 555 0100", 9, ""), ("1001", 9, "")],
)  # fmt: skip
def test_quiet_hours_are_the_callees(number: str, hour: int, refused: str) -> None:
    """8 to 21 by the clock where it rings: in January Chicago is six hours behind UTC, San Francisco eight."""
    assert DialingPolicy().quiet(number, datetime.datetime(2026, 1, 15, hour, 30, tzinfo=datetime.UTC)).refused == refused


async def test_a_listed_number_is_refused_with_the_reason(tmp_path: Path) -> None:
    """Who asked not to be called is refused in any spelling; an emergency is named before any list is asked."""
    store = await Store.open(tmp_path)
    try:
        policy = DialingPolicy()
        assert (await may_dial(policy, store, "312 555 0100", NOON_IN_CHICAGO)).allowed
        assert await put_on(store, "+1 312 555 0100", "asked by letter")
        refused = await may_dial(policy, store, "sip:+13125550100@trunk", NOON_IN_CHICAGO)
        assert (refused.refused, refused.why) == ("do_not_call", "This number asked not to be called.")
        assert (await may_dial(policy, store, "911", NOON_IN_CHICAGO)).refused == "emergency"
        at_night = await may_dial(policy, store, "312 555 0101", NOON_IN_CHICAGO + datetime.timedelta(hours=12))
        assert at_night.refused == "quiet_hours"
    finally:
        await store.close()
