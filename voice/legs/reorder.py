"""Packets in the order in which they were sent. Pure; never grows, never waits long.

There is no playout clock behind us, so nothing is gained by holding packets back: each goes on as soon as all before
it have gone, and a missing one is given up when enough newer ones wait behind it or when they have waited too long.
"""

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")

SEQUENCE_NUMBERS: Final = 1 << 16  # RTP, RFC 3550 section 5.1


@dataclass(frozen=True, slots=True)
class ReorderSettings:
    """``waiting``: so many packets behind a hole give it up. ``wait_ms``: so does the time that the oldest of them waited.

    ``late``: a number up to so far behind is a late copy and goes; further behind, the sender began to count anew.
    """

    waiting: int = 3
    wait_ms: float = 60.0
    late: int = 200


class ReorderBuffer(Generic[T]):
    """feed() packets with their numbers, tick() as time passes; both return what may go on, in order.

    It holds ``settings.waiting`` packets at most: one more gives the hole up and lets them go.
    """

    def __init__(self, settings: ReorderSettings | None = None, numbers: int = SEQUENCE_NUMBERS) -> None:
        self._settings = settings or ReorderSettings()
        self._numbers = numbers
        self._next: int | None = None
        self._held: dict[int, tuple[T, float]] = {}
        self.given_up = 0  # packets that never came, or came too late
        self.late = 0

    def feed(self, number: int, packet: T, now_ms: float) -> list[T]:
        ready: list[T] = []
        if self._next is None:
            self._next = number
        ahead = (number - self._next) % self._numbers
        if ahead >= self._numbers // 2:
            if self._numbers - ahead <= self._settings.late:
                self.late += 1
                return []
            ready = self.finish()
            self._next = number
        self._held[number] = (packet, now_ms)
        return ready + self._release(now_ms)

    def tick(self, now_ms: float) -> list[T]:
        return self._release(now_ms)

    def waiting(self) -> T | None:
        """The first packet behind the hole; what is missing lies before it."""
        return self._held[self._first()][0] if self._held else None

    def finish(self) -> list[T]:
        """Everything still held, in order; the next packet begins a new count."""
        ready: list[T] = []
        while self._held:
            ready.append(self._held.pop(self._first())[0])
        self._next = None
        return ready

    def _first(self) -> int:
        origin = self._next or 0
        return min(self._held, key=lambda number: (number - origin) % self._numbers)

    def _release(self, now_ms: float) -> list[T]:
        ready: list[T] = []
        while self._held:
            first = self._first()
            missing = (first - (self._next or 0)) % self._numbers
            if missing and not self._hopeless(now_ms):
                break
            self.given_up += missing
            ready.append(self._held.pop(first)[0])
            self._next = (first + 1) % self._numbers
        return ready

    def _hopeless(self, now_ms: float) -> bool:
        if len(self._held) >= self._settings.waiting:
            return True
        return now_ms - min(came for _, came in self._held.values()) >= self._settings.wait_ms
