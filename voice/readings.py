"""What is believed of one decode: whole words, once each, and none that nobody said. Pure."""

from dataclasses import replace
from typing import Final

from voice.agreement import plain
from voice.frames import SAMPLES_PER_MS
from voice.models import Hypothesis, Window
from voice.prosody import level_of
from voice.transcripts import Word

# What Whisper invents in silence, noise and music; dropped only when the detector heard hardly any speech.
GHOSTS: Final = frozenset(
    {"you", "thank you", "thanks", "thank you for watching", "thanks for watching", "bye", "okay", "so", "the", "i", "oh", "yeah", "uh", "hmm", "silence", "music", "applause"}
)  # fmt: skip

_SEAM_MS: Final = 250  # words this near to a cut may be the ones before it, heard again
_HARDLY: Final = 4  # chunks of 32 ms: less than this is no speech
_LITTLE: Final = 8


def believed(hypothesis: Hypothesis, speech_chunks: int, before: tuple[Word, ...] = ()) -> tuple[Word, ...]:
    """The words of a decode, without those that continue ``before`` twice; () for a phrase out of no speech.

    ``speech_chunks``: how many chunks of 32 ms the detector called speech since the utterance began.
    """
    words = continued(before, joined(hypothesis))
    said = " ".join(w.text for w in words).lower().strip(" .!?,[]()♪")
    if speech_chunks < _HARDLY and (said in GHOSTS or hypothesis.no_speech > 0.5):
        return ()
    if hypothesis.no_speech > 0.8 and hypothesis.average_logprob < -0.8:
        return ()
    if said in GHOSTS and speech_chunks < _LITTLE and words and min(w.probability for w in words) < 0.35:
        return ()
    return words


def measured(words: tuple[Word, ...], window: Window) -> tuple[Word, ...]:
    """The words with the level of their sound."""

    def level(word: Word) -> float | None:
        return level_of(
            window.samples[(word.start_ms - window.start_ms) * SAMPLES_PER_MS : (word.end_ms - window.start_ms) * SAMPLES_PER_MS]
        )

    return tuple(replace(word, level_db=level(word)) for word in words)


def joined(hypothesis: Hypothesis) -> tuple[Word, ...]:
    """The words as they are shown: "speech", "-to", "-text" is one word."""
    words: list[Word] = []
    for each in hypothesis.words:
        if words and each.text[0] == "-" and each.text[1:2].isalnum():
            before = words[-1]
            words[-1] = Word(before.text + each.text, before.start_ms, each.end_ms, min(before.probability, each.probability))
        else:
            words.append(Word(each.text, each.start_ms, each.end_ms, each.probability))
    return tuple(words)


def continued(before: tuple[Word, ...], words: tuple[Word, ...]) -> tuple[Word, ...]:
    """Without the words at the start that are the end of ``before`` once more: their last sound lies behind the cut."""
    for count in (3, 2, 1):
        if len(before) < count or len(words) < count or words[0].start_ms > before[-1].end_ms + _SEAM_MS:
            continue
        if [plain(w.text) for w in before[-count:]] == [plain(w.text) for w in words[:count]]:
            return words[count:]
    return words
