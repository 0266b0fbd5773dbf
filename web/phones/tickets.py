"""Calls that a carrier has told us of and whose sound has not come yet: each has a secret that its stream must show. Pure."""

import secrets
from dataclasses import dataclass
from typing import Final

from web.phones.identity import Sides

_MOST: Final = 1000
_LONGEST_S: Final = 3600.0


@dataclass(slots=True)
class Ticket:
    """``told``: what was or will be played before the call is connected; ``announced``: it was. ``live``: the call's id once it runs."""

    way: str
    sides: Sides
    id: str
    told: str = ""
    announced: bool = False
    live: str = ""
    until: float = 0.0


class Tickets:
    """Bounded: beyond a thousand the oldest goes, and its call is not coached."""

    def __init__(self) -> None:
        self._tickets: dict[str, Ticket] = {}

    def issue(self, ticket: Ticket, now: float) -> str:
        for secret in [s for s, t in self._tickets.items() if t.until < now]:
            del self._tickets[secret]
        while len(self._tickets) >= _MOST:
            del self._tickets[next(iter(self._tickets))]
        secret = secrets.token_urlsafe(24)
        ticket.until = now + _LONGEST_S
        self._tickets[secret] = ticket
        return secret

    def find(self, secret: str, now: float) -> Ticket | None:
        ticket = self._tickets.get(secret)
        return ticket if ticket is not None and ticket.until >= now else None

    def take(self, secret: str, now: float) -> Ticket | None:
        """For the stream: once."""
        ticket = self.find(secret, now)
        if ticket is None or ticket.live:
            return None
        ticket.live = "beginning"
        return ticket
