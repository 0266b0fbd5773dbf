import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intelligence.conversation.amounts import amounts_in
from intelligence.conversation.spoken_numbers import numbers_in
from voice.numerals import written

_UNITS = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")

# what was said -> (least, most, role) of each amount; a role None is not looked at
_SAID = (
    ("Insurance went from $1,900 to $4,100 a year", [(1900, 1900, None), (4100, 4100, None)]),
    ("a million two a million three doesn't scare me", [(1200000, 1300000, None)]),
    ("my 401(k) loan gets me there", []),
    ("one point one is way more than I thought", [(1100000, 1100000, None)]),
    ("if it's over 2,900 a month I'm out", [(None, 2900, "payment")]),
    ("i could do twenty four hundred maybe twenty six a month", [(2400, 2600, "payment")]),
    ("we paid ninety two five in eighty six", [(92500, 92500, None)]),
    ("the top pays nineteen hundred a month", [(1900, 1900, "payment")]),
    ("Bring me seven and a quarter and I'm out by the first", [(725000, 725000, None)]),
    ("I told my landlord I'd give him three seventy for the house", [(370000, 370000, None)]),
    ("the bank told me two forty five is as high as they'll go", [(None, 245000, None)]),
    ("that's a lot for a two bedroom five twenty five really", [(525000, 525000, None)]),
    ("we gave one oh five for it in ninety four", [(105000, 105000, None)]),
    ("get me two fifteen and get me near my daughter", [(215000, 215000, None)]),
    ("the tenant upstairs gives me eighteen fifty and she's never late", [(1850, 1850, None)]),
    ("he'd need to see one point one before he'd even pick up the phone", [(1100000, 1100000, None)]),
    ("I can look at $600,000 homes now", [(600000, 600000, None)]),
    ("the septic people quoted twelve five to move the tank", [(12500, 12500, None)]),
    ("Ninety-nine nine for a two-bedroom in Zanesville, does that sound right?", [(99900, 99900, None)]),
    ("the strip center brings in twelve five a month", [(12500, 12500, "payment")]),
    ("I'd spend over eight hundred thousand but under a million", [(800000, 1000000, "budget")]),
    ("we could swing twenty two to twenty four hundred a month", [(2200, 2400, "payment")]),
    ("the neighbors got five-fifteen for the same floor plan", [(515000, 515000, None)]),
    ("the rehab runs thirty to thirty five k on top and it's maybe worth two ten", [(30000, 35000, None), (210000, 210000, None)]),
    ("Our budget is four fifty", [(450000, 450000, "budget")]),
    ("we can go up to six twenty five", [(None, 625000, "budget")]),
    ("They're asking three eighty nine nine for it", [(389900, 389900, "asking")]),
    ("they listed it at six ninety nine nine hundred", [(699900, 699900, "asking")]),
    ("it's listed at five forty-nine nine", [(549900, 549900, "asking")]),
    ("We put in an offer of four hundred ten thousand", [(410000, 410000, "offer")]),
    ("we'd offer a million two", [(1200000, 1200000, "offer")]),
    ("I won't take less than one point three million", [(1300000, None, "asking")]),
    ("one million two fifty is what they want", [(1250000, 1250000, "asking")]),
    ("a million and a half, tops", [(None, 1500000, "budget")]),
    ("we're hoping for three and a quarter", [(325000, 325000, None)]),
    ("we could spend three and a half, maybe", [(350000, 350000, "budget")]),
    ("something around a quarter million", [(250000, 250000, None)]),
    ("half a million is our limit", [(None, 500000, "budget")]),
    ("three quarters of a million", [(750000, 750000, None)]),
    ("between four and four fifty", [(400000, 450000, None)]),
    ("four to four fifty is our range", [(400000, 450000, "budget")]),
    ("anywhere from 350 to 400 thousand", [(350000, 400000, None)]),
    ("$425-450k", [(425000, 450000, None)]),
    ("we're looking in the low fives", [(500000, 530000, "budget")]),
    ("mid three hundreds", [(340000, 360000, None)]),
    ("in the mid-400s", [(440000, 460000, None)]),
    ("upper 300s", [(370000, 399000, None)]),
    ("in the high six hundreds", [(670000, 699000, None)]),
    ("We pay about twenty-two hundred a month", [(2200, 2200, "payment")]),
    ("keep the payment under three thousand", [(None, 3000, "payment")]),
    ("rent is 1850 right now", [(1850, 1850, "payment")]),
    ("our mortgage is eighteen fifty", [(1850, 1850, "payment")]),
    ("we'd be comfortable with twenty eight hundred a month", [(2800, 2800, "payment")]),
    ("no more than 3k a month", [(None, 3000, "payment")]),
    ("I can put sixty thousand down", [(60000, 60000, None)]),
    ("we've got eighty grand saved", [(80000, 80000, None)]),
    ("about forty k for repairs", [(40000, 40000, None)]),
    ("the most we can do is 515", [(None, 515000, "budget")]),
    ("we'd want at least 610 for it", [(610000, None, "asking")]),
    ("I owe two oh five on it", [(205000, 205000, None)]),
    ("we max out at five and a quarter", [(None, 525000, "budget")]),
    ("nothing over four seventy five", [(None, 475000, "budget")]),
    ("we can't go above 390,000", [(None, 390000, "budget")]),
    ("don't show me anything over six hundred", [(None, 600000, "budget")]),
    ("our ceiling's four hundred and eighty thousand dollars", [(None, 480000, "budget")]),
    ("the lender qualified us for five ten", [(510000, 510000, "budget")]),
    ("Would they take three eighty five?", [(385000, 385000, "offer")]),
    ("We came in at 405 and they countered at 420", [(405000, 405000, "offer"), (420000, 420000, "offer")]),
    ("Opendoor offered me three twelve", [(312000, 312000, "offer")]),
    ("the Zestimate is 642", [(642000, 642000, None)]),
    ("I'm not selling for less than seven hundred", [(700000, None, "asking")]),
    ("neither of us will ask under three fifty-five", [(355000, None, "asking")]),
    ("we would have to get seven to even think about it", [(700000, 700000, "asking")]),
    ("we were hoping to stay closer to four", [(400000, 400000, "budget")]),
    ("they dropped it thirty thousand", [(30000, 30000, None)]),
    ("thirty over asking is crazy", [(30000, 30000, None)]),
    ("if they come down fifteen we'd do it", [(15000, 15000, None)]),
    ("1.2 million is too rich", [(1200000, 1200000, None)]),
    ("$1.25M", [(1250000, 1250000, None)]),
    ("one two is our max", [(None, 1200000, "budget")]),
    ("the place is listed for $529,900.", [(529900, 529900, "asking")]),
    ("we budgeted 475K", [(475000, 475000, "budget")]),
    ("we have a budget of four hundred thousand to four hundred and fifty thousand", [(400000, 450000, "budget")]),
    ("i want to net two hundred after everything", [(200000, 200000, None)]),
    ("my number's five fifty, not a penny less", [(550000, None, "asking")]),
    ("six fifty or best offer", [(650000, 650000, None)]),
    ("three hundred twenty five thousand and not a penny more", [(None, 325000, "budget")]),
    ("somewhere north of five hundred", [(500000, None, None)]),
    ("a couple hundred thousand", [(200000, 200000, None)]),
    ("$4,200 a month all in", [(4200, 4200, "payment")]),
    ("HOA dues are three fifty a month", [(350, 350, "payment")]),
    ("seven hundred seventy five thousand dollars", [(775000, 775000, None)]),
    ("nine hundred K", [(900000, 900000, None)]),
    ("we said $450 but could do $475 for the right house", [(450000, 450000, None), (475000, 475000, None)]),
    ("four hundred fifty to five hundred thousand", [(450000, 500000, None)]),
    ("four fifty five hundred somewhere in there budget wise", [(450000, 500000, None)]),
    ("under a million", [(None, 1000000, "budget")]),
    ("like five, five fifty", [(500000, 550000, None)]),
    ("we could stretch to 480", [(None, 480000, "budget")]),
    ("i could probably swing thirty two hundred a month", [(3200, 3200, "payment")]),
    ("five hundred max", [(None, 500000, "budget")]),
    ("We'd list around 735", [(735000, 735000, "asking")]),
    ("they'd have to pay 550", [(550000, 550000, None)]),
    ("We paid 289 for it in 2015", [(289000, 289000, None)]),
    ("Six is the line in the sand.", [(None, 600000, None)]),
    ("Our rent just went up to 2,750.", [(2750, 2750, "payment")]),
    ("a cool million", [(1000000, 1000000, None)]),
    ("three thirty, three sixty tops", [(330000, 360000, None)]),
    ("the bank okayed us for four hundred ten", [(410000, 410000, None)]),
    ("can't go past four fifty", [(None, 450000, None)]),
    ("Four-fifty is where we'd like to be.", [(450000, 450000, None)]),
    ("it listed at 450,000", [(450000, 450000, None)]),
    ("one and a quarter million", [(1250000, 1250000, None)]),
    ("one and a half million is what they're asking", [(1500000, 1500000, None)]),
    ("they want one point two five", [(1250000, 1250000, None)]),
    ("a hundred grand from my grandmother", [(100000, 100000, None)]),
    ("we owe a hundred and fifty on it", [(150000, 150000, None)]),
    ("we pay two grand a month", [(2000, 2000, None)]),
    ("rent is 2k a month", [(2000, 2000, None)]),
    ("around three thousand monthly", [(3000, 3000, None)]),
    ("low to mid fives", [(500000, 560000, None)]),
    ("mid to high fours", [(440000, 499000, None)]),
    ("between three fifty and four", [(350000, 400000, None)]),
    ("under half a million", [(None, 500000, None)]),
    ("they're at four sixty nine nine fifty", [(469950, 469950, None)]),
    ("asking five nineteen nine", [(519900, 519900, None)]),
    ("it's three ninety nine", [(399000, 399000, None)]),
    ("a million one", [(1100000, 1100000, None)]),
    ("a million two fifty", [(1250000, 1250000, None)]),
    ("two million three", [(2300000, 2300000, None)]),
    ("five hundred even", [(500000, 500000, None)]),
    ("they want six for it", [(600000, 600000, None)]),
    ("We pay 1,650 in rent", [(1650, 1650, None)]),
    ("our payment is sixteen fifty", [(1650, 1650, None)]),
    ("four twenty or so", [(420000, 420000, None)]),
    ("just shy of five hundred", [(None, 500000, None)]),
    ("a little over four hundred", [(400000, None, None)]),
    ("a hair under six hundred", [(None, 600000, None)]),
    ("five fifty to six hundred", [(550000, 600000, None)]),
    ("four fiftyish", [(450000, 450000, None)]),
    ("four hundredish", [(400000, 400000, None)]),
    ("three hundred something", [(300000, 399000, None)]),
    ("mid three-hundreds", [(340000, 360000, None)]),
    ("six fifty for a two bedroom is nuts", [(650000, 650000, None)]),
    ("he thinks it's worth three eighty", [(380000, 380000, None)]),
    ("we bought it for two seventy five back in 2016", [(275000, 275000, None)]),
    ("can they throw in five thousand for closing costs", [(5000, 5000, None)]),
    ("taxes are twelve thousand a year", [(12000, 12000, None)]),
    ("the property taxes run eight thousand", [(8000, 8000, None)]),
    ("they want twenty thousand over list", [(20000, 20000, None)]),
    ("take twenty five off and I'm in", [(25000, 25000, None)]),
    ("350 is my limit", [(None, 350000, None)]),
    ("payment has to stay below twenty-eight hundred", [(None, 2800, None)]),
    ("can't do more than 2200 monthly", [(None, 2200, None)]),
    ("if I could get seven twenty five I'd sell tomorrow", [(725000, 725000, None)]),
    ("six to six fifty", [(600000, 650000, None)]),
    ("not letting it go for under eight", [(800000, None, None)]),
    ("nothing less than eight hundred", [(800000, None, None)]),
    ("offer them four seventy-five", [(475000, 475000, None)]),
    ("the roof's thirty grand", [(30000, 30000, None)]),
    ("the contractor quoted forty-five thousand", [(45000, 45000, None)]),
    ("nine fifty", [(950000, 950000, None)]),
    ("we're capped at four and a quarter", [(None, 425000, None)]),
    ("comps say five ten", [(510000, 510000, None)]),
    ("nine hundred to a million", [(900000, 1000000, None)]),
    ("twenty five hundred to three thousand", [(2500, 3000, None)]),
    ("my condo's worth maybe one eighty", [(180000, 180000, None)]),
    ("485 for a place with one bath?", [(485000, 485000, None)]),
    ("we said no more than four forty", [(None, 440000, None)]),
    ("I've got fifty saved for a down payment", [(50000, 50000, None)]),
    ("we have about seventy to put down", [(70000, 70000, None)]),
    ("a cash buyer offered me three thirty", [(330000, 330000, None)]),
    ("it'd have to be seven hundred", [(700000, 700000, None)]),
    ("two fifty, three hundred, somewhere in there", [(250000, 300000, None)]),
    ("in the sevens", [(700000, 799000, None)]),
    ("they listed at six oh five", [(605000, 605000, None)]),
    ("that's thirty-two hundred a month", [(3200, 3200, None)]),
    ("up to one point two", [(None, 1200000, None)]),
    ("I'd go one point three for that view", [(1300000, 1300000, None)]),
    ("if they come up to three ninety we'd sign", [(390000, 390000, None)]),
    ("the lot is sixty by one forty", []),
    ("five thirty-five sounds high", [(535000, 535000, None)]),
    ("there's fifteen k of work", [(15000, 15000, None)]),
    ("i still owe two fifteen", [(215000, 215000, None)]),
    ("an extra thousand a month", [(1000, 1000, None)]),
    ("the house next door went for six forty", [(640000, 640000, None)]),
    ("four hundred's the ceiling", [(None, 400000, None)]),
    ("i was thinking three seventy five", [(375000, 375000, None)]),
    ("450 to 480", [(450000, 480000, None)]),
    ("we need to walk away with three fifty at least", [(350000, None, None)]),
    ("two million", [(2000000, 2000000, None)]),
    ("I make eighty five thousand a year", [(85000, 85000, None)]),
    ("the HOA is four hundred", [(400, 400, None)]),
    ("could we get it for four fifteen", [(415000, 415000, "offer")]),
    ("I won't go a penny over 1.2.", [(None, 1200000, "budget")]),
    ("I'd start at one point one five", [(1150000, 1150000, None)]),
    ("spend six and a half six seventy five", [(650000, 675000, "budget")]),
    ("we can swing eighteen fifty a month, maybe two thousand", [(1850, 2000, "payment")]),
    ("what would the payment be on three ninety", [(390000, 390000, None)]),
    ("They knocked it down to $299,000.", [(299000, 299000, "asking")]),
    ("Not over thirty-two hundred all in", [(None, 3200, "payment")]),
    ("I'd take seven ten and be done with it.", [(710000, 710000, "asking")]),
    ("he low balled me at five twenty", [(520000, 520000, "offer")]),
    ("We'd go full price, five forty-nine.", [(549000, 549000, "offer")]),
    ("Something in the low threes, before the baby comes", [(300000, 330000, "budget")]),
    ("The fella from RE/MAX said he'd only charge us five thousand flat.", [(5000, 5000, None)]),
    ("dump it one eighty one ninety whatever", [(180_000, 190_000, None)]),
    ("four fifty four seventy five", [(450_000, 475_000, None)]),
    ("We could do, um, six at the very top", [(None, 600_000, None)]),
    ("I'd listen at six and a quarter. Under six, don't even bring it to me.", [(625_000, 625_000, None), (600_000, None, None)]),
    ("so it's more like three eighty-something", [(380_000, 389_999, None)]),
    ("the payoff's one eighty-eight and change", [(188_000, 188_999, None)]),
    ("is there any wiggle room on the 289 9", [(289_900, 289_900, None)]),
    ("we'd spend a million two, a million three", [(1_200_000, 1_300_000, None)]),
    ("eighteen hundred, two thousand a month on the mortgage", [(1_800, 2_000, "payment")]),
    ("a gal says she can get me seven, seven and a quarter", [(700_000, 725_000, None)]),
    ("anything over 700 000 is a no from me", [(None, 700_000, None)]),
    ("anything in plano past 650 is robbery", [(None, 650_000, None)]),
    ("we haven't found a single thing under three hundred in Boise", [(None, 300_000, None)]),
    ("One point one, firm.", [(1_100_000, 1_100_000, "asking")]),
    ("Would they take five even?", [(500_000, 500_000, "offer")]),
    ("What would my payment be at four hundred?", [(400_000, 400_000, None)]),
    ("I put sixty in the kitchen", [(60_000, 60_000, None)]),
    ("two thousand eighty is what we pay now", [(2_080, 2_080, None)]),
    ("between us we've got for forty", [(440_000, 440_000, None)]),
)
_NO_MONEY = (
    "We had the tile put in, what, two thousand nineteen?",
    "It has four bedrooms and two and a half baths",
    "about eighteen hundred square feet",
    "call me at five five five two one three four",
    "Saturday at four thirty works",
    "we bought it in 2012",
    "it was built in nineteen eighty four",
    "six percent is too much",
    "I live at 412 Birch Lane",
    "twenty minutes from work",
    "there are three offers",
    "I'm fifty six",
    "four fifteen tomorrow is good for me",
    "the kids are nine and twelve",
    "rates are at six and a half",
    "we've been here for twenty two years",
    "in two to three months",
    "it's on 45 acres",
    "maybe Tuesday around three thirty",
    "I've seen two houses this week",
    "We'd close on June 15",
    "by the fifteenth of April",
    "the house needs one more bedroom",
    "one of them is on route 66",
    "apartment 204",
    "sixty days max",
    "we want three bedrooms and two baths",
    "The schools are eight out of ten.",
    "It's a two two with a garage.",
    "built in nineteen seventy two",
    "we close at five",
    "a ten minute drive",
    "he's six two",
    "our flight's at four fifteen",
    "I'm on highway one oh one",
    "at three hundred Oak Street",
    "It was twenty twelve I think",
    "my number's four one two five five five oh one nine nine",
    "two of us, and three kids",
    "rates went from three to seven",
    "it's got fourteen hundred square feet",
    "we've seen about twenty houses",
    "can you call at ten thirty",
    "I'm available between two and four",
    "nine times out of ten",
    "She's eighty nine.",
    "we want at least three bedrooms",
    "I took the five fifteen train",
    "I called you three times",
    "the other two were better",
    "Unit four twelve",
    "one thing at a time",
    "one of these days",
    "give me a second",
    "it's a hundred degrees in there",
    "half the neighborhood",
    "I have two questions",
    "They quoted him six and five eighths, and then it was six and a half by lunch.",
    "It's a three-two, fifteen hundred and something square feet.",
    "My cell's six one four, five five five, oh one four two.",
    "My cell's better, it's 614, 555, 0187.",
    "House number's three fifty, the mailbox fell off.",
    "It's a ten thirty-one, so I've got to close on something.",
    "The lot's a hundred by two-fifty, give or take the ditch.",
    "It's 1420 Birch, the one with the green shutters.",
    "we had a pair of owls in that oak in ninety eight and they came back",
)


