"""What may be dialled through us: never an emergency, abroad and premium only where opened, nobody who asked not to be called,
nobody in quiet hours. ``weigh`` is pure; ``may_dial`` asks the do-not-call list too."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from web.do_not_call import listed
from web.phones.numbers import dialled, e164, kind, region, zones
from web.store import Store

Refusal: TypeAlias = Literal["", "emergency", "not_a_number", "foreign", "premium", "do_not_call", "quiet_hours"]

_SAID: Final[dict[Refusal, str]] = {
    "emergency": "Emergency and service calls never pass through Sottovoce. Hang up and dial this from your own telephone line.",
    "not_a_number": "This is not a number that can be dialled.",
    "foreign": "Calls abroad are closed; this country is opened in the dialing rules.",
    "premium": "Premium and satellite numbers are closed; a prefix is opened in the dialing rules.",
    "do_not_call": "This number asked not to be called.",
    "quiet_hours": "It is quiet time where this number rings.",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """``number``: E.164, or an extension as dialled. ``refused``: empty when it may be dialled; ``why``: a sentence for a person."""

    number: str
    refused: Refusal = ""
    why: str = ""

    @property
    def allowed(self) -> bool:
        return not self.refused


@dataclass(frozen=True, slots=True)
class DialingPolicy:
    """``open``: countries (two letters) and prefixes (+4420) abroad that may be called; ``premium``: the same for premium numbers.

    ``from_hour``, ``to_hour``: calls are allowed between these at the callee's clock (47 CFR 64.1200(c)(1): 8 a.m. to 9 p.m.).
    """

    country: str = "US"
    open: Sequence[str] = ()
    premium: Sequence[str] = ()
    from_hour: int = 8
    to_hour: int = 21

    def weigh(self, number: str) -> Verdict:
        """By the number alone."""
        full = e164(number, self.country)
        match kind(number, self.country):
            case "emergency":
                return _refused(dialled(number), "emergency")
            case "none":
                return _refused(dialled(number), "not_a_number")
            case "extension":
                return Verdict(dialled(number))
            case "premium" if not _opened(full, self.premium):
                return _refused(full, "premium")
            case _ if region(full) != self.country and not _opened(full, (*self.open, *self.premium)):
                return _refused(full, "foreign")
            case _:
                return Verdict(full)

    def quiet(self, number: str, now: datetime.datetime) -> Verdict:
        """By the clock where it rings; ``now`` is aware. An area code in two zones must be awake in both; toll-free lines have no bed."""
        full = e164(number, self.country)
        if not full or kind(full, self.country) == "toll_free":
            return Verdict(full or dialled(number))
        hours = [now.astimezone(ZoneInfo(zone)).hour for zone in zones(full)]
        if all(self.from_hour <= hour < self.to_hour for hour in hours):
            return Verdict(full)
        return _refused(full, "quiet_hours", f" Calls are allowed from {self.from_hour}:00 to {self.to_hour}:00 there.")


async def may_dial(policy: DialingPolicy, store: Store, number: str, now: datetime.datetime | None = None) -> Verdict:
    """Everything that has to be asked before a number is dialled for an agent. Raises StoreAway: then nobody knows who is listed."""
    verdict = policy.weigh(number)
    if not verdict.allowed or not verdict.number.startswith("+"):
        return verdict
    if await listed(store, verdict.number):
        return _refused(verdict.number, "do_not_call")
    return policy.quiet(verdict.number, now or datetime.datetime.now(datetime.UTC))


def _opened(number: str, opened: Sequence[str]) -> bool:
    return any(number.startswith(each) if each.startswith("+") else region(number) == each.upper() for each in opened)


def _refused(number: str, refusal: Refusal, more: str = "") -> Verdict:
    return Verdict(number, refusal, _SAID[refusal] + more)
