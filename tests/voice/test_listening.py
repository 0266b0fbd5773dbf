"""Frames of one speaker become windows, their hypotheses become transcripts."""

import numpy as np
from numpy.typing import NDArray

from voice.frames import AudioFrame
from voice.listening import Hints, ListeningSettings, SpeakerListener
from voice.models import HeardWord, Hypothesis, Window
from voice.transcripts import FinalTranscript, PartialTranscript, PausedTranscript, TranscriptRevision
from voice.vad import SpeechDetector

FRAME = 320


class Loudness:
    """A speech stream at the detector's seam: what is loud is speech."""

    def feed(self, chunk: NDArray[np.int16]) -> float:
        return 0.95 if np.abs(chunk.astype(np.int32)).mean() > 500 else 0.02

    def reset(self) -> None:
        pass


class Microphone:
    """Feeds a listener with loud and quiet sound, on one timeline."""

    def __init__(self, settings: ListeningSettings | None = None, hints: Hints | None = None) -> None:
        detector = SpeechDetector(Loudness())  # type: ignore[arg-type]  # the two methods that the detector calls
        self.listener = SpeakerListener("call", "prospect", settings or ListeningSettings(), detector, hints)
        self.now_ms = 0

    def _feed(self, level: int, ms: int) -> list[Window]:
        windows: list[Window] = []
        sound = np.tile(np.array([level, -level], np.int16), FRAME // 2)
        for _ in range(ms // 20):
            windows += self.listener.feed(AudioFrame(samples=sound, speaker="prospect", start_ms=self.now_ms))
            self.now_ms += 20
        return windows

    def speaks(self, ms: int) -> list[Window]:
        return self._feed(6000, ms)

    def is_silent(self, ms: int) -> list[Window]:
        return self._feed(0, ms)


def read(window: Window, text: str, *, no_speech: float = 0.0, logprob: float = -0.2, probability: float = 0.9) -> Hypothesis:
    """A decode that spreads the words evenly over the window."""
    said = text.split()
    each = len(window.samples) / 16 / max(1, len(said))
    words = tuple(
        HeardWord(w, round(window.start_ms + i * each), round(window.start_ms + (i + 1) * each), probability) for i, w in enumerate(said)
    )
    return Hypothesis(words, no_speech, logprob, 1.0, "test", 50.0)


def test_silence_asks_for_nothing() -> None:
    """No window leaves the listener while nobody speaks."""
    microphone = Microphone()
    assert microphone.is_silent(60_000) + microphone.listener.finish() == []


def test_one_partial_is_out_at_a_time() -> None:
    """The next partial is asked for when the last one is back."""
    microphone = Microphone()
    windows = microphone.speaks(3000)
    assert [w.purpose for w in windows] == ["partial"]
    microphone.listener.heard(windows[0], read(windows[0], "hello"))
    assert [w.purpose for w in microphone.speaks(3000)] == ["partial"]


def test_the_decode_of_the_first_silence_is_the_final() -> None:
    """If nothing more is said, nothing is decoded a second time."""
    microphone = Microphone()
    microphone.speaks(1500)
    (guess,) = [w for w in microphone.is_silent(200) if w.purpose == "speculative"]
    (shown,) = microphone.listener.heard(guess, read(guess, "we like it"))
    assert isinstance(shown, PartialTranscript)
    assert microphone.is_silent(1000) == []
    (final,) = microphone.listener.settled()
    assert isinstance(final, FinalTranscript)
    assert final.text == "we like it"
    assert microphone.listener.settled() == []


def test_a_silence_that_lasts_gives_the_reading_before_the_end() -> None:
    """Once, with all the words that the final has, and not before the silence has lasted."""
    microphone = Microphone()
    microphone.speaks(1500)
    (guess,) = [w for w in microphone.is_silent(200) if w.purpose == "speculative"]
    microphone.listener.heard(guess, read(guess, "we like it"))
    assert microphone.listener.settled() == []
    microphone.is_silent(160)
    (paused,) = microphone.listener.settled()
    assert isinstance(paused, PausedTranscript)
    microphone.is_silent(40)
    assert microphone.listener.settled() == []
    microphone.is_silent(600)
    (final,) = microphone.listener.settled()
    assert isinstance(final, FinalTranscript)
    assert (paused.utterance, paused.words) == (final.utterance, final.words)


def test_a_speaker_who_goes_on_has_not_paused() -> None:
    """A reading that came back while somebody speaks again is no pause; the next silence gives the longer one."""
    microphone = Microphone()
    microphone.speaks(1500)
    (guess,) = [w for w in microphone.is_silent(200) if w.purpose == "speculative"]
    microphone.listener.heard(guess, read(guess, "we like"))
    microphone.speaks(1000)
    assert microphone.listener.settled() == []
    (last,) = [w for w in microphone.is_silent(360) if w.purpose == "speculative"]
    microphone.listener.heard(last, read(last, "we like it a lot"))
    (paused,) = microphone.listener.settled()
    assert isinstance(paused, PausedTranscript)
    assert [w.text for w in paused.words] == ["we", "like", "it", "a", "lot"]


def test_a_late_guess_is_the_final_as_soon_as_it_is_back() -> None:
    """An utterance that ended while its speculation was decoded becomes final with it."""
    microphone = Microphone()
    microphone.speaks(1500)
    (guess,) = microphone.is_silent(1500)
    (final,) = microphone.listener.heard(guess, read(guess, "we like it"))
    assert isinstance(final, FinalTranscript)


def test_a_guess_is_dropped_when_speech_goes_on() -> None:
    """What was said after a short pause is in the final."""
    microphone = Microphone()
    microphone.speaks(1500)
    (guess,) = [w for w in microphone.is_silent(200) if w.purpose == "speculative"]
    microphone.speaks(1000)
    assert microphone.listener.heard(guess, read(guess, "we like")) == []
    (last,) = [w for w in microphone.is_silent(1500) if w.purpose == "speculative"]
    (final,) = microphone.listener.heard(last, read(last, "we like it a lot"))
    assert isinstance(final, FinalTranscript)
    assert final.text == "we like it a lot"


def test_the_end_of_the_sound_makes_the_open_utterance_final() -> None:
    """The last words before somebody hangs up are not lost."""
    microphone = Microphone()
    microphone.speaks(1500)
    (window,) = microphone.listener.finish()
    assert window.purpose == "final"
    (final,) = microphone.listener.heard(window, read(window, "goodbye then"))
    assert isinstance(final, FinalTranscript)


def test_a_final_is_asked_for_again_when_the_engine_died() -> None:
    """The engine's death loses a partial, never a final."""
    microphone = Microphone()
    (partial,) = microphone.speaks(1500)
    (final,) = microphone.listener.finish()
    assert microphone.listener.lost(partial) == []
    assert microphone.listener.lost(final) == [final]


def test_erasing_leaves_no_word_and_no_sound() -> None:
    """After consent is revoked, what was out comes to nothing."""
    microphone = Microphone()
    (partial,) = microphone.speaks(1500)
    microphone.listener.erase()
    assert microphone.listener.heard(partial, read(partial, "my number is five")) == []
    assert microphone.listener.finish() == []
    assert microphone.listener.settled() == []


def test_a_ghost_phrase_out_of_no_speech_is_dropped() -> None:
    """What Whisper says to a click is not shown."""
    microphone = Microphone()
    microphone.speaks(80)
    (guess,) = microphone.is_silent(1500)
    (final,) = microphone.listener.heard(guess, read(guess, "Thank you.", no_speech=0.7))
    assert isinstance(final, FinalTranscript)
    assert final.words == ()


def test_a_spoken_thank_you_stays() -> None:
    """A phrase that ghosts use is kept where somebody speaks."""
    microphone = Microphone()
    microphone.speaks(800)
    (guess,) = [w for w in microphone.is_silent(1500) if w.purpose == "speculative"]
    (final,) = microphone.listener.heard(guess, read(guess, "Thank you."))
    assert isinstance(final, FinalTranscript)
    assert final.text == "Thank you."


def test_a_long_utterance_has_short_windows() -> None:
    """Sound behind settled words is trimmed; the words stay, once each."""
    microphone = Microphone()
    longest, last = 0, None
    for _ in range(14):
        for window in microphone.speaks(1000):
            longest = max(longest, len(window.samples) // 16)
            first = window.start_ms // 500 + (window.start_ms % 500 > 250)
            count = (window.start_ms + len(window.samples) // 16) // 500
            words = tuple(HeardWord(f"w{i}", i * 500, i * 500 + 400, 0.9) for i in range(first, count))
            (last,) = microphone.listener.heard(window, Hypothesis(words, 0.0, -0.2, 1.0, "test", 50.0))
    assert longest <= 11_000
    assert isinstance(last, PartialTranscript)
    numbers = [int(w.text[1:]) for w in (*last.settled, *last.open_tail)]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert numbers[0] == 0


def test_hints_go_with_every_window() -> None:
    """Names that are likely to be said reach the recogniser."""
    microphone = Microphone(hints=Hints(("Okeechobee Boulevard",)))
    (window,) = microphone.speaks(1500)
    assert window.hotwords == ("Okeechobee Boulevard",)


def test_slow_decoding_thins_out_the_partials() -> None:
    """Under load partials come less often, and fast decoding brings them back."""
    microphone = Microphone()
    for _ in range(2):
        microphone.listener.pace(900)
    assert microphone.listener.thinned
    for _ in range(20):
        microphone.listener.pace(50)
    assert not microphone.listener.thinned


def test_a_gap_in_the_sound_ends_the_utterance() -> None:
    """Words from before a lost connection do not run into those after it."""
    microphone = Microphone()
    microphone.speaks(1500)
    microphone.now_ms += 5000
    finals = [w for w in microphone.speaks(1000) if w.purpose == "final"]
    assert len(finals) == 1
    assert finals[0].start_ms + len(finals[0].samples) // 16 <= 1500


def test_a_number_keeps_its_spoken_form() -> None:
    """The caption has digits, the words as said stand beside it."""
    microphone = Microphone()
    microphone.speaks(1500)
    (window,) = microphone.listener.finish()
    (final,) = microphone.listener.heard(window, read(window, "four hundred thousand dollars"))
    assert isinstance(final, FinalTranscript)
    assert (final.text, final.spoken) == ("$400,000", "four hundred thousand dollars")


def test_a_final_is_read_again_with_all_its_sound() -> None:
    """A second reading that differs revises the final, one that says the same does not."""
    for again, revisions in (("we like the house", 1), ("we like the mouse", 0)):
        microphone = Microphone(ListeningSettings(reread=True))
        microphone.speaks(1500)
        (window,) = microphone.listener.finish()
        (final,) = microphone.listener.heard(window, read(window, "we like the mouse"))
        (second,) = microphone.listener.rereads()
        assert second.purpose == "second"
        assert len(second.samples) >= 1400 * 16
        revised = microphone.listener.heard(second, read(second, again))
        assert len(revised) == revisions
        assert isinstance(final, FinalTranscript)
        for each in revised:
            assert isinstance(each, TranscriptRevision)
            assert (each.final.utterance, each.final.text) == (final.utterance, again)


def test_nothing_is_read_again_unless_it_is_wanted() -> None:
    """Without a second model no sound is kept for it."""
    microphone = Microphone()
    microphone.speaks(1500)
    (window,) = microphone.listener.finish()
    microphone.listener.heard(window, read(window, "we like the mouse"))
    assert microphone.listener.rereads() == []


def test_a_short_silence_shows_the_last_word() -> None:
    """In a long utterance the first silence reads what is not settled yet, a longer one all of it."""
    microphone = Microphone(ListeningSettings(short_ms=500))
    microphone.speaks(1500)
    purposes = [w.purpose for w in microphone.is_silent(400)]
    assert purposes == ["tail", "speculative"]


def heard(window: Window, *said: tuple[str, int, int, float]) -> Hypothesis:
    """A decode with each word's place (ms from the window's start) and probability."""
    words = tuple(HeardWord(text, window.start_ms + start, window.start_ms + end, sure) for text, start, end, sure in said)
    return Hypothesis(words, 0.0, -0.2, 1.0, "test", 50.0)


def shown(microphone: Microphone, window: Window, hypothesis: Hypothesis) -> str:
    (partial,) = microphone.listener.heard(window, hypothesis)
    assert isinstance(partial, PartialTranscript)
    return " ".join(w.text for w in (*partial.settled, *partial.open_tail))


def test_a_clear_word_is_shown_up_to_where_it_may_grow() -> None:
    """What is hardly likely to change need not wait for more sound; a doubtful word there does, and one that the end of the sound
    may have cut ("like" may be "liked")."""
    for sure, before_ms, text in ((0.95, 100, "we like"), (0.6, 100, "we"), (0.95, 20, "we")):
        microphone = Microphone()
        (window,) = microphone.speaks(800)
        length = len(window.samples) // 16
        assert shown(microphone, window, heard(window, ("we", 0, 300, 0.9), ("like", 300, length - before_ms, sure))) == text


def test_a_word_without_sound_of_its_own_is_not_shown() -> None:
    """A loop or a guess is squeezed against the end of the sound, however sure the decoder is of it."""
    microphone = Microphone()
    (window,) = microphone.speaks(800)
    length = len(window.samples) // 16
    assert shown(microphone, window, heard(window, ("we", 0, length - 150, 0.9), ("we", length - 130, length - 90, 0.99))) == "we"


def test_words_said_again_at_once_wait() -> None:
    """Near the end of the sound they are a loop of the decoder; further back somebody really said it."""
    said = ("we", "like", "it", "a", "lot", "and", "we", "like", "it")
    for back_ms, text in ((100, "we like it a lot and"), (1000, "we like it a lot and we like it")):
        microphone = Microphone()
        (window,) = microphone.speaks(2400)
        microphone.speaks(2400)
        microphone.listener.heard(window, heard(window))
        (window,) = microphone.speaks(100)
        first = len(window.samples) // 16 - back_ms - 100 * len(said)
        words = [(word, first + n * 100, first + n * 100 + 100, 0.95) for n, word in enumerate(said)]
        assert shown(microphone, window, heard(window, *words)) == text


def test_a_doubtful_word_does_not_hide_what_follows_for_long() -> None:
    """Near the end it waits for more sound; further back no sound will change it."""
    for back_ms, text in ((300, "the"), (900, "the odd house")):
        microphone = Microphone()
        (window,) = microphone.speaks(2400)
        assert len(window.samples) // 16 < 2400
        later = microphone.speaks(2400)
        assert later == []  # one partial is out at a time
        microphone.listener.heard(window, heard(window))
        (window,) = microphone.speaks(100)
        length = len(window.samples) // 16
        odd = ("odd", length - back_ms - 100, length - back_ms, 0.1)
        house = ("house", length - back_ms, length - back_ms + 80, 0.95)
        assert shown(microphone, window, heard(window, ("the", 100, 400, 0.9), odd, house)) == text


def _settled(microphone: Microphone, words: int) -> Window:
    """Two passes agree on so many words of 300 ms; the window that follows."""
    said = [(f"word{at}", 300 * at, 300 * at + 300, 0.9) for at in range(words)]
    (window,) = microphone.speaks(720)
    microphone.speaks(300 * words)
    microphone.listener.heard(window, heard(window))
    for _ in range(2):
        (window,) = microphone.speaks(720)
        microphone.listener.heard(window, heard(window, *said))
    (window,) = microphone.speaks(720)
    return window


def test_behind_few_settled_words_the_whole_is_read() -> None:
    """After a prompt of one or two words Whisper often reads nothing."""
    for words, prompted in ((4, 0), (6, 4)):
        window = _settled(Microphone(), words)
        assert len(window.prompt.split()) == prompted
        assert (window.start_ms > 0) == bool(prompted)


def test_after_a_pass_that_read_nothing_the_whole_is_read() -> None:
    """Somebody speaks and the window behind the settled words came back empty: the next one starts at the beginning."""
    microphone = Microphone()
    window = _settled(microphone, 6)
    assert window.prompt
    microphone.listener.heard(window, heard(window))
    (window,) = microphone.speaks(720)
    assert (window.prompt, window.start_ms) == ("", 0)
