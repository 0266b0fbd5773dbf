"""Speech probabilities, 32 ms at a time -> where utterances begin, pause and end. Counts samples, knows no clock."""

from dataclasses import dataclass
from typing import TypeAlias

from voice.vad import CHUNK, CHUNK_MS


@dataclass(frozen=True, slots=True)
class SegmenterSettings:
    """Times in ms. ``pause_ms``: silence after which the last word is worth a look; ``likely_ms``: silence after which the
    whole utterance is worth a decode; ``endpoint_ms``: silence that ends it.

    ``short_endpoint_ms`` holds for utterances under ``short_ms`` ("yeah", "mm-hm" are often followed by more).
    ``longest_ms``: an utterance longer than this is cut at its next quiet chunk, or at ``hard_ms`` anywhere.
    """

    start_threshold: float = 0.5
    stop_threshold: float = 0.35
    start_ms: int = 64
    pre_roll_ms: int = 256
    pause_ms: int = 64
    likely_ms: int = 224
    endpoint_ms: int = 512
    short_endpoint_ms: int = 640
    short_ms: int = 700
    longest_ms: int = 16_000
    hard_ms: int = 22_000

    def __post_init__(self) -> None:
        if not 0 < self.stop_threshold <= self.start_threshold < 1:
            raise ValueError("thresholds: 0 < stop <= start < 1")
        if not 0 < self.pause_ms <= self.likely_ms < self.endpoint_ms <= self.hard_ms:
            raise ValueError("times: 0 < pause <= likely < endpoint <= hard")


@dataclass(frozen=True, slots=True)
class UtteranceGrew:
    """Speech goes on. Sample numbers count from the segmenter's first sample."""

    start_sample: int
    end_sample: int


@dataclass(frozen=True, slots=True)
class UtterancePaused:
    """Silence: perhaps the end. ``speech_end`` is the last sample of speech; ``likely`` the second time, when it has lasted."""

    start_sample: int
    end_sample: int
    speech_end: int
    likely: bool = False


@dataclass(frozen=True, slots=True)
class UtteranceEnded:
    start_sample: int
    end_sample: int
    speech_end: int
    speech_ms: int
    cut: bool = False  # speech goes on: it was only too long


UtteranceEvent: TypeAlias = UtteranceGrew | UtterancePaused | UtteranceEnded


class Segmenter:
    """feed() one probability per chunk of 512 samples; finish() ends what is open."""

    def __init__(self, settings: SegmenterSettings | None = None) -> None:
        self._settings = settings or SegmenterSettings()
        self._sample = 0
        self._rising = 0  # chunks of speech before an utterance is believed
        self._start: int | None = None
        self._speech_end = 0
        self._speech_chunks = 0
        self._silent_ms = 0

    @property
    def open(self) -> bool:
        return self._start is not None

    @property
    def silent_ms(self) -> int:
        """How long nothing has been said in the open utterance."""
        return self._silent_ms if self._start is not None else 0

    @property
    def sample(self) -> int:
        return self._sample

    def feed(self, probability: float) -> list[UtteranceEvent]:
        self._sample += CHUNK
        if self._start is None:
            return self._listen(probability)
        return self._follow(probability)

    def finish(self) -> list[UtteranceEvent]:
        if self._start is None:
            return []
        return [self._end(self._sample, cut=False)]

    def reset(self) -> None:
        """Forget what is open without an event (its sound was erased)."""
        self._start, self._rising, self._silent_ms = None, 0, 0

    def _listen(self, probability: float) -> list[UtteranceEvent]:
        self._rising = self._rising + 1 if probability >= self._settings.start_threshold else 0
        if self._rising * CHUNK_MS < self._settings.start_ms:
            return []
        pre_roll = self._settings.pre_roll_ms * 16 + self._rising * CHUNK
        self._start = max(0, self._sample - pre_roll)
        self._speech_end, self._speech_chunks = self._sample, self._rising
        self._silent_ms, self._rising = 0, 0
        return [UtteranceGrew(self._start, self._sample)]

    def _follow(self, probability: float) -> list[UtteranceEvent]:
        assert self._start is not None
        settings, length_ms = self._settings, (self._sample - self._start) // 16
        if probability >= settings.stop_threshold:
            self._speech_end, self._silent_ms = self._sample, 0
            self._speech_chunks += 1
            if length_ms >= settings.hard_ms:
                return self._cut()
            return [UtteranceGrew(self._start, self._sample)]
        self._silent_ms += CHUNK_MS
        if length_ms >= settings.longest_ms and self._silent_ms >= settings.pause_ms:
            return self._cut()
        spoken_ms = (self._speech_end - self._start) // 16 - settings.pre_roll_ms
        endpoint = settings.short_endpoint_ms if spoken_ms < settings.short_ms else settings.endpoint_ms
        if self._silent_ms >= endpoint:
            return [self._end(self._sample, cut=False)]
        for due_ms, likely in ((settings.pause_ms, False), (settings.likely_ms, True)):
            if due_ms <= self._silent_ms < due_ms + CHUNK_MS:
                return [UtterancePaused(self._start, self._sample, self._speech_end, likely)]
        return []

    def _cut(self) -> list[UtteranceEvent]:
        ended = self._end(self._sample, cut=True)
        self._start, self._speech_end, self._speech_chunks = self._sample, self._sample, 0
        return [ended]

    def _end(self, end: int, *, cut: bool) -> UtteranceEnded:
        assert self._start is not None
        ended = UtteranceEnded(self._start, end, self._speech_end, self._speech_chunks * CHUNK_MS, cut)
        self._start, self._silent_ms, self._rising = None, 0, 0
        return ended
