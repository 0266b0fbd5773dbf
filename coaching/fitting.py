"""A saying fitted to this person: its slots filled from what was heard, and the side of the table they sit on. Pure."""

import re
from typing import Final

_SLOT: Final = re.compile(r"\{(\w+)\}")
_SELLER: Final = re.compile(
    r"\b(?:sell(?:ing)? (?:my|our|your|the|this) (?:\w+ )?(?:house|home|place|condo|property)|list(?:ing)? (?:my|our|your|it|the (?:house|home))"
    r"|your (?:listing|asking price)|(?:my|our) (?:listing|asking price)|what(?:'s| is) (?:my|our) (?:house|home|place) worth|what (?:your|my|our) (?:house|home|place) (?:is|'s|would be) worth|(?:thought|thinking|think) (?:of|about) selling|put (?:it|the house|our house) on the market|showings? (?:at|in) (?:my|our|your))\b",
    re.I,
)  # fmt: skip
_BUYER: Final = re.compile(
    r"\b(?:looking (?:to buy|for a (?:house|home|place|condo|townhouse))|pre-?\s?approved|down payment|our offer|make an offer|put in an offer|(?:see|tour|visit|saw|seen) (?:it|the|that|this) (?:\w+ )?(?:house|home|place|condo|townhouse|one)"
    r"|the sellers?|buyer agency|buy(?:ing)? (?:a|our|my|the) (?:\w+ )?(?:house|home|place|condo))\b",
    re.I,
)  # fmt: skip
# slot of the sheet -> the name that a saying uses
_NAMES: Final = {"price": "price", "location": "place", "decision_makers": "relation", "timeframe": "when"}


class Side:
    """buyer or seller, by what both said; "" until one is ahead."""

    def __init__(self, known: str = "") -> None:
        self._known, self._seller, self._buyer = known, 0, 0

    def hear(self, text: str) -> None:
        self._seller += len(_SELLER.findall(text))
        self._buyer += len(_BUYER.findall(text))

    @property
    def side(self) -> str:
        if self._known or self._seller == self._buyer:
            return self._known
        return "seller" if self._seller > self._buyer else "buyer"


def filled(saying: str, heard: dict[str, str]) -> str | None:
    """The saying with its slots filled; None when one of them was not heard."""
    for slot in _SLOT.findall(saying):
        if not heard.get(slot):
            return None
        saying = saying.replace("{" + slot + "}", heard[slot])
    return saying


def slots_of(slot: str, shown: str) -> dict[str, str]:
    """What a saying's {slot} may be filled with: only what is sure, short and one thing."""
    if slot not in _NAMES or "?" in shown or len(shown.split()) > 4 or (slot == "decision_makers" and "," in shown):
        return {}
    return {_NAMES[slot]: shown}
