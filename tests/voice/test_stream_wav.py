"""scripts/stream_wav's screen: one line of partial text behind the finals."""

from scripts.programs.stream_wav import Printer
from voice.transcripts import FinalTranscript, PartialTranscript, Word


def _partial(utterance: str, *words: str) -> PartialTranscript:
    return PartialTranscript(utterance, "agent", 0, 0, tuple(Word(w, 0, 100, 0.9) for w in words), ())


def _final(utterance: str, text: str) -> FinalTranscript:
    words = tuple(Word(w, 0, 100, 0.9) for w in text.split())
    return FinalTranscript(utterance=utterance, speaker="agent", start_ms=0, end_ms=0, words=words, text=text, spoken=text, model="m")


def _shown(*transcripts: PartialTranscript | FinalTranscript) -> list[tuple[str, str]]:
    printer = Printer(quiet=True)
    for transcript in transcripts:
        printer.transcript(transcript)
    return [(line["kind"], line["text"]) for line in printer.lines]


def test_the_next_utterance_does_not_wipe_words_that_await_their_final() -> None:
    """Somebody goes on speaking before the final is back: its words stay on the screen, the new ones follow it."""
    lines = _shown(
        _partial("a1", "press", "one"), _partial("a2"), _partial("a2", "for"), _final("a1", "Press 1."), _partial("a2", "for", "sales")
    )
    assert lines == [("partial", "press one"), ("final", "Press 1."), ("partial", "for"), ("partial", "for sales")]


def test_an_utterance_without_words_lets_the_next_one_show() -> None:
    """A final with no text (nothing was said) is no line, and what waited behind it is shown."""
    assert _shown(_partial("a1", "uh"), _partial("a2", "so"), _final("a1", "")) == [("partial", "uh"), ("partial", "so")]


def test_a_partial_of_an_utterance_that_is_final_does_not_come_back() -> None:
    """Between two utterances nothing is shown until the next one has a partial."""
    assert _shown(_partial("a1", "yes"), _final("a1", "Yes.")) == [("partial", "yes"), ("final", "Yes.")]
