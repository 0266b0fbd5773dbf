"""G.711, the code of telephone networks <-> 16-bit samples. Pure; the formulas are those of ITU-T G.711."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voice.frames import Samples


def _mu_law() -> NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    size = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -size, size).astype(np.int16)


def _a_law() -> NDArray[np.int16]:
    code = np.arange(256, dtype=np.int32) ^ 0x55
    segment, step = (code & 0x70) >> 4, (code & 0x0F) << 4
    size = np.where(segment == 0, step + 8, step + 0x108 << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, size, -size).astype(np.int16)


_MU_LAW: Final = _mu_law()
_A_LAW: Final = _a_law()


def mu_law(code: bytes) -> Samples:
    """One sample per byte, at the rate of the line (8 kHz)."""
    return _MU_LAW[np.frombuffer(code, np.uint8)]


def a_law(code: bytes) -> Samples:
    """One sample per byte, at the rate of the line (8 kHz)."""
    return _A_LAW[np.frombuffer(code, np.uint8)]


def _nearest(table: NDArray[np.int16], samples: Samples) -> bytes:
    """The code whose sample is nearest."""
    order = np.argsort(table, kind="stable")
    levels = table[order].astype(np.int32)
    between = (levels[1:] + levels[:-1]) / 2
    return order[np.searchsorted(between, samples)].astype(np.uint8).tobytes()


def to_mu_law(samples: Samples) -> bytes:
    """The other way, for what we play: samples at 8 kHz."""
    return _nearest(_MU_LAW, samples)


def to_a_law(samples: Samples) -> bytes:
    """The other way, for what we play: samples at 8 kHz."""
    return _nearest(_A_LAW, samples)


# As Twilio ("audio/x-mulaw") and Telnyx ("PCMU") name them.
DECODERS: Final[Mapping[str, Callable[[bytes], Samples]]] = {"audio/x-mulaw": mu_law, "PCMU": mu_law, "PCMA": a_law}
