"""Finals that are read once more, by a larger model, when there is time. Pure."""

from dataclasses import replace
from typing import Final

from voice.frames import SAMPLES_PER_MS, Samples
from voice.models import Hypothesis, Window
from voice.readings import believed
from voice.transcripts import FinalTranscript, TranscriptRevision, of_words
from voice.vad import CHUNK

_LONGEST_MS: Final = 28_000  # a longer utterance is not read a second time: Whisper's window ends at 30 s
_MOST: Final = 8  # finals that may wait; there is no time for all, and the newest matter


class SecondReadings:
    """ask() with a final and its whole sound, windows() to decode, heard() their hypotheses; erase() when consent goes."""

    def __init__(self, call: str) -> None:
        self._call = call
        self._out: dict[str, FinalTranscript] = {}
        self._windows: list[Window] = []

    @staticmethod
    def fits(sound: Samples) -> bool:
        return len(sound) <= _LONGEST_MS * SAMPLES_PER_MS

    def ask(self, final: FinalTranscript, sound: Samples, start_ms: int, hotwords: tuple[str, ...]) -> None:
        while len(self._out) >= _MOST:
            self._out.pop(next(iter(self._out)))
        self._out[final.utterance] = final
        self._windows.append(Window(self._call, final.speaker, final.utterance, sound, start_ms, "second", hotwords=hotwords))

    def windows(self) -> list[Window]:
        windows, self._windows = self._windows, []
        return windows

    def waits_for(self, window: Window) -> bool:
        return window.utterance in self._out

    def heard(self, window: Window, hypothesis: Hypothesis) -> list[TranscriptRevision]:
        """A revision, where other words were read; the final is as it was where nothing was."""
        final = self._out.pop(window.utterance, None)
        if final is None:
            return []
        words = believed(hypothesis, len(window.samples) // CHUNK)
        if not words or " ".join(w.text for w in words) == " ".join(w.text for w in final.words):
            return []
        return [TranscriptRevision(replace(of_words(final, words), model=hypothesis.model, stamps=hypothesis.stamps))]

    def erase(self) -> None:
        self._out.clear()
        self._windows.clear()
