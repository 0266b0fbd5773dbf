"""Speech probabilities become utterances."""

import pytest

from voice.utterances import (
    Segmenter,
    SegmenterSettings,
    UtteranceEnded,
    UtteranceEvent,
    UtteranceGrew,
    UtterancePaused,
)
from voice.vad import CHUNK, CHUNK_MS


def chunks(ms: int) -> int:
    return ms // CHUNK_MS


def heard(segmenter: Segmenter, *parts: tuple[float, int]) -> list[UtteranceEvent]:
    """Parts of (probability, ms) -> all events."""
    return [e for probability, ms in parts for _ in range(chunks(ms)) for e in segmenter.feed(probability)]


def test_silence_gives_no_utterance() -> None:
    """A minute of silence raises nothing."""
    segmenter = Segmenter()
    assert heard(segmenter, (0.02, 60_000)) + segmenter.finish() == []


def test_a_click_is_no_utterance() -> None:
    """One loud chunk is too short to be speech."""
    assert heard(Segmenter(), (0.0, 320), (0.99, 32), (0.0, 960)) == []


def test_an_utterance_begins_before_its_first_speech() -> None:
    """The pre-roll keeps the soft beginning of a word."""
    first = heard(Segmenter(), (0.0, 960), (0.9, 320))[0]
    assert isinstance(first, UtteranceGrew)
    assert first.start_sample == 960 * 16 - 256 * 16


def test_a_silence_is_told_twice_before_the_end() -> None:
    """A silence is told when it begins and when it has lasted, and ends the utterance at the endpoint."""
    events = heard(Segmenter(), (0.0, 960), (0.9, 1280), (0.05, 1280))
    pauses = [e for e in events if isinstance(e, UtterancePaused)]
    ends = [e for e in events if isinstance(e, UtteranceEnded)]
    assert [p.likely for p in pauses] == [False, True]
    assert len(ends) == 1
    assert pauses[1].end_sample - pauses[1].speech_end == SegmenterSettings().likely_ms * 16
    assert pauses[0].end_sample - pauses[0].speech_end == SegmenterSettings().pause_ms * 16
    assert ends[0].end_sample - ends[0].speech_end == 512 * 16
    assert ends[0].speech_end == pauses[0].speech_end == (960 + 1280) * 16


def test_a_short_pause_does_not_end_an_utterance() -> None:
    """Speech that goes on within the endpoint is the same utterance."""
    events = heard(Segmenter(), (0.9, 1280), (0.05, 320), (0.9, 1280))
    assert not [e for e in events if isinstance(e, UtteranceEnded)]
    assert {e.start_sample for e in events} == {0}


def test_a_short_word_waits_longer_for_more() -> None:
    """ "Yeah" is often followed by more, so its end takes longer to be believed."""
    segmenter = Segmenter()
    events = heard(segmenter, (0.0, 960), (0.9, 320), (0.05, 576))
    assert segmenter.open
    assert not [e for e in events if isinstance(e, UtteranceEnded)]
    assert [e for e in heard(segmenter, (0.05, 64)) if isinstance(e, UtteranceEnded)]


def test_a_long_utterance_is_cut_at_its_next_quiet_chunk() -> None:
    """Somebody who talks without a pause still gets finals, cut where it is quiet."""
    settings = SegmenterSettings(longest_ms=3200, hard_ms=6400)
    events = heard(Segmenter(settings), (0.9, 4000), (0.1, 64), (0.9, 640))
    (cut,) = [e for e in events if isinstance(e, UtteranceEnded)]
    assert cut.cut
    assert cut.end_sample == (4000 + 64) * 16
    last = events[-1]
    assert isinstance(last, UtteranceGrew)
    assert last.start_sample == cut.end_sample


def test_an_utterance_without_any_quiet_is_cut_anyway() -> None:
    """No utterance is longer than the hard limit."""
    settings = SegmenterSettings(longest_ms=1600, hard_ms=3200)
    cuts = [e for e in heard(Segmenter(settings), (0.9, 12_800)) if isinstance(e, UtteranceEnded)]
    assert len(cuts) >= 3
    assert all(c.end_sample - c.start_sample <= 3200 * 16 + CHUNK for c in cuts)


def test_what_is_open_at_the_end_of_the_sound_ends() -> None:
    """The last words of a call are not lost."""
    segmenter = Segmenter()
    heard(segmenter, (0.9, 640))
    (ended,) = segmenter.finish()
    assert isinstance(ended, UtteranceEnded)
    assert ended.speech_ms == 640
    assert segmenter.finish() == []


def test_settings_that_make_no_sense_are_refused() -> None:
    """A pause cannot be longer than the endpoint."""
    with pytest.raises(ValueError, match="pause"):
        SegmenterSettings(pause_ms=900)
