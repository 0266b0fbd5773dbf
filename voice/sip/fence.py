"""What stands between the network and sippy: who may send how much, what is no message, where answers may go. Pure."""

import ipaddress
import re
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, Final

LONGEST: Final = 16 * 1024
_KNOWN_RATE: Final = 2000.0  # packets a second from an address that we know
_MOST_SOURCES: Final = 4096
_CONTACT: Final = re.compile(rb"^(?:Contact|Record-Route|m)\s*:.*?sips?:(?:[^@>;\s]*@)?([A-Za-z0-9.-]+)", re.I | re.M)


class Buckets:
    """How many packets a source may still send: ``rate`` a second, ten times that in a burst. Bounded; the longest quiet go."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, source: str, rate: float | None = None) -> bool:
        rate, now = rate or self._rate, self._clock()
        left, at = self._left.pop(source, (rate * 10, now))
        left = min(rate * 10, left + (now - at) * rate)
        allowed = left >= 1.0
        self._left[source] = (left - 1.0 if allowed else left, now)
        if len(self._left) > _MOST_SOURCES:
            self._left.popitem(last=False)
        return allowed


class Fence:
    """Stands between the network and sippy. ``known``: addresses that may send as much as calls need."""

    def __init__(self, strangers: int) -> None:
        self.known: set[str] = set()
        self.counts: Counter[str] = Counter()
        self._buckets = Buckets(float(strangers))
        self._names: OrderedDict[str, str] = OrderedDict()

    def lets_in(self, data: bytes, host: str) -> bool:
        if not self._buckets.take(host, _KNOWN_RATE if host in self.known else None):
            self.counts["flooded"] += 1
            return False
        if len(data) > LONGEST or b"\0" in data:
            self.counts["malformed"] += 1
            return False
        try:
            data.decode()
        except UnicodeDecodeError:
            self.counts["malformed"] += 1
            return False
        if host in self.known:
            self._learn(data, host)
        return True

    def address(self, address: tuple[str, Any]) -> tuple[str, int] | None:
        """Where a packet may go: a literal address, or a name that a known peer gave itself. None: nowhere."""
        host, port = address[0], int(address[1])
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            host = self._names.get(host.lower(), "")
        if not host or not 0 < port < 65_536:
            self.counts["unreachable"] += 1
            return None
        return host, port

    def _learn(self, data: bytes, host: str) -> None:
        """A peer that calls itself sbc1.carrier.example in its Contact is where its packets come from; nobody else is asked."""
        for name in _CONTACT.findall(data[:4096]):
            text = name.decode().lower()
            if not text.replace(".", "").isdigit():
                self._names[text] = host
                self._names.move_to_end(text)
                if len(self._names) > 500:
                    self._names.popitem(last=False)
