from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intelligence.conversation.timeframes import timeframes_in

_TODAY = date(2026, 3, 2)  # a Monday
_WITHIN = 7  # days: "the end of June" begins where a speaker feels it does

# what was said -> (earliest, latest) in days from that Monday
_SAID = (
    ("in by March thirty first", [(0, 29)]),
    ("by the end of June", [(0, 120)]),
    ("before June first", [(0, 91)]),
    ("we want to close by May 15", [(0, 74)]),
    ("sometime in July", [(121, 151)]),
    ("in a couple of months", [(60, 60)]),
    ("the baby comes on May 15 and we have to be settled in by then", [(0, 74)]),
    ("they report for duty on July first, and if it isn't sold by then they pay twice", [(0, 121)]),
    ("two to three months", [(60, 90)]),
    ("in the next six months", [(0, 180)]),
    ("within ninety days", [(0, 90)]),
    ("six to nine months out", [(180, 270)]),
    ("about a year from now", [(365, 365)]),
    ("next spring", [(364, 455)]),
    ("this summer", [(91, 182)]),
    ("in the fall", [(183, 273)]),
    ("before school starts", [(0, 176)]),
    ("when school lets out", [(100, 100)]),
    ("after the holidays", [(306, None)]),
    ("by Christmas", [(0, 298)]),
    ("not before January", [(305, 335)]),
    ("after Labor Day", [(189, None)]),
    ("by Thanksgiving", [(0, 269)]),
    ("before Memorial Day", [(0, 84)]),
    ("by the fourth of July", [(0, 124)]),
    ("end of the year", [(274, 304)]),
    ("by the end of the year", [(0, 304)]),
    ("sometime next year", [(305, 669)]),
    ("early next year", [(305, 394)]),
    ("later this year", [(0, 304)]),
    ("our lease is up in August", [(152, 182)]),
    ("the lease runs through September", [(183, 212)]),
    ("lease ends on the thirtieth of June", [(120, 120)]),
    ("early April", [(30, 39)]),
    ("late October", [(232, 243)]),
    ("mid September", [(192, 202)]),
    ("the middle of May", [(69, 79)]),
    ("first week of April", [(30, 36)]),
    ("by the end of the month", [(0, 29)]),
    ("next month", [(30, 59)]),
    ("by the end of next month", [(0, 59)]),
    ("as soon as possible", [(0, 30)]),
    ("right away", [(0, 30)]),
    ("we have to be out in thirty days", [(0, 30)]),
    ("sixty days", [(60, 60)]),
    ("a year and a half", [(547, 547)]),
    ("two years from now", [(730, 730)]),
    ("in three weeks", [(21, 21)]),
    ("at least six months", [(180, None)]),
    ("no later than August fifteenth", [(0, 166)]),
    ("after the first of the year", [(305, None)]),
    ("in the first quarter", [(0, 29)]),
    ("second quarter", [(30, 120)]),
    ("q3", [(121, 212)]),
    ("between May and July", [(60, 151)]),
    ("June or July", [(91, 151)]),
    ("May or June would be ideal", [(60, 120)]),
    ("from June to August", [(91, 182)]),
    ("four to six weeks", [(28, 42)]),
    ("by the fifteenth", [(0, 13)]),
    ("I start the new job on April sixth", [(35, 35)]),
    ("on the twenty second of May", [(81, 81)]),
    ("we'd wait until after Easter", [(34, None)]),
    ("when the weather gets nicer, May maybe", [(60, 90)]),
    ("this time next year", [(365, 365)]),
    ("in two thousand twenty seven", [(305, 669)]),
    ("in 2027", [(305, 669)]),
    ("by spring of 2027", [(0, 364)]),
    ("in June of next year", [(456, 485)]),
    ("not until next summer", [(456, 547)]),
    ("end of summer", [(152, 182)]),
    ("in about eighteen months", [(540, 540)]),
    ("half a year", [(182, 182)]),
    ("over the next year or two", [(0, 730)]),
    ("in a year or two", [(365, 730)]),
    ("the baby is due in May", [(60, 90)]),
    ("by the time school starts in August", [(0, 176)]),
    ("the movers come on the twenty second", [(20, 20)]),
    ("before winter", [(0, 274)]),
    ("before the snow flies", [(0, 274)]),
    ("we retire in five years", [(1825, 1825)]),
    ("in a month or two", [(30, 60)]),
    ("in a few months", [(90, 90)]),
    ("a few weeks", [(21, 21)]),
    ("by tax time", [(0, 44)]),
    ("May the first", [(60, 60)]),
    ("by june 1st", [(0, 91)]),
    ("on 6/15", [(105, 105)]),
    ("until my lease is up at the end of July", [(145, 151)]),
    ("next week", [(7, 13)]),
    ("Saturday", [(5, 5)]),
    ("tomorrow", [(1, 1)]),
    ("this weekend", [(5, 6)]),
    ("after graduation in June", [(100, None)]),
    ("we've got thirty days to get out", [(0, 30)]),
    ("we need an answer in two weeks", [(0, 14)]),
    ("in the next two weeks", [(0, 14)]),
    ("in the next couple of weeks", [(0, 14)]),
    ("over the next few months", [(0, 90)]),
    ("in the next month or two", [(0, 60)]),
    ("sometime over the next year", [(0, 365)]),
    ("the week after Labor Day", [(196, 202)]),
    ("a week after Labor Day we could list", [(196, 200)]),
    ("Thanksgiving week", [(269, 269)]),
    ("the day after Thanksgiving", [(270, 270)]),
    ("two weeks after Thanksgiving", [(283, 283)]),
    ("a month before Christmas", [(268, 268)]),
    ("the second half of the year", [(121, 304)]),
    ("first half of next year", [(305, 485)]),
    ("between now and June", [(0, 91)]),
    ("by year's end", [(0, 304)]),
    ("first thing next year", [(305, 395)]),
    ("a week from Saturday", [(12, 12)]),
    ("two weeks from Friday", [(18, 18)]),
    ("the week after next", [(14, 20)]),
    ("the weekend after next", [(19, 20)]),
    ("in six weeks' time", [(42, 42)]),
    ("eight to ten weeks", [(56, 70)]),
    ("nine months or so", [(270, 270)]),
    ("less than a year", [(0, 365)]),
    ("at least a year", [(365, None)]),
    ("more than a year from now", [(365, None)]),
    ("not for another year", [(365, None)]),
    ("not for at least six months", [(180, None)]),
    ("we have four months left on the lease", [(120, 120)]),
    ("Mother's Day", [(68, 68)]),
    ("Father's Day", [(111, 111)]),
    ("by summer", [(0, 91)]),
    ("by the start of summer", [(0, 91)]),
    ("after the summer", [(183, None)]),
    ("over the summer", [(91, 182)]),
    ("once school is out", [(100, None)]),
    ("after the school year", [(100, None)]),
    ("thirty to forty five days", [(30, 45)]),
    ("the end of the quarter", [(24, 29)]),
    ("next quarter", [(30, 120)]),
    ("August first", [(152, 152)]),
    ("on the 1st of August", [(152, 152)]),
    ("Aug 1", [(152, 152)]),
    ("about a year or so", [(365, 365)]),
    ("two, three years", [(730, 1095)]),
    ("no sooner than June", [(91, None)]),
    ("by mid-June", [(0, 108)]),
    ("by early July", [(0, 131)]),
    ("toward the end of April", [(50, 59)]),
    ("around the first of May", [(60, 60)]),
    ("around Memorial Day", [(84, 84)]),
    ("right after the fourth of July", [(124, None)]),
    ("later this month", [(20, 29)]),
    ("early next week", [(7, 10)]),
    ("late next week", [(10, 13)]),
    ("the end of next week", [(11, 13)]),
    ("late spring", [(60, 90)]),
    ("early summer", [(91, 121)]),
    ("mid-summer", [(121, 151)]),
    ("late summer", [(152, 182)]),
    ("November or December", [(244, 304)]),
    ("October", [(213, 243)]),
    ("first two weeks of May", [(60, 75)]),
    ("the first week of May", [(62, 68)]),
    ("less than 45 days", [(0, 45)]),
    ("45 to 60 days", [(45, 60)]),
    ("in half a year", [(182, 182)]),
    ("five or six months", [(150, 180)]),
    ("five-six months", [(150, 180)]),
    ("a year or two", [(365, 730)]),
    ("sixty days at the most", [(0, 60)]),
    ("before August", [(0, 152)]),
    ("by the end of August", [(0, 182)]),
    ("before the kids go back to school", [(0, 175)]),
    ("in time for the school year", [(0, 175)]),
    ("January", [(305, 335)]),
    ("February of next year", [(336, 363)]),
    ("I wanted this done yesterday, as soon as humanly possible", [(0, 30)]),
    ("ASAP", [(0, 30)]),
    ("by the weekend", [(0, 7)]),
    ("on the twenty eighth", [(26, 26)]),
    ("the lease is up on the thirty first", [(29, 29)]),
    ("june thirtieth", [(120, 120)]),
    ("june eighteenth", [(108, 108)]),
    ("june thirtieth at the latest", [(0, 120)]),
    ("at least two years out", [(730, None)]),
    ("five years from now", [(1825, 1825)]),
    ("six months to a year", [(180, 365)]),
    ("this time next year", [(365, 365)]),
    ("in june sometime", [(91, 120)]),
    ("after the first of the year", [(305, None)]),
    ("the first week of December", [(273, 280)]),
    ("give me till june", [(91, 121)]),
    ("I retire May first", [(60, 60)]),
    ("end of September", [(212, 212)]),
    ("after Memorial Day weekend", [(90, None)]),
    ("18 months", [(540, 540)]),
    ("ten days from today", [(10, 10)]),
    ("this Friday", [(4, 4)]),
    ("Friday week", [(11, 11)]),
    ("next Wednesday", [(9, 9)]),
    ("our lease is up June thirtieth so before that", [(0, 120)]),
    ("December", [(274, 304)]),
    ("four weeks from today", [(28, 28)]),
    ("sometime between summer and the fall", [(91, 273)]),
)
_NO_TIME = (
    "we've lived here for ten years",
    "two years ago",
    "I may sell it",
    "prices could fall",
    "a thirty year mortgage",
    "three year old roof",
    "we bought it in 2012",
    "he's been an agent for six months",
    "march over there",
    "the last two months have been slow",
    "the second one",
    "It's thirty years old.",
    "we've had it listed for three months",
    "a year ago we would have said yes",
    "I was there for two months",
    "a thirty year fixed",
    "they redid it last summer",
    "we looked at it last fall",
    "Since January we've seen ten.",
    "back in May we tried",
    "may I ask who's calling",
    "I may have to",
    "the twelve month contract",
    "every summer we go to the lake",
    "it snowed yesterday",
    "I was born in June",
    "we moved here in two thousand nine",
)