def said(number: int) -> str:
    """Below a thousand, as it is said."""
    if number < 20:
        return (*_UNITS, *_TEENS)[number]
    if number < 100:
        return f"{_TENS[number // 10]} {_UNITS[number % 10]}".strip()
    return f"{_UNITS[number // 100]} hundred {said(number % 100) if number % 100 else ''}".strip()


@pytest.mark.parametrize(("text", "wanted"), _SAID)
def test_an_amount_is_read_with_its_bounds_and_role(text: str, wanted: list[tuple[int | None, int | None, str | None]]) -> None:
    """Prices as Americans say them are read with the right bounds and what they are for."""
    found = amounts_in(text)
    assert [(a.usd_min, a.usd_max) for a in found] == [w[:2] for w in wanted]
    assert [a.role for a, w in zip(found, wanted, strict=True) if w[2]] == [w[2] for w in wanted if w[2]]


@pytest.mark.parametrize("text", _NO_MONEY)
def test_other_numbers_are_no_money(text: str) -> None:
    """Sizes, counts, times, dates, ages, addresses and percentages are no amounts."""
    assert amounts_in(text) == []


@given(st.integers(100, 999))
def test_a_price_said_is_the_price_written(thousands: int) -> None:
    """A price in words and the same in digits, as the captions write it, are one amount."""
    spoken = f"our budget is {said(thousands)} thousand dollars"
    for text in (spoken, written(spoken), f"our budget is ${thousands},000", f"our budget is {thousands}k"):
        (amount,) = amounts_in(text)
        assert (amount.usd_min, amount.usd_max, amount.role) == (thousands * 1000, thousands * 1000, "budget")


