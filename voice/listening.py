"""One speaker's frames -> windows to decode -> transcripts. Pure: it neither waits nor decodes, and counts samples.

Partials: every ``cadence_ms`` of new sound. At the first silence the whole utterance is decoded on speculation: if
nothing more is said, that result is the final and nothing is decoded twice. Sound behind settled words is trimmed, so
that a window stays short however long somebody talks.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from voice.agreement import Agreement, plain
from voice.frames import SAMPLES_PER_MS, AudioFrame, Speaker
from voice.models import Hypothesis, Window
from voice.numerals import written
from voice.transcripts import FinalTranscript, PartialTranscript, Transcript, Word
from voice.utterances import (
    Segmenter,
    SegmenterSettings,
    UtteranceEnded,
    UtteranceEvent,
    UtteranceGrew,
    UtterancePaused,
)
from voice.vad import CHUNK, SpeechDetector

# What Whisper invents in silence, noise and music; dropped only when the detector heard hardly any speech.
GHOSTS: Final = frozenset(
    {"you", "thank you", "thanks", "thank you for watching", "thanks for watching", "bye", "okay", "so", "the", "i", "oh", "yeah", "uh", "hmm", "silence", "music", "applause"}
)  # fmt: skip

_SEAM_MS: Final = 250  # words this near to a cut may be the ones before it, heard again


@dataclass(frozen=True, slots=True)
class ListeningSettings:
    """``cadence_ms``: new sound between partials. ``hold_back_ms``: words that end nearer to the end of the sound are not
    shown in a partial yet, because more sound often changes them; from the first word less probable than
    ``doubtful`` on, a partial waits for more sound as well. ``trim_ms``: a longer window is cut behind settled words."""

    segmenter: SegmenterSettings = field(default_factory=SegmenterSettings)
    cadence_ms: int = 480
    slowest_cadence_ms: int = 1600
    first_ms: int = 480
    hold_back_ms: int = 200
    doubtful: float = 0.35
    trim_ms: int = 9000
    keep_ms: int = 2500
    gap_ms: int = 200  # a jump of the media time longer than this ends the utterance


@dataclass(slots=True)
class Hints:
    """What is likely to be said: names, streets and terms. Changed while the call goes on."""

    words: tuple[str, ...] = ()


@dataclass(slots=True)
class _Utterance:
    id: str
    start_ms: int
    agreement: Agreement = field(default_factory=Agreement)
    before: tuple[Word, ...] = ()  # settled words whose sound was trimmed away
    asked_sample: int = 0  # end of the sound of the newest window asked for
    waiting: str = ""  # "partial" while one is out
    speculative_end: int = -1  # speech end that the speculation out (or back) covers
    speculative_window_end: int = -1  # and the last sample of its window
    speculation: tuple[Word, ...] | None = None
    speculation_stamps: dict[str, float] = field(default_factory=dict)
    speculation_model: str = ""
    ended: UtteranceEnded | None = None
    final_sent: bool = False
    speech_chunks: int = 0  # what the detector called speech, in chunks


class SpeakerListener:
    """feed() frames, get windows; heard() hypotheses, get transcripts; finish() at the end, erase() when consent goes."""

    def __init__(
        self,
        call: str,
        speaker: Speaker,
        settings: ListeningSettings,
        detector: SpeechDetector,
        hints: Hints | None = None,
    ) -> None:
        self._call, self._speaker, self._settings = call, speaker, settings
        self._detector = detector
        self._hints = hints or Hints()
        self._segmenter = Segmenter(settings.segmenter)
        self._origin_ms = 0  # media time of the segmenter's sample 0
        self._sound = np.zeros(0, np.int16)
        self._sound_start = 0  # sample number of _sound[0]
        self._rest = np.zeros(0, np.int16)
        self._current: _Utterance | None = None
        self._closing: dict[str, _Utterance] = {}  # ended, final not back yet; bounded by the window queue
        self._ready: list[_Utterance] = []  # ended, their speculation is back
        self._heard_at: float | None = None
        self._next_ms: int | None = None
        self.cadence_ms = settings.cadence_ms
        self.speech_ms = 0

    @property
    def speaking(self) -> bool:
        return self._segmenter.open

    @property
    def thinned(self) -> bool:
        """Partials come less often than wanted, because decoding is slow at the moment."""
        return self.cadence_ms > self._settings.cadence_ms

    def pace(self, decode_ms: float) -> None:
        """A partial took so long: the next ones come no faster than decoding keeps up with."""
        wanted = max(self._settings.cadence_ms, min(self._settings.slowest_cadence_ms, round(decode_ms * 1.5)))
        self.cadence_ms = round(0.7 * self.cadence_ms + 0.3 * wanted)
        if self.cadence_ms - self._settings.cadence_ms < 16:
            self.cadence_ms = self._settings.cadence_ms

    def feed(self, frame: AudioFrame) -> list[Window]:
        windows: list[Window] = []
        if self._next_ms is None:
            self._restart(frame.start_ms)
        elif abs(frame.start_ms - self._next_ms) > self._settings.gap_ms:
            windows += self.finish()
            self._restart(frame.start_ms)
        self._heard_at = frame.arrived_at if frame.arrived_at is not None else self._heard_at
        self._next_ms = (self._next_ms or 0) + frame.duration_ms
        self._rest = np.concatenate((self._rest, frame.samples))
        while len(self._rest) >= CHUNK:
            chunk, self._rest = self._rest[:CHUNK], self._rest[CHUNK:]
            self._sound = np.concatenate((self._sound, chunk))
            probability = self._detector.feed(chunk)
            for event in self._segmenter.feed(probability):
                windows += self._happened(event)
            if self._current is not None:
                self._current.speech_chunks += probability >= 0.5
            self._forget()
        return windows

    def finish(self) -> list[Window]:
        """The sound ends here: what is open becomes final."""
        windows: list[Window] = []
        for event in self._segmenter.finish():
            windows += self._happened(event)
        return windows

    def erase(self) -> None:
        """Consent is gone: no sound, no words, no open utterance is kept."""
        self._segmenter.reset()
        self._detector.reset()
        self._sound, self._rest = np.zeros(0, np.int16), np.zeros(0, np.int16)
        self._current, self._next_ms = None, None
        self._closing.clear()
        self._ready.clear()

    def lost(self, window: Window) -> list[Window]:
        """The engine died with this window: what must not be lost is asked for again, with all its sound."""
        if window.purpose == "partial":
            if self._current is not None and self._current.id == window.utterance:
                self._current.waiting = ""
            return []
        if window.utterance in self._closing or (self._current is not None and self._current.id == window.utterance):
            return [window]
        return []

    def heard(self, window: Window, hypothesis: Hypothesis) -> list[Transcript]:
        utterance = self._closing.get(window.utterance)
        if utterance is None and self._current is not None and self._current.id == window.utterance:
            utterance = self._current
        if utterance is None:
            return []  # erased, or final already
        words = self._believed(utterance, hypothesis)
        match window.purpose:
            case "partial":
                utterance.waiting = ""
                return self._partial(utterance, window, words, hypothesis) if utterance.ended is None else []
            case "speculative":
                return self._speculated(utterance, window, words, hypothesis)
            case _:
                return self._final(utterance, words, hypothesis.stamps, hypothesis.model)

    # ---- from sound to windows

    def _happened(self, event: UtteranceEvent) -> list[Window]:
        match event:
            case UtteranceGrew():
                return self._grew(event)
            case UtterancePaused():
                return self._paused(event)
            case UtteranceEnded():
                return self._ended(event)

    def _grew(self, event: UtteranceGrew) -> list[Window]:
        if self._current is None:
            start_ms = self._ms(event.start_sample)
            self._current = _Utterance(f"{self._speaker[0]}{start_ms}", start_ms, asked_sample=event.start_sample)
            self._sound_from(event.start_sample)
        utterance = self._current
        if utterance.speculation is not None or utterance.speculative_end >= 0:
            utterance.speculation, utterance.speculative_end = None, -1  # speech went on: the guess was none
        new_ms = (event.end_sample - utterance.asked_sample) // SAMPLES_PER_MS
        first = utterance.asked_sample == event.start_sample
        if utterance.waiting or new_ms < (max(self._settings.first_ms, self.cadence_ms) if first else self.cadence_ms):
            return []
        utterance.asked_sample, utterance.waiting = event.end_sample, "partial"
        return [self._window(utterance, "partial", event.end_sample)]

    def _paused(self, event: UtterancePaused) -> list[Window]:
        utterance = self._current
        if utterance is None:
            return []
        utterance.speculative_end, utterance.speculative_window_end = event.speech_end, event.end_sample
        utterance.asked_sample = event.end_sample
        return [self._window(utterance, "speculative", event.end_sample)]

    def _ended(self, event: UtteranceEnded) -> list[Window]:
        utterance, self._current = self._current, None
        if utterance is None:
            return []
        utterance.ended = event
        self.speech_ms += event.speech_ms
        windows: list[Window] = []
        if utterance.speculative_end == event.speech_end and not event.cut:
            self._closing[utterance.id] = utterance  # the speculation is the final, back already or on its way
            if utterance.speculation is not None:
                self._ready.append(utterance)
        else:
            self._closing[utterance.id] = utterance
            windows.append(self._window(utterance, "final", event.end_sample))
        if event.cut:
            start_ms = self._ms(event.end_sample)
            self._current = _Utterance(f"{self._speaker[0]}{start_ms}", start_ms, asked_sample=event.end_sample)
            self._sound_from(event.end_sample)
        return windows

    def _window(self, utterance: _Utterance, purpose: str, end_sample: int) -> Window:
        sound = self._sound[: end_sample - self._sound_start]
        before = " ".join(w.text for w in utterance.before[-24:])
        return Window(
            call=self._call,
            speaker=self._speaker,
            utterance=utterance.id,
            samples=sound.copy(),
            start_ms=self._ms(self._sound_start),
            purpose=purpose,  # type: ignore[arg-type]  # one of Pass, by the callers above
            prompt=before,
            hotwords=self._hints.words,
            stamps={"heard": self._heard_at} if self._heard_at is not None else {},
        )

    # ---- from hypotheses to transcripts

    def _believed(self, utterance: _Utterance, hypothesis: Hypothesis) -> tuple[Word, ...]:
        words = _continued(utterance.before, _joined(hypothesis))
        said = " ".join(w.text for w in words).lower().strip(" .!?,[]()♪")
        speech_chunks = utterance.speech_chunks
        if speech_chunks < 4 and (said in GHOSTS or hypothesis.no_speech > 0.5):
            return ()
        if hypothesis.no_speech > 0.8 and hypothesis.average_logprob < -0.8:
            return ()
        if said in GHOSTS and speech_chunks < 8 and words and min(w.probability for w in words) < 0.35:
            return ()
        return words

    def _partial(self, utterance: _Utterance, window: Window, words: tuple[Word, ...], hypothesis: Hypothesis) -> list[Transcript]:
        heard_ms = window.start_ms + len(window.samples) // SAMPLES_PER_MS
        ended = [w for w in words if w.end_ms <= heard_ms - self._settings.hold_back_ms]
        before = len(utterance.agreement.settled) + len(utterance.agreement.open_tail)  # what was shown is not hidden again
        doubtful = (i for i, w in enumerate(ended) if i >= before and w.probability < self._settings.doubtful)
        shown = ended[: next(doubtful, len(ended))]
        utterance.agreement.feed(shown, heard_ms)
        self._trim(utterance, heard_ms)
        return [self._open(utterance, heard_ms, hypothesis.stamps)]

    def _open(self, utterance: _Utterance, heard_ms: int, stamps: dict[str, float]) -> PartialTranscript:
        return PartialTranscript(
            utterance.id, self._speaker, utterance.start_ms, heard_ms,
            (*utterance.before, *utterance.agreement.settled), utterance.agreement.open_tail, stamps,
        )  # fmt: skip

    def _speculated(self, utterance: _Utterance, window: Window, words: tuple[Word, ...], hypothesis: Hypothesis) -> list[Transcript]:
        end_sample = (window.start_ms - self._origin_ms) * SAMPLES_PER_MS + len(window.samples)
        if utterance.speculative_end < 0 or abs(end_sample - utterance.speculative_window_end) > SAMPLES_PER_MS:
            return []  # speech went on meanwhile; a newer window says more
        if utterance.ended is not None:
            return self._final(utterance, words, hypothesis.stamps, hypothesis.model)
        utterance.speculation, utterance.speculation_stamps, utterance.speculation_model = (
            words,
            hypothesis.stamps,
            hypothesis.model,
        )
        heard_ms = window.start_ms + len(window.samples) // SAMPLES_PER_MS
        utterance.agreement.feed(words, heard_ms)
        return [self._open(utterance, heard_ms, hypothesis.stamps)]

    def settled(self) -> list[Transcript]:
        """Finals that need no further decode: an utterance ended whose speculation is back already."""
        done: list[Transcript] = []
        for utterance in self._ready:
            done += self._final(
                utterance,
                utterance.speculation or (),
                utterance.speculation_stamps,
                utterance.speculation_model,
            )
        self._ready.clear()
        return done

    def _final(self, utterance: _Utterance, words: tuple[Word, ...], stamps: dict[str, float], model: str) -> list[Transcript]:
        self._closing.pop(utterance.id, None)
        if utterance.final_sent or utterance.ended is None:
            return []
        utterance.final_sent = True
        everything = (*utterance.before, *words)
        spoken = " ".join(w.text for w in everything)
        text = written(spoken)
        return [
            FinalTranscript(
                utterance=utterance.id,
                speaker=self._speaker,
                start_ms=everything[0].start_ms if everything else utterance.start_ms,
                end_ms=everything[-1].end_ms if everything else self._ms(utterance.ended.speech_end),
                words=everything,
                text=text,
                spoken=spoken if spoken != text else None,
                model=model,
                stamps=stamps,
            )
        ]

    # ---- the sound that is kept

    def _trim(self, utterance: _Utterance, heard_ms: int) -> None:
        """Cut the sound behind settled words when the window grew long; they move to ``before`` and serve as prompt."""
        settled = utterance.agreement.settled
        start_ms = self._ms(self._sound_start)
        if heard_ms - start_ms < self._settings.trim_ms or utterance.speculative_end >= 0:
            return
        cut = next(
            (i for i in range(len(settled) - 1, -1, -1) if settled[i].end_ms <= heard_ms - self._settings.keep_ms),
            None,
        )
        if cut is None or cut < 2:
            return
        keep_from = settled[cut].end_ms
        if cut + 1 < len(settled):  # in the middle of the gap, so that no word is heard twice
            keep_from = max(keep_from, (keep_from + settled[cut + 1].start_ms) // 2)
        utterance.before = (*utterance.before, *settled[: cut + 1])
        utterance.agreement.settled = settled[cut + 1 :]
        self._sound_from((keep_from - self._origin_ms) * SAMPLES_PER_MS)

    def _sound_from(self, sample: int) -> None:
        drop = max(0, min(sample - self._sound_start, len(self._sound)))
        self._sound, self._sound_start = self._sound[drop:], self._sound_start + drop

    def _forget(self) -> None:
        """Between utterances only the pre-roll is kept."""
        if self._current is None:
            keep = (self._settings.segmenter.pre_roll_ms + self._settings.segmenter.start_ms + 64) * SAMPLES_PER_MS
            self._sound_from(self._sound_start + len(self._sound) - keep)

    def _restart(self, start_ms: int) -> None:
        self._origin_ms, self._next_ms = start_ms, start_ms
        self._segmenter = Segmenter(self._settings.segmenter)
        self._detector.reset()
        self._sound, self._sound_start, self._rest = np.zeros(0, np.int16), 0, np.zeros(0, np.int16)

    def _ms(self, sample: int) -> int:
        return self._origin_ms + sample // SAMPLES_PER_MS


def _joined(hypothesis: Hypothesis) -> tuple[Word, ...]:
    """The words as they are shown: "speech", "-to", "-text" is one word."""
    words: list[Word] = []
    for each in hypothesis.words:
        if words and each.text[0] == "-" and each.text[1:2].isalnum():
            before = words[-1]
            words[-1] = Word(before.text + each.text, before.start_ms, each.end_ms, min(before.probability, each.probability))
        else:
            words.append(Word(each.text, each.start_ms, each.end_ms, each.probability))
    return tuple(words)


def _continued(before: tuple[Word, ...], words: tuple[Word, ...]) -> tuple[Word, ...]:
    """Without the words at the start that are the end of ``before`` once more: their last sound lies behind the cut."""
    for count in (3, 2, 1):
        if len(before) < count or len(words) < count or words[0].start_ms > before[-1].end_ms + _SEAM_MS:
            continue
        if [plain(w.text) for w in before[-count:]] == [plain(w.text) for w in words[:count]]:
            return words[count:]
    return words
