"""The ways in for telephone calls, and how each of them stands: for the settings page and the doctor."""

import time
from dataclasses import dataclass, field
from typing import Final, Literal

WayName = Literal["twilio", "telnyx", "audiosocket"]
WAYS: Final[tuple[WayName, ...]] = ("twilio", "telnyx", "audiosocket")


@dataclass(slots=True)
class WayState:
    """``on``: set up here. ``where``: what to enter at the carrier or PBX. ``wrong``: what has to be done first, a sentence.

    ``taken``, ``refused``: calls and requests since the start; ``refusal``: the last one, why; times in seconds since the epoch.
    """

    way: WayName
    on: bool = False
    where: str = ""
    wrong: str = ""
    live: int = 0
    taken: int = 0
    refused: int = 0
    refusal: str = ""
    refused_at: float | None = None
    last_at: float | None = None
    lost_chunks: int = 0

    def refuse(self, why: str) -> None:
        self.refused, self.refusal, self.refused_at = self.refused + 1, why, time.time()

    def begun(self) -> None:
        self.live, self.taken, self.last_at = self.live + 1, self.taken + 1, time.time()

    def over(self) -> None:
        self.live -= 1


@dataclass(slots=True)
class Ways:
    """One per process."""

    states: dict[WayName, WayState] = field(default_factory=lambda: {way: WayState(way) for way in WAYS})

    def __getitem__(self, way: WayName) -> WayState:
        return self.states[way]
