"""How a call arrives. A leg yields frames and leg events; it knows nothing of calls, stores or pages."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from voice.frames import AudioFrame, Speaker


class LegRefused(ValueError):
    """What was offered cannot become a leg; the message says why, in words for a person."""


class RoomsMissing(RuntimeError):
    """What calls from LiveKit rooms need is not installed; the message says how to install it."""


LeftReason: TypeAlias = Literal["hung_up", "lost", "ended", "refused", "error"]


@dataclass(frozen=True, slots=True)
class LegJoined:
    """A speaker's track begins (or begins again): its first frame lies ``offset_ms`` into the call."""

    speaker: Speaker
    offset_ms: int
    rejoined: bool = False


@dataclass(frozen=True, slots=True)
class LegHeld:
    speaker: Speaker
    at_ms: int


@dataclass(frozen=True, slots=True)
class LegResumed:
    speaker: Speaker
    at_ms: int


@dataclass(frozen=True, slots=True)
class LegLost:
    """No packet for a while. The leg feeds silence at pace until packets return (then LegResumed) or it leaves."""

    speaker: Speaker
    at_ms: int


@dataclass(frozen=True, slots=True)
class FramesDropped:
    """The consumer was too slow: so much sound of this speaker was thrown away since the last report."""

    speaker: Speaker
    at_ms: int
    lost_ms: int


@dataclass(frozen=True, slots=True)
class LegLeft:
    speaker: Speaker
    at_ms: int
    reason: LeftReason


LegEvent: TypeAlias = LegJoined | LegHeld | LegResumed | LegLost | FramesDropped | LegLeft
LegItem: TypeAlias = AudioFrame | LegEvent


class Leg(Protocol):
    """One or both sides of a call. Iterate it once; the iteration ends after the last LegLeft."""

    def __aiter__(self) -> AsyncIterator[LegItem]: ...

    async def end(self) -> None:
        """Hang up. Idempotent; the iteration then ends with LegLeft(reason="ended")."""
        ...

    async def play(self, file: Path) -> bool:
        """Play a sound file to the other side where the leg can; False where it cannot."""
        ...
