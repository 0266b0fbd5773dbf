"""One speaker's frames -> windows to decode -> transcripts. Pure: it neither waits nor decodes, and counts samples.

While somebody talks, a partial every ``cadence_ms`` decodes only what is not settled yet, with the settled words as its
prompt: decoding costs by the word. At the first silence the same is done at once ("tail"), so that the last word shows.
When the silence lasts, the whole utterance is decoded on speculation: if nothing more is said, that result is the final
and nothing is decoded twice; a little before, it goes out as paused, so that advice need not wait for the end. An
utterance that grows long is read once in full ("settle") and its sound is trimmed behind words that are sure, so that a
window stays short however long somebody talks.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voice.agreement import Agreement, plain
from voice.frames import SAMPLES_PER_MS, AudioFrame, Speaker
from voice.models import Hypothesis, Pass, Window
from voice.readings import believed, measured
from voice.rereading import SecondReadings
from voice.sound import KeptSound
from voice.transcripts import FinalTranscript, PartialTranscript, PausedTranscript, Transcript, Word, as_written
from voice.utterances import (
    Segmenter,
    SegmenterSettings,
    UtteranceEnded,
    UtteranceEvent,
    UtteranceGrew,
    UtterancePaused,
)
from voice.vad import CHUNK, SpeechDetector

_PROMPT_WORDS: Final = 24
_ANCHOR: Final = 2  # settled words that a partial hears again, so that its text finds its place
_LEAST_PROMPT: Final = 3  # words: behind a prompt of one or two Whisper often reads nothing at all
_LOOP: Final = 3  # so many words said again at once are a loop
_LONGEST_LOOP: Final = 12
_HEARD_MS: Final = 60  # a shorter word at the end of the sound was not heard, but is what a loop or a guess puts there


@dataclass(frozen=True, slots=True)
class ListeningSettings:
    """``cadence_ms``: new sound between partials; where that is more than ``thin_ms``, they are said to be thin. ``hold_back_ms``: words that end nearer to the end of the sound are not
    shown in a partial yet, because more sound often changes them, unless they are as probable as ``clear`` and end ``grow_ms``
    before the end ("product" may be "products"); from the first
    word less probable than ``doubtful`` on that ended within ``doubt_ms``, a partial waits for more sound as well.
    ``trim_ms``: a longer window is cut behind sure words.
    ``short_ms``: an utterance up to here is decoded whole at the first silence. ``paused_ms``: silence after which a reading of
    the whole is given out before its end. ``reread``: finals get a second pass."""

    segmenter: SegmenterSettings = field(default_factory=SegmenterSettings)
    cadence_ms: int = 450
    thin_ms: int = 900
    slowest_cadence_ms: int = 1600
    first_ms: int = 480
    hold_back_ms: int = 280
    clear: float = 0.9
    grow_ms: int = 60
    doubtful: float = 0.35
    doubt_ms: int = 700
    trim_ms: int = 16_000
    keep_ms: int = 2000
    short_ms: int = 2000
    paused_ms: int = 288
    gap_ms: int = 200  # a jump of the media time longer than this ends the utterance
    reread: bool = False


@dataclass(slots=True)
class Hints:
    """What is likely to be said: names, streets and terms. Changed while the call goes on."""

    words: tuple[str, ...] = ()


@dataclass(slots=True)
class _Guess:
    """A speculative decode: what it covers, and its words once it is back."""

    speech_end: int
    window_end: int
    words: tuple[Word, ...] | None = None
    hypothesis: Hypothesis | None = None
    told: bool = False  # given out as paused


@dataclass(slots=True)
class _Utterance:
    id: str
    start_ms: int
    asked_sample: int  # end of the sound of the newest window asked for
    agreement: Agreement = field(default_factory=Agreement)
    before: tuple[Word, ...] = ()  # sure words whose sound was trimmed away
    trimmed: list[NDArray[np.int16]] = field(default_factory=list)  # their sound, kept only for a second reading
    sound_start: int = 0
    waiting: bool = False  # a partial is out
    blind: bool = False  # the newest pass behind settled words read nothing, though somebody speaks
    heard_ms: int = 0  # end of the newest sound that was read
    guess: _Guess | None = None
    ended: UtteranceEnded | None = None
    sound: NDArray[np.int16] | None = None  # all of it, for a second reading
    speech_chunks: int = 0  # what the detector called speech, in chunks


class SpeakerListener:
    """feed() frames, get windows; heard() hypotheses, get transcripts; finish() at the end, erase() when consent goes.

    After each of them settled() gives what needs no further decode (finals, and what is paused), and rereads() windows for a
    second reading."""

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
        self._sound = KeptSound()
        self._rest = np.zeros(0, np.int16)
        self._current: _Utterance | None = None
        self._closing: dict[str, _Utterance] = {}  # ended, final not back yet; bounded by the window queue
        self._ready: list[_Utterance] = []  # ended, their speculation is back
        self._seconds = SecondReadings(call)
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
        return self.cadence_ms > self._settings.thin_ms

    def pace(self, took_ms: float) -> None:
        """A partial took so long, its wait for a worker included: the next ones come no faster than the engine keeps up with."""
        wanted = max(self._settings.cadence_ms, min(self._settings.slowest_cadence_ms, round(took_ms * 2)))
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
            self._sound.append(chunk)
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
        self._rest = np.zeros(0, np.int16)
        self._sound.clear()
        self._seconds.erase()
        self._current, self._next_ms = None, None
        self._closing.clear()
        self._ready.clear()

    def lost(self, window: Window) -> list[Window]:
        """The engine died with this window: what must not be lost is asked for again, with all its sound."""
        utterance = self._of(window)
        match window.purpose:
            case "speculative" | "final" if utterance is not None:
                return [window]
            case "second" if self._seconds.waits_for(window):
                return [window]
            case "partial" | "settle" if utterance is not None:
                utterance.waiting = False
        return []

    def heard(self, window: Window, hypothesis: Hypothesis) -> list[Transcript]:
        if window.purpose == "second":
            return [*self._seconds.heard(window, hypothesis)]
        utterance = self._of(window)
        if utterance is None:
            return []  # erased, or final already
        match window.purpose:
            case "partial" | "settle" | "tail":
                return self._partial(utterance, window, hypothesis)
            case "speculative":
                return self._speculated(utterance, window, hypothesis)
            case _:
                words = believed(hypothesis, utterance.speech_chunks, utterance.before)
                return self._final(utterance, measured(words, window), hypothesis)

    def settled(self) -> list[Transcript]:
        """What needs no further decode: an utterance ended, or paused for a while, whose speculation is back already."""
        done: list[Transcript] = []
        for utterance in self._ready:
            assert utterance.guess is not None
            assert utterance.guess.hypothesis is not None
            done += self._final(utterance, utterance.guess.words or (), utterance.guess.hypothesis)
        self._ready.clear()
        if (paused := self._paused_reading()) is not None:
            done.append(paused)
        return done

    def _paused_reading(self) -> PausedTranscript | None:
        utterance = self._current
        guess = utterance.guess if utterance is not None else None
        if utterance is None or guess is None or guess.told or not guess.words or guess.hypothesis is None:
            return None
        if self._segmenter.silent_ms < self._settings.paused_ms:
            return None
        guess.told = True
        words = (*utterance.before, *guess.words)
        return PausedTranscript(utterance.id, self._speaker, words[0].start_ms, utterance.heard_ms, words, guess.hypothesis.stamps)

    def rereads(self) -> list[Window]:
        """Finals to be read once more, by a larger model, when there is time."""
        return self._seconds.windows()

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
            self._begin(event.start_sample)
        utterance = self._current
        assert utterance is not None
        utterance.guess = None  # speech went on: the guess was none
        new_ms = (event.end_sample - utterance.asked_sample) // SAMPLES_PER_MS
        first = utterance.asked_sample == event.start_sample
        if utterance.waiting or new_ms < (max(self._settings.first_ms, self.cadence_ms) if first else self.cadence_ms):
            return []
        utterance.asked_sample, utterance.waiting = event.end_sample, True
        if event.end_sample - self._sound.start > self._settings.trim_ms * SAMPLES_PER_MS:
            return [self._whole(utterance, "settle", event.end_sample)]
        return [self._unsettled(utterance, "partial", event.end_sample)]

    def _begin(self, start_sample: int) -> None:
        self._sound.drop_before(start_sample)
        start_ms = self._sound.ms(start_sample)
        self._current = _Utterance(f"{self._speaker[0]}{start_ms}", start_ms, start_sample, sound_start=start_sample)

    def _paused(self, event: UtterancePaused) -> list[Window]:
        utterance = self._current
        if utterance is None or (utterance.guess is not None and utterance.guess.speech_end == event.speech_end):
            return []
        utterance.asked_sample, utterance.waiting = event.end_sample, False
        short = event.end_sample - self._sound.start <= self._settings.short_ms * SAMPLES_PER_MS
        if not event.likely and not short:
            return [self._unsettled(utterance, "tail", event.end_sample)]
        utterance.guess = _Guess(event.speech_end, event.end_sample)
        return [self._whole(utterance, "speculative", event.end_sample)]

    def _ended(self, event: UtteranceEnded) -> list[Window]:
        utterance, self._current = self._current, None
        if utterance is None:
            return []
        utterance.ended = event
        self.speech_ms += event.speech_ms
        self._keep_for_later(utterance, event)
        self._closing[utterance.id] = utterance
        windows: list[Window] = []
        if utterance.guess is None or utterance.guess.speech_end != event.speech_end or event.cut:
            utterance.guess = None
            windows.append(self._whole(utterance, "final", event.end_sample))
        elif utterance.guess.words is not None:
            self._ready.append(utterance)  # else the speculation, on its way, will be the final
        if event.cut:
            self._begin(event.end_sample)
        return windows

    def _keep_for_later(self, utterance: _Utterance, event: UtteranceEnded) -> None:
        if self._settings.reread:
            whole = np.concatenate((*utterance.trimmed, self._sound.between(self._sound.start, event.end_sample)))
            utterance.sound = whole if self._seconds.fits(whole) else None
            utterance.trimmed.clear()

    def _whole(self, utterance: _Utterance, purpose: Pass, end_sample: int) -> Window:
        return self._window(utterance, purpose, self._sound.start, end_sample, utterance.before)

    def _unsettled(self, utterance: _Utterance, purpose: Pass, end_sample: int) -> Window:
        """From a little before the first word that is not settled; the words before that are its prompt.

        The whole, where the prompt would be short or such a window read nothing the last time."""
        settled, begin = utterance.agreement.settled, self._sound.start
        if len(settled) >= _ANCHOR + _LEAST_PROMPT and not utterance.blind:
            gap_ms = (settled[-_ANCHOR - 1].end_ms + settled[-_ANCHOR].start_ms) // 2
            begin = max(begin, self._sound.sample(gap_ms))
        if begin == self._sound.start:
            return self._whole(utterance, purpose, end_sample)
        return self._window(utterance, purpose, begin, end_sample, settled[:-_ANCHOR])

    def _window(self, utterance: _Utterance, purpose: Pass, begin: int, end: int, before: tuple[Word, ...]) -> Window:
        return Window(
            call=self._call,
            speaker=self._speaker,
            utterance=utterance.id,
            samples=self._sound.between(begin, end),
            start_ms=self._sound.ms(begin),
            purpose=purpose,
            prompt=" ".join(w.text for w in before[-_PROMPT_WORDS:]),
            hotwords=self._hints.words,
            stamps={"heard": self._heard_at} if self._heard_at is not None else {},
        )

    # ---- from hypotheses to transcripts

    def _of(self, window: Window) -> _Utterance | None:
        if self._current is not None and self._current.id == window.utterance:
            return self._current
        return self._closing.get(window.utterance)

    def _partial(self, utterance: _Utterance, window: Window, hypothesis: Hypothesis) -> list[Transcript]:
        if window.purpose != "tail":
            utterance.waiting = False
        heard_ms = _end_ms(window)
        if utterance.ended is not None or heard_ms < utterance.heard_ms:
            return []  # newer sound was read already
        utterance.heard_ms = heard_ms
        words = believed(hypothesis, utterance.speech_chunks, utterance.before)
        utterance.blind = not words
        if window.purpose == "tail":
            utterance.agreement.feed(self._unlooped(utterance, words, heard_ms), heard_ms)
            return [self._open(utterance, heard_ms, hypothesis.stamps)]
        words = self._unlooped(utterance, words, heard_ms)
        utterance.agreement.feed(words, heard_ms, shown=self._showable(utterance, words, heard_ms), patient=True)
        if window.purpose == "settle" and window.start_ms == self._sound.ms(self._sound.start) and utterance is self._current:
            self._trim(utterance, measured(words, window), heard_ms)
        return [self._open(utterance, heard_ms, hypothesis.stamps)]

    def _showable(self, utterance: _Utterance, words: tuple[Word, ...], heard_ms: int) -> int:
        """How many words of a partial come before the first that more sound may well change; what was shown is not hidden again."""
        settings = self._settings
        shown = len(words) - len(utterance.agreement.behind_settled(words)) + len(utterance.agreement.open_tail)
        for at, word in enumerate(words):
            unclear = word.probability < settings.clear or word.end_ms - word.start_ms < _HEARD_MS
            near = word.end_ms > heard_ms - settings.hold_back_ms and unclear
            grows = at >= shown and word.end_ms > heard_ms - settings.grow_ms
            doubtful = at >= shown and word.end_ms > heard_ms - settings.doubt_ms and word.probability < settings.doubtful
            if near or grows or doubtful:
                return at
        return len(words)

    def _unlooped(self, utterance: _Utterance, words: tuple[Word, ...], heard_ms: int) -> tuple[Word, ...]:
        """Without words near the end that only say once more what was said just before: in an unfinished sentence that is the
        decoder in a loop, or its prompt, far more often than the speaker."""
        fresh = utterance.agreement.behind_settled(words)
        before = utterance.agreement.settled[-_LONGEST_LOOP:]
        said = [plain(w.text) for w in (*before, *fresh)]
        for at in range(len(before), len(said) - _LOOP + 1):
            again = said[at : at + _LOOP]
            if fresh[at - len(before)].end_ms > heard_ms - self._settings.doubt_ms and any(
                said[back : back + _LOOP] == again for back in range(max(0, at - _LONGEST_LOOP), at - _LOOP + 1)
            ):
                return words[: len(words) - (len(said) - at)]
        return words

    def _open(self, utterance: _Utterance, heard_ms: int, stamps: dict[str, float]) -> PartialTranscript:
        agreement = utterance.agreement
        return PartialTranscript(
            utterance.id, self._speaker, utterance.start_ms, heard_ms, agreement.settled, agreement.open_tail, stamps
        )  # fmt: skip

    def _speculated(self, utterance: _Utterance, window: Window, hypothesis: Hypothesis) -> list[Transcript]:
        guess = utterance.guess
        if guess is None or abs(_end_ms(window) - self._sound.ms(guess.window_end)) > 1:
            return []  # speech went on meanwhile; a newer window says more
        words = measured(believed(hypothesis, utterance.speech_chunks, utterance.before), window)
        if utterance.ended is not None:
            return self._final(utterance, words, hypothesis)
        guess.words, guess.hypothesis = words, hypothesis
        utterance.heard_ms = _end_ms(window)
        utterance.agreement.feed((*utterance.before, *words), utterance.heard_ms)
        return [self._open(utterance, utterance.heard_ms, hypothesis.stamps)]

    def _final(self, utterance: _Utterance, words: tuple[Word, ...], hypothesis: Hypothesis) -> list[Transcript]:
        if self._closing.pop(utterance.id, None) is None or utterance.ended is None:
            return []
        everything = (*utterance.before, *words)
        text, spoken = as_written(everything)
        final = FinalTranscript(
            utterance=utterance.id,
            speaker=self._speaker,
            start_ms=everything[0].start_ms if everything else utterance.start_ms,
            end_ms=everything[-1].end_ms if everything else self._sound.ms(utterance.ended.speech_end),
            words=everything,
            text=text,
            spoken=spoken,
            model=hypothesis.model,
            stamps=hypothesis.stamps,
        )
        if utterance.sound is not None and everything:
            self._seconds.ask(final, utterance.sound, self._sound.ms(utterance.sound_start), self._hints.words)
        return [final]

    # ---- the sound that is kept

    def _trim(self, utterance: _Utterance, words: tuple[Word, ...], heard_ms: int) -> None:
        """Cut the sound behind words of a full reading that lie far enough back; they are final and serve as prompt."""
        if utterance.guess is not None:
            return
        sure = [i for i in range(len(words) - 1) if words[i].end_ms <= heard_ms - self._settings.keep_ms]
        if len(sure) < 3:
            return
        # in the widest gap of the last few words, so that no word is cut
        cut = max(sure[-5:], key=lambda i: (words[i + 1].start_ms - words[i].end_ms, i))
        at_ms = max(words[cut].end_ms, (words[cut].end_ms + words[cut + 1].start_ms) // 2)
        utterance.before = (*utterance.before, *words[: cut + 1])
        sample = self._sound.sample(at_ms)
        if self._settings.reread:
            utterance.trimmed.append(self._sound.between(self._sound.start, sample))
        self._sound.drop_before(sample)

    def _forget(self) -> None:
        """Between utterances only the pre-roll is kept."""
        if self._current is None:
            keep = (self._settings.segmenter.pre_roll_ms + self._settings.segmenter.start_ms + 64) * SAMPLES_PER_MS
            self._sound.drop_before(self._sound.end - keep)

    def _restart(self, start_ms: int) -> None:
        self._next_ms = start_ms
        self._segmenter = Segmenter(self._settings.segmenter)
        self._detector.reset()
        self._sound.restart(start_ms)
        self._rest = np.zeros(0, np.int16)


def _end_ms(window: Window) -> int:
    return window.start_ms + len(window.samples) // SAMPLES_PER_MS
