"""The other side's words in this microphone."""

from voice.bleed import BleedGuard, same_words
from voice.frames import Speaker
from voice.transcripts import FinalTranscript, Word


def said(speaker: Speaker, text: str, start_ms: int, level_db: float | None = -20.0) -> FinalTranscript:
    words = tuple(Word(w, start_ms + i * 300, start_ms + i * 300 + 250, 0.9, level_db) for i, w in enumerate(text.split()))
    return FinalTranscript(f"{speaker}{start_ms}", speaker, words[0].start_ms, words[-1].end_ms, words, text)


def test_a_soft_late_copy_is_bleed() -> None:
    """The prospect's sentence out of the agent's loudspeaker is not the agent's."""
    guard = BleedGuard()
    guard.feed(said("agent", "good morning this is Ann", 0, -20.0))
    guard.feed(said("prospect", "we want to sell in spring", 5000, -20.0))
    assert guard.feed(said("agent", "we want to sell in spring", 5150, -34.0)).bleed


def test_an_echo_is_taken_out_before_its_end_too() -> None:
    """What a side has said so far can be asked for, and asking changes nothing that is known."""
    guard = BleedGuard()
    guard.feed(said("agent", "good morning this is Ann", 0, -20.0))
    guard.feed(said("prospect", "we want to sell in spring", 5000, -20.0))
    echo = said("agent", "we want to sell in spring", 5150, -34.0)
    assert [guard.own("agent", echo.words) for _ in range(3)] == [((), True)] * 3
    assert not guard.feed(echo).on_loudspeaker


def test_a_sentence_repeated_later_is_no_bleed() -> None:
    """An agent who repeats what the prospect said stays in the transcript."""
    guard = BleedGuard()
    guard.feed(said("agent", "good morning this is Ann", 0, -20.0))
    guard.feed(said("prospect", "we want to sell in spring", 5000, -20.0))
    assert not guard.feed(said("agent", "we want to sell in spring", 8000, -34.0)).bleed


def test_two_people_as_loud_at_once_are_two_people() -> None:
    """Both saying the same at the same time, each into a microphone of their own, is no bleed."""
    guard = BleedGuard()
    guard.feed(said("agent", "good morning this is Ann", 0, -20.0))
    guard.feed(said("prospect", "yes of course", 5000, -20.0))
    assert not guard.feed(said("agent", "yes of course", 5050, -21.0)).bleed


def test_other_words_are_no_bleed_however_soft() -> None:
    """A softly spoken sentence of one's own stays."""
    guard = BleedGuard()
    guard.feed(said("agent", "good morning this is Ann", 0, -20.0))
    guard.feed(said("prospect", "we want to sell in spring", 5000, -20.0))
    assert not guard.feed(said("agent", "let me write that down first", 5100, -36.0)).bleed


def test_the_second_leak_raises_the_loudspeaker() -> None:
    """One leak may be chance, two are told to the speaker."""
    guard = BleedGuard()
    guard.feed(said("agent", "good morning this is Ann", 0, -20.0))
    raised = []
    for start_ms in (5000, 10_000):
        guard.feed(said("prospect", "we want to sell in spring", start_ms, -20.0))
        raised.append(guard.feed(said("agent", "we want to sell in spring", start_ms + 100, -35.0)).on_loudspeaker)
    assert raised == [False, True]


def test_an_unmeasured_level_calls_nothing_bleed() -> None:
    """Without a level the text alone does not take words away."""
    guard = BleedGuard()
    guard.feed(said("prospect", "we want to sell in spring", 5000, None))
    assert not guard.feed(said("agent", "we want to sell in spring", 5100, None)).bleed


def test_erased_words_match_nothing() -> None:
    """After consent is revoked no word of the other side is kept."""
    guard = BleedGuard()
    guard.feed(said("agent", "good morning this is Ann", 0, -20.0))
    guard.feed(said("prospect", "we want to sell in spring", 5000, -20.0))
    guard.erase()
    assert not guard.feed(said("agent", "we want to sell in spring", 5150, -34.0)).bleed


def test_half_the_words_are_half_the_same() -> None:
    """The share counts words at the right time only."""
    here, there = said("agent", "we want two dogs", 100).words, said("prospect", "we want to sell", 0).words
    assert same_words(here, there) == 0.5


def test_an_answer_behind_ones_own_sentence_is_taken_out() -> None:
    """One utterance may hold one's own words and an echo: the own words stay."""
    guard = BleedGuard()
    guard.feed(said("agent", "good morning this is Ann", 0))
    guard.feed(said("prospect", "yes that is fine", 5000))
    own, echo = said("agent", "may I take notes", 3500), said("agent", "yes that is fine", 5100, -36.0)
    both = FinalTranscript("agent3500", "agent", 3500, 6200, (*own.words, *echo.words), "")
    judged = guard.feed(both)
    assert judged.bleed
    assert judged.kept == own.words
