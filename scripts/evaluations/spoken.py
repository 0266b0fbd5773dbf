"""``--through-audio``: labelled lines spoken by a test voice over a telephone and heard by our own recogniser.

The voice is flite (Debian's package; its rms and slt by turns), which is a tool of measurements and no part of the product.
Each line goes through 8 kHz, 300 to 3,400 Hz and mu-law, as a telephone has it, and is decoded as a finished utterance is, with
the terms of the shipped playbook as likely words, as in a call.
"""

import shutil
import subprocess
import sys
import tempfile
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from coaching.playbook import load
from voice.legs.pcm import channels_of
from voice.models import Window
from voice.models.weights import WHISPER, folder_of
from voice.models.whisper import Whisper
from voice.numerals import written

VOICES: Final = ("rms", "slt")
_BAND_HZ: Final = (300, 3400)
_SILENCE_S: Final = 0.3  # before and behind a line, as a segmenter leaves it


def telephone(sound: NDArray[np.int16]) -> NDArray[np.int16]:
    """16 kHz int16 in, 8 kHz int16 out: the telephone's band, through mu-law (ITU-T G.711) and back."""
    even = sound[: len(sound) // 2 * 2].astype(np.float64)
    spectrum = np.fft.rfft(even)
    hz = np.fft.rfftfreq(len(even), 1 / 16_000)
    spectrum[(hz < _BAND_HZ[0]) | (hz > _BAND_HZ[1])] = 0.0
    half = np.fft.irfft(spectrum[: len(even) // 4 + 1], len(even) // 2) / 2
    full = np.clip(half / 32768.0, -1.0, 1.0)
    code = np.round(127 * np.sign(full) * np.log1p(255 * np.abs(full)) / np.log(256))
    back = np.sign(code) * (np.power(256.0, np.abs(code) / 127) - 1) / 255
    return np.round(np.clip(back * 32767.0, -32768, 32767)).astype(np.int16)


def spoken(text: str, voice: str, folder: Path) -> NDArray[np.int16]:
    """A line said by the voice over a telephone: int16, 16 kHz. Raises SystemExit where flite is missing."""
    if shutil.which("flite") is None:
        raise SystemExit("--through-audio speaks the lines with flite: apt-get install flite")
    said, line = folder / "said.wav", folder / "line.wav"
    subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(said)], check=True, capture_output=True, timeout=60)
    sound = telephone(np.concatenate([block[0] for block in channels_of(said)]))
    with wave.open(str(line), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(sound.tobytes())
    silence = np.zeros(int(_SILENCE_S * 16_000), np.int16)
    return np.concatenate((silence, *(block[0] for block in channels_of(line)), silence))


def heard_lines(lines: Sequence[dict[str, Any]], model: str = "tiny.en", voices: Sequence[str] = VOICES) -> list[dict[str, Any]]:
    """The same lines with the text that the recogniser gives for them, and its words with their probabilities. ``voices``: of flite."""
    out, terms = [], tuple(word for words in load().terms.values() for word in words)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        whisper = Whisper(folder_of(WHISPER[model], folder=None, cache=Path(tempfile.gettempdir())), model, workers=1)
        for number, line in enumerate(lines):
            sound = spoken(line["text"], voices[number % len(voices)], place)
            words = whisper.decode(Window("evaluation", "agent", str(number), sound, 0, "final", hotwords=terms)).words
            text = written(" ".join(w.text.strip() for w in words))
            probabilities = [[w.text.strip(), w.start_ms, w.end_ms, w.probability] for w in words]
            out.append({**line, "text": text, "spoken": line["text"], "words": probabilities})
            if number % 50 == 49:
                print(f"{number + 1} of {len(lines)} lines spoken and heard", file=sys.stderr, flush=True)
    return out
