"""The ground floor: everything learnt that runs while people talk, behind one seam, :class:`Models`."""

from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vectors: TypeAlias = NDArray[np.float32]
Side: TypeAlias = Literal["agent", "prospect"]  # whose words: each has a second model of its own
InContext: TypeAlias = tuple[str, str]  # what the other side said last, and the words that are judged
# partial: while speech goes on; settle: all of a long utterance so far; tail: the first silence; speculative: a silence
# that is likely the end; final: the end; second: once more by a larger model
Pass: TypeAlias = Literal["partial", "settle", "tail", "speculative", "final", "second"]


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Sound to transcribe: int16 mono 16 kHz, shape (n,), whose first sample lies at ``start_ms`` of the call.

    ``prompt`` is text said just before (context); ``hotwords`` are names and terms likely to be said.
    """

    call: str
    speaker: str
    utterance: str
    samples: NDArray[np.int16]
    start_ms: int
    purpose: Pass
    prompt: str = ""
    hotwords: tuple[str, ...] = ()
    stamps: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HeardWord:
    text: str
    start_ms: int
    end_ms: int
    probability: float


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What one decode of a Window gave. ``no_speech`` in [0, 1]; ``stamps`` are the window's plus ours."""

    words: tuple[HeardWord, ...]
    no_speech: float
    average_logprob: float
    compression: float
    model: str
    decode_ms: float
    stamps: dict[str, float] = field(default_factory=dict)


class ModelsLost(RuntimeError):
    """The engine died while it held this request; it is being started again, and the request may be sent anew."""


class Models(Protocol):
    """Shared by all calls of a machine. Never blocks the event loop. Raises ModelsLost."""

    async def transcribe(self, window: Window) -> Hypothesis: ...

    async def embed(self, sentences: list[str]) -> Vectors:
        """Unit vectors, float32, shape (len(sentences), 384)."""
        ...

    async def second(self, speaker: Side, sentences: list[str]) -> Vectors:
        """Unit vectors of another, slower sentence model, one for what prospects say against going on (768 numbers), one for what agents
        must not say (384): for sentences that leave doubt. float32, shape (len(sentences), width)."""
        ...

    async def in_context(self, turns: list[InContext]) -> Vectors:
        """Unit vectors of turns. float32, shape (len(turns), 384)."""
        ...

    async def aclose(self) -> None: ...