@pytest.mark.parametrize(("text", "wanted"), _SAID)
def test_a_time_is_counted_from_the_day_of_the_call(text: str, wanted: list[tuple[int | None, int | None]]) -> None:
    """Dates and spans as people say them become days from the call, open where the words leave them open."""
    found = [(f.earliest_days, f.latest_days) for f in timeframes_in(text, _TODAY)]
    assert len(found) == len(wanted)
    for heard, want in zip(found, wanted, strict=True):
        assert [h is None for h in heard] == [w is None for w in want]
        assert all(w is None or h is None or abs(h - w) <= max(_WITHIN, w * 0.06) for h, w in zip(heard, want, strict=True))


@pytest.mark.parametrize("text", _NO_TIME)
def test_what_lies_behind_or_is_no_time_is_none(text: str) -> None:
    """The past, ages, terms of loans and words that only look like a month are no timeframe."""
    assert timeframes_in(text, _TODAY) == []


@given(st.dates(date(2024, 1, 1), date(2034, 12, 31)), st.integers(2, 300))
def test_a_date_named_is_that_many_days_away(today: date, ahead: int) -> None:
    """A month and day within the year is found on that very day."""
    when = today + timedelta(days=ahead)
    (frame,) = timeframes_in(f"we close on {when:%B} {when.day}", today)
    assert (frame.earliest_days, frame.latest_days) == (ahead, ahead)


@given(st.integers(2, 90), st.sampled_from([("days", 1), ("weeks", 7), ("months", 30)]))
def test_a_span_within_begins_now(count: int, unit: tuple[str, int]) -> None:
    """ "within N weeks" reaches from today to then."""
    (frame,) = timeframes_in(f"within {count} {unit[0]}", _TODAY)
    assert (frame.earliest_days, frame.latest_days) == (0, count * unit[1])


@given(st.text(max_size=120), st.dates(date(2024, 1, 1), date(2034, 12, 31)))
def test_any_text_gives_times_ahead(text: str, today: date) -> None:
    """Whatever the text, a timeframe lies in it and never before the call."""
    for frame in timeframes_in(text, today):
        assert 0 <= frame.start < frame.end <= len(text)
        assert (frame.earliest_days or 0) >= 0
        assert (frame.latest_days or 0) >= 0
