"""A sound file as the relay plays it: one file per codec, 20 ms frames without a header."""

import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np

from voice.legs.pcm import channels_of
from voice.legs.rtp import to_g722
from voice.legs.telephony import to_a_law, to_mu_law

_FRAME: Final = 160  # bytes of each of these codecs in 20 ms
CODECS: Final = {0: "pcmu", 8: "pcma", 9: "g722"}
_LONGEST_S: Final = 60.0


class Prompt:
    """``name``: what the relay is told to play; ``seconds``: how long that takes; ``told``: for the consent record."""

    def __init__(self, name: str, seconds: float, told: str) -> None:
        self.name, self.seconds, self.told = name, seconds, told


def prepare(file: Path, folder: Path) -> Prompt:
    """Written once per content. Blocks for a moment the first time. Raises RecordingRefused or OSError."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    key = digest[:16]
    base = folder / key
    length = folder / f"{key}.s"
    if not length.exists():
        folder.mkdir(parents=True, exist_ok=True)
        wide = np.concatenate([block[0] for block in channels_of(file, longest_s=_LONGEST_S)])
        narrow: Any = np.convolve(wide.astype(np.float32), np.ones(2, np.float32) / 2, "same")[::2].astype(np.int16)
        coded = {0: to_mu_law(narrow), 8: to_a_law(narrow), 9: to_g722(wide)}
        for number, code in coded.items():
            base.with_name(f"{key}.{number}").write_bytes(code[: len(code) // _FRAME * _FRAME])
        length.write_text(str(len(narrow) / 8000))
    return Prompt(str(base), float(length.read_text()), f"{file.name} (SHA-256 {digest}) was played to the caller before the phone rang")
