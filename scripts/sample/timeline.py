"""Spoken turns laid on one timeline, one channel per speaker, over room tone."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from speak import RATE, Samples, Spoken, level_db

_BACK_CHANNEL_DB = -3.0
_MS = RATE // 1000


@dataclass(frozen=True, slots=True)
class Room:
    """How a speaker sounds: speech and room tone in dBFS (RMS), slope of the tone's spectrum, its seed."""

    level_dbfs: float
    room_dbfs: float
    room_tilt: float
    seed: int

    def tone(self, count: int) -> Samples:
        """Noise falling by f^-tilt that breathes by about 1 dB, so that nothing is ever silent."""
        random = np.random.default_rng(self.seed)
        spectrum = np.fft.rfft(random.standard_normal(count))
        hertz = np.fft.rfftfreq(count, 1 / RATE)
        spectrum *= np.maximum(hertz, 60.0) ** -self.room_tilt
        noise = np.fft.irfft(spectrum, count)
        knots = np.arange(0, count + 2 * RATE, 2 * RATE)
        breath = np.interp(np.arange(count), knots, random.normal(0, 1.0, len(knots)))
        scaled = noise / np.sqrt(np.mean(noise**2)) * 10 ** ((self.room_dbfs + breath) / 20)
        return np.asarray(scaled, np.float64)


@dataclass(slots=True)
class Turn:
    """One turn on the timeline; times in samples, from the first word's start to the last word's end."""

    speaker: str
    text: str
    notes: dict[str, list[str]]
    start: int = 0
    end: int = 0
    phrase_ends: list[int] = field(default_factory=list)
    words: list[tuple[str, int, int]] = field(default_factory=list)


def phrases_of(say: str) -> list[tuple[str, int]]:
    """Split "one |300| two" into phrases with the pause before each in ms."""
    parts = re.split(r"\s*\|(\d+)\|\s*", say)
    return list(zip(parts[::2], [0, *map(int, parts[1::2])], strict=True))


def at_level(samples: Samples, level_dbfs: float) -> Samples:
    """Scaled so that the RMS of its louder parts (within 30 dB of the loudest 10 ms) is the level."""
    levels = level_db(samples)
    loud = levels[levels > levels.max() - 30]
    return samples * 10 ** ((level_dbfs - 10 * np.log10(np.mean(10 ** (loud / 10)))) / 20)


def lay_out(
    turns: Sequence[Mapping[str, Any]],
    rooms: Mapping[str, Room],
    say: Callable[[str, str, float], Spoken],
    *,
    after_ms: int = 1500,
) -> tuple[list[Turn], dict[str, Samples]]:
    """Turns in the order they start, and each speaker's channel; say(speaker, phrase, speed) speaks."""
    laid: list[Turn] = []
    sounds: list[tuple[str, int, Samples]] = []
    main = Turn("", "", {})
    for entry in turns:
        speaker: str = entry["speaker"]
        phrases = phrases_of(entry["say"])
        notes = {kind: list(entry.get(kind, [])) for kind in ("objections", "signals", "compliance")}
        turn = Turn(speaker, " ".join(phrase for phrase, _ in phrases), notes)
        aside = "within" in entry
        anchor, gap_ms = main.end, entry.get("gap_ms", 0)
        if aside:
            phrase_before, gap_ms = entry["within"]
            anchor = main.phrase_ends[phrase_before]
        at = anchor + gap_ms * _MS
        for phrase, pause_ms in phrases:
            spoken = say(speaker, phrase, entry.get("speed", 1.0))
            offset = at + pause_ms * _MS - spoken.words[0][1]
            level = rooms[speaker].level_dbfs + (_BACK_CHANNEL_DB if aside else 0.0)
            sounds.append((speaker, offset, at_level(spoken.samples, level)))
            turn.words += [(word, offset + start, offset + end) for word, start, end in spoken.words]
            at = turn.words[-1][2]
            turn.phrase_ends.append(at)
        turn.start, turn.end = turn.words[0][1], turn.words[-1][2]
        laid.append(turn)
        if not aside:
            main = turn
    count = max(turn.end for turn in laid) + after_ms * _MS
    channels = {speaker: room.tone(count) for speaker, room in rooms.items()}
    for speaker, offset, samples in sounds:
        channels[speaker][offset : offset + len(samples)] += samples
    _check_alone(laid)
    return sorted(laid, key=lambda turn: turn.start), channels


def _check_alone(laid: Sequence[Turn]) -> None:
    for speaker in {turn.speaker for turn in laid}:
        own = sorted((turn for turn in laid if turn.speaker == speaker), key=lambda turn: turn.start)
        for one, two in itertools.pairwise(own):
            if two.start < one.end:
                raise ValueError(f"{speaker} speaks over themself: {one.text!r} and {two.text!r}")
