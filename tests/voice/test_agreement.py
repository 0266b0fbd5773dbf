"""Successive hypotheses settle."""

from hypothesis import given
from hypothesis import strategies as st

from voice.agreement import Agreement, plain
from voice.transcripts import Word


def words(text: str, start_ms: int = 0, each_ms: int = 300) -> list[Word]:
    return [Word(w, start_ms + i * each_ms, start_ms + (i + 1) * each_ms, 0.9) for i, w in enumerate(text.split())]


def texts(some: tuple[Word, ...]) -> str:
    return " ".join(w.text for w in some)


def test_one_pass_settles_nothing() -> None:
    """A word needs a second pass that says the same."""
    agreement = Agreement()
    assert agreement.feed(words("we like the house"), 5000) == ()
    assert texts(agreement.open_tail) == "we like the house"


def test_words_that_two_passes_agree_on_settle() -> None:
    """The common beginning settles, the rest stays open."""
    agreement = Agreement()
    agreement.feed(words("we like the mouse"), 5000)
    agreement.feed(words("we like the house a lot"), 5000)
    assert texts(agreement.settled) == "we like the"
    assert texts(agreement.open_tail) == "house a lot"


def test_case_and_punctuation_do_not_stop_agreement() -> None:
    """A comma more or less is the same word."""
    agreement = Agreement()
    agreement.feed(words("Well, we like"), 5000)
    agreement.feed(words("well we like"), 5000)
    assert texts(agreement.settled) == "well we like"


def test_a_word_at_the_end_of_the_sound_stays_open() -> None:
    """More sound could still turn "there" into "therefore"."""
    agreement = Agreement()
    agreement.feed(words("we go there"), 900)
    agreement.feed(words("we go there"), 950)
    assert texts(agreement.settled) == "we go"


def test_a_word_held_back_from_the_screen_settles_with_the_next_pass_that_hears_it() -> None:
    """What one pass heard and did not show counts as its reading: the next one that agrees settles it."""
    agreement = Agreement()
    agreement.feed(words("we like the house"), 5000, shown=2)
    assert texts(agreement.open_tail) == "we like"
    agreement.feed(words("we like the house a lot"), 5000, shown=5)
    assert texts(agreement.settled) == "we like the house"
    assert texts(agreement.open_tail) == "a"


def test_settled_words_stay_when_a_later_pass_reads_them_otherwise() -> None:
    """What was settled is not changed by another partial."""
    agreement = Agreement()
    agreement.feed(words("we like the house"), 5000)
    agreement.feed(words("we like the house"), 5000)
    agreement.feed(words("he liked a horse and barn"), 5000)
    assert texts(agreement.settled) == "we like the house"
    assert texts(agreement.open_tail) == "and barn"


@given(st.lists(st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), max_size=8), max_size=8))
def test_settled_words_only_grow(passes: list[list[str]]) -> None:
    """Whatever the passes say, no settled word is taken back."""
    agreement = Agreement()
    before: tuple[Word, ...] = ()
    for each in passes:
        agreement.feed(words(" ".join(each)), 10_000)
        assert agreement.settled[: len(before)] == before
        before = agreement.settled


def test_a_word_counts_without_case_and_punctuation() -> None:
    """Only letters and digits count for agreement."""
    assert plain("It's,") == "its"


def test_a_pass_that_stops_early_takes_nothing_back() -> None:
    """One such pass is passed over; two in a row are believed."""
    agreement = Agreement()
    agreement.feed(words("we like the house a lot"), 1900, patient=True)
    for shown in ("we like the house a lot", "we like"):
        agreement.feed(words("we like"), 2500, patient=True)
        assert texts((*agreement.settled, *agreement.open_tail)) == shown


def test_a_final_look_is_believed_however_short() -> None:
    """At a silence the pass covers all that was said."""
    agreement = Agreement()
    agreement.feed(words("we like the house a lot"), 1900, patient=True)
    agreement.feed(words("we like"), 2500)
    assert texts((*agreement.settled, *agreement.open_tail)) == "we like"
