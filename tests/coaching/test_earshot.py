"""What the agent is told when no words come, or none of ours."""

from coaching.earshot import Doubt, Earshot
from coaching.events import NoticeCleared, NoticeRaised, Speaker
from tests.scripted_call import agent, of_type, play, prospect, silence
from voice.transcripts import FinalTranscript, Word

TEXT = "and so we looked at the house with my wife last week"


def final(text: str, at_ms: int, *, sure: float = 0.9, long_ms: int = 4000, speaker: Speaker = "prospect") -> FinalTranscript:
    words = tuple(Word(w, at_ms + i * 300, at_ms + i * 300 + 280, sure) for i, w in enumerate(text.split()))
    return FinalTranscript(f"u{at_ms}", speaker, at_ms, at_ms + long_ms, words, text)


def standing(earshot: Earshot, *finals: FinalTranscript) -> set[tuple[str, str | None]]:
    stands: set[tuple[str, str | None]] = set()
    for each in finals:
        for doubt in earshot.feed(each):
            (stands.add if doubt.stands else stands.discard)((doubt.notice, doubt.speaker))
    return stands


def test_sound_without_words_is_said_of_the_side_it_comes_from() -> None:
    """Seconds of what may be speech, and no word: until a word comes."""
    earshot = Earshot()
    assert standing(earshot, final("", 0)) == set()
    assert standing(earshot, final("", 5000)) == {("not_hearing", "prospect")}
    assert Doubt("not_hearing", "prospect", False) in earshot.feed(final("hello", 10_000))


def test_hums_and_words_between_are_no_doubt() -> None:
    """Somebody who only hums listens; a word now and then is a word."""
    assert standing(Earshot(), *(final("", n * 1000, long_ms=500) for n in range(60))) == set()
    assert standing(Earshot(), *(final("yes" if n % 2 else "", n * 5000) for n in range(20))) == set()


def test_another_language_is_a_run_of_unsure_words() -> None:
    """Not one bad line; it goes when the words are sure again, and of one side only."""
    earshot = Earshot()
    assert standing(earshot, final(TEXT, 0, sure=0.3), final(TEXT, 5000, sure=0.3)) == set()
    assert standing(earshot, final(TEXT, 10_000, sure=0.3)) == {("other_language", "prospect")}
    assert standing(earshot, final(TEXT, 15_000, speaker="agent")) == set()
    cleared = [doubt for n in range(3) for doubt in earshot.feed(final(TEXT, 20_000 + n * 5000))]
    assert Doubt("other_language", "prospect", False) in cleared


async def test_a_call_in_which_nobody_speaks_says_so() -> None:
    """After a minute and a half without a word, and until the next one."""
    played = await play([agent("Hi Marcus."), prospect("Hello."), silence(95_000), agent("Are you still there?"), silence(1000)])
    raised = [e for e in of_type(played.events, NoticeRaised) if e.notice == "no_talk"]
    cleared = [e for e in of_type(played.events, NoticeCleared) if e.notice == "no_talk"]
    assert len(raised) == len(cleared) == 1
    assert 88_000 < (raised[0].audio_ms or 0) < 95_000
    short = await play([agent("Hi Marcus."), silence(60_000), prospect("Hello."), silence(60_000), agent("Well."), silence(1000)])
    assert [e for e in of_type(short.events, NoticeRaised) if e.notice == "no_talk"] == []