@given(st.integers(1, 9), st.integers(11, 99))
def test_two_groups_of_digits_are_a_price_in_thousands(hundreds: int, rest: int) -> None:
    """ "four fifty" is 450,000 dollars when a price is talked about."""
    (amount,) = amounts_in(f"the asking price is {_UNITS[hundreds]} {said(rest)}")
    assert amount.usd_max == (hundreds * 100 + rest) * 1000


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=120))
def test_any_text_gives_amounts_inside_it(text: str) -> None:
    """Whatever the text, each amount lies in it, has a bound, and its bounds are in order."""
    for amount in amounts_in(text):
        assert 0 <= amount.start < amount.end <= len(text)
        assert amount.usd_min is not None or amount.usd_max is not None
        assert amount.usd_min is None or amount.usd_max is None or amount.usd_min <= amount.usd_max


@given(
    st.lists(
        st.sampled_from(
            [
                "a",
                "and",
                "half",
                "quarter",
                "million",
                "thousand",
                "hundred",
                "four",
                "fifty",
                "two",
                "nine",
                "oh",
                "point",
                "to",
                "between",
                "k",
                "grand",
                "450",
                "$",
                ",",
                "the",
                "couple",
                "of",
            ]
        ),
        max_size=14,
    )
)
def test_any_order_of_number_words_is_read(words: list[str]) -> None:
    """Number words in any order give numbers that do not overlap."""
    found = numbers_in(" ".join(words))
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))
