"""One speaker's place on the call's timeline: sound of a sender's own clock in, frames without a gap out. Pure.

The sender counts samples from an origin that nobody else knows. It is laid on the timeline by the arrival that was
least late; silence stands in for what is missing, sample by sample. When no packet comes, silence follows the wall
clock at a distance, so that the last words before it become final. When late sound comes after all, it is kept: it
is put behind the silence, and the debt is paid back by leaving out quiet sound until the times are right again.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from voice.frames import SAMPLES_PER_MS, AudioFrame, Samples, Speaker
from voice.legs import FramesDropped, LeftReason, LegItem, LegJoined, LegLeft, LegLost, LegResumed

_FRAME: Final = 20 * SAMPLES_PER_MS
_NEAR: Final = 2 * SAMPLES_PER_MS  # rounding and the resampler's first sample


@dataclass(frozen=True, slots=True)
class TimelineSettings:
    """``hold_ms``: the first packets wait so long, to learn which came on time. ``quiet_after_ms``: without a packet for so
    long, silence is fed (late packets widen this up to ``quiet_longest_ms``). ``lost_after_ms``, ``leave_after_ms``: then
    LegLost, LegLeft. ``late_longest_ms``: sound later than this is thrown away. ``jump_ms``: a longer gap is a jump of the
    times, not silence. ``drift_every_ms``, ``drift_ms``: the sender's clock is followed when the least delay of such a
    stretch is off by more. ``stall_ms``: ticks further apart mean that we stood still, not the network: what came meanwhile
    is read first, for so long again."""

    hold_ms: float = 100.0
    quiet_after_ms: float = 60.0
    quiet_longest_ms: float = 200.0
    lost_after_ms: float = 1500.0
    leave_after_ms: float = 120_000.0
    late_longest_ms: float = 1000.0
    astray_ms: float = 500.0  # later than late_longest_ms for so long: its clock stood still, begin anew
    jump_ms: float = 1000.0
    stall_ms: float = 80.0
    drift_every_ms: float = 3000.0
    drift_ms: float = 15.0
    quiet_level: float = 120.0  # RMS of int16 that is quiet in any room, and that is quiet in none
    loudest_quiet: float = 600.0


class SpeakerTimeline:
    """join() at each new source, feed() its sound, tick() as time passes; ``now_ms`` counts from the timeline's zero."""

    def __init__(self, speaker: Speaker, settings: TimelineSettings | None = None, zero_at: float = 0.0) -> None:
        """``zero_at``: wall clock of the timeline's zero, for the stamps only."""
        self._speaker: Speaker = speaker
        self._zero_at = zero_at
        self._settings = settings or TimelineSettings()
        self._cursor = 0  # the next sample to hand over
        self._offset: int | None = None  # timeline sample = sender's sample + offset
        self._held: list[tuple[int, Samples, float]] = []
        self._state: Literal["new", "here", "lost", "left"] = "new"
        self._joining = True
        self._rest = np.zeros(0, np.int16)  # less than a millisecond
        self._heard_at = 0.0
        self._heard_end = 0
        self._quiet_after = self._settings.quiet_after_ms
        self._quiet_run = 0
        self._floor = 0.0  # level of the room, when nobody speaks
        self._ticked_at: float | None = None
        self._patient_until = 0.0
        self._astray_since: float | None = None
        self._least: float | None = None  # the least delay since _least_from, in samples
        self._least_from = 0.0

    @property
    def joined(self) -> bool:
        return self._state in ("here", "lost")

    @property
    def left(self) -> bool:
        return self._state == "left"

    @property
    def at_ms(self) -> int:
        return self._cursor // SAMPLES_PER_MS

    @property
    def debt_ms(self) -> float:
        """How far the times are behind the sender's, because late sound was kept."""
        return max(0.0, (self._cursor + len(self._rest) - self._heard_end) / SAMPLES_PER_MS) if self.joined else 0.0

    def join(self) -> None:
        """A new source: its clock has another origin, and its first sound is announced."""
        self._offset, self._joining = None, True
        self._held.clear()
        self._astray_since = None

    def restart(self) -> None:
        """The same source counts anew (an SSRC or a codec changed): learn its origin, announce nothing."""
        self._offset = None

    def feed(self, position: int, samples: Samples, now_ms: float) -> list[LegItem]:
        """``position``: the sender's number of the first of ``samples`` (int16, 16 kHz), from any origin, not wrapped."""
        if len(samples) == 0:
            return []
        if self._offset is None:
            self._held.append((position, samples, now_ms))
            return self._anchor(now_ms) if now_ms - self._held[0][2] >= self._settings.hold_ms or not self._joining else []
        return self._place(position, samples, now_ms)

    def tick(self, now_ms: float, waiting: int | None = None) -> list[LegItem]:
        """``waiting``: position of sound that has come and waits behind a hole; silence stops before it."""
        out: list[LegItem] = []
        if self._held and now_ms - self._held[0][2] >= self._settings.hold_ms:
            out += self._anchor(now_ms)
        if self._ticked_at is not None and now_ms - self._ticked_at > self._settings.stall_ms:
            self._patient_until = now_ms + self._settings.stall_ms
        self._ticked_at = now_ms
        if not self.joined or (self._joining and self._held) or now_ms < self._patient_until:
            return out
        away_ms = now_ms - self._heard_at
        if away_ms >= self._settings.leave_after_ms:
            return [*out, *self.leave("lost")]
        if away_ms >= self._settings.lost_after_ms and self._state == "here":
            self._state = "lost"
            out.append(LegLost(self._speaker, self._heard_end // SAMPLES_PER_MS))
        if away_ms >= self._quiet_after:
            until = int((now_ms - self._quiet_after) * SAMPLES_PER_MS)
            if waiting is not None and self._offset is not None:
                until = min(until, waiting + self._offset)
            out += self._silence(until, now_ms, whole_frames=True)
        return out

    def leave(self, reason: LeftReason) -> list[LegItem]:
        """Everything held goes out, then LegLeft. Nothing if the speaker is not there."""
        out = self._anchor(self._held[-1][2]) if self._held else []
        if self.joined:
            self._state = "left"
            out.append(LegLeft(self._speaker, self.at_ms, reason))
        return out

    # ---- where sound lies

    def _anchor(self, now_ms: float) -> list[LegItem]:
        held, self._held = self._held, []
        offsets = [int(came * SAMPLES_PER_MS) - position - len(samples) for position, samples, came in held]
        self._offset = min(offsets)
        self._least, self._least_from = None, now_ms
        start = held[0][0] + self._offset
        out: list[LegItem] = []
        if self._joining:
            first = self._state == "new"
            start = max(start, self._cursor, 0)
            if first:
                self._cursor = start
            out.append(LegJoined(self._speaker, start // SAMPLES_PER_MS, rejoined=not first))
            self._joining, self._state, self._heard_at = False, "here", now_ms
        for position, samples, came in held:
            out += self._place(position, samples, came)
        return out

    def _place(self, position: int, samples: Samples, now_ms: float) -> list[LegItem]:
        assert self._offset is not None
        settings, out = self._settings, self._back(now_ms)
        late_ms = now_ms - (position + len(samples) + self._offset) / SAMPLES_PER_MS
        if late_ms < -settings.late_longest_ms or self._astray(late_ms, now_ms):
            self._offset = int(now_ms * SAMPLES_PER_MS) - position - len(samples)
            late_ms, self._least, self._least_from = 0.0, None, now_ms
        self._follow(late_ms, now_ms)
        self._weigh(samples)
        start = position + self._offset
        if start < 0:  # spoken before the call began
            samples, start = samples[-start:], 0
        self._heard_end = max(self._heard_end, start + len(samples))
        overlap = self._cursor + len(self._rest) - start
        if overlap < -_NEAR:
            out += self._silence(start, now_ms)
        elif overlap > _NEAR:
            samples, dropped = self._fit(samples, overlap)
            out += dropped
        self._rest = np.concatenate((self._rest, samples))
        whole = len(self._rest) // SAMPLES_PER_MS * SAMPLES_PER_MS
        if whole:
            out.append(self._frame(self._rest[:whole], now_ms))
            self._rest = self._rest[whole:]
        return out

    def _back(self, now_ms: float) -> list[LegItem]:
        """A packet came: that ends an absence."""
        self._heard_at = max(self._heard_at, now_ms)
        before, self._state = self._state, "here"
        if before == "lost":
            return [LegResumed(self._speaker, self.at_ms)]
        if before == "left":
            return [LegJoined(self._speaker, self.at_ms, rejoined=True)]
        return []

    def _astray(self, late_ms: float, now_ms: float) -> bool:
        if late_ms <= self._settings.late_longest_ms:
            self._astray_since = None
            return False
        if self._astray_since is None:
            self._astray_since = now_ms
        if now_ms - self._astray_since < self._settings.astray_ms:
            return False
        self._astray_since = None
        return True

    def _weigh(self, samples: Samples) -> None:
        level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float32))))
        self._floor = min(level, self._floor * 1.02 + 0.5)
        quiet = level < min(self._settings.loudest_quiet, max(self._settings.quiet_level, 1.5 * self._floor))
        self._quiet_run = self._quiet_run + 1 if quiet else 0

    def _follow(self, late_ms: float, now_ms: float) -> None:
        """The two clocks are never quite equal: shift the offset by the least delay of the last seconds."""
        late = late_ms * SAMPLES_PER_MS
        self._least = late if self._least is None else min(self._least, late)
        # A source that runs ahead of the wall clock was laid too late: no packet can come before it was spoken.
        ahead = self._least < -self._settings.drift_ms * SAMPLES_PER_MS
        if ahead or now_ms - self._least_from >= self._settings.drift_every_ms:
            if self._offset is not None and abs(self._least) > self._settings.drift_ms * SAMPLES_PER_MS:
                self._offset += int(self._least)
            self._least, self._least_from = None, now_ms
            self._quiet_after = max(self._settings.quiet_after_ms, self._quiet_after - 10.0)

    def _fit(self, samples: Samples, overlap: int) -> tuple[Samples, list[LegItem]]:
        """Late sound: leave quiet parts out while the times lag behind; throw away what is too late to matter."""
        self._quiet_after = min(
            self._settings.quiet_longest_ms, max(self._quiet_after, self._settings.quiet_after_ms + overlap / SAMPLES_PER_MS)
        )
        if self._quiet_run >= 3:
            return samples[min(overlap, len(samples)) :], []
        excess = overlap - int(self._settings.late_longest_ms * SAMPLES_PER_MS)
        if excess <= 0:
            return samples, []
        lost = min(excess, len(samples))
        return samples[lost:], [FramesDropped(self._speaker, self.at_ms, lost // SAMPLES_PER_MS)]

    # ---- what goes out

    def _silence(self, until: int, now_ms: float, *, whole_frames: bool = False) -> list[LegItem]:
        """Zeros up to a sample of the timeline; a very long stretch is a jump of the times."""
        missing = until - self._cursor
        if missing < (_FRAME if whole_frames else 1):
            return []
        out: list[LegItem] = []
        if missing > self._settings.jump_ms * SAMPLES_PER_MS:
            self._cursor, self._rest = until // SAMPLES_PER_MS * SAMPLES_PER_MS, np.zeros(0, np.int16)
            return out
        silence = np.concatenate((self._rest, np.zeros(missing - len(self._rest), np.int16)))
        while len(silence) >= _FRAME:
            out.append(self._frame(silence[:_FRAME], now_ms, filled=True))
            silence = silence[_FRAME:]
        self._rest = silence
        if whole_frames:
            self._rest = np.zeros(0, np.int16)
        return out

    def _frame(self, samples: Samples, now_ms: float, *, filled: bool = False) -> AudioFrame:
        frame = AudioFrame(self._speaker, self.at_ms, np.ascontiguousarray(samples), self._zero_at + now_ms / 1000, filled)
        self._cursor += len(samples)
        return frame
