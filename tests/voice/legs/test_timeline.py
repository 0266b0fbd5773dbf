"""One speaker's place on the call's timeline, without a network or a clock."""

import itertools
import random
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voice.frames import AudioFrame
from voice.legs import FramesDropped, LegItem, LegJoined, LegLeft, LegLost, LegResumed
from voice.legs.timeline import SpeakerTimeline, TimelineSettings

LOUD = 6000


class Scene:
    """A sender that speaks its own sample numbers: packet k's sound is the number k + LOUD, 20 ms long.

    ``origin_ms``: the timeline's time at which packet 0 began to be spoken.
    """

    def __init__(self, origin_ms: float = 1000.0, first_position: int = 987_654, settings: TimelineSettings | None = None) -> None:
        self.origin_ms, self.first_position = origin_ms, first_position
        self.timeline = SpeakerTimeline("prospect", settings)
        self.timeline.join()
        self.items: list[LegItem] = []
        self.now_ms = origin_ms

    def packet(self, k: int, delay_ms: float = 5.0, level: int | None = None) -> None:
        self._at(self.origin_ms + (k + 1) * 20 + delay_ms)
        samples = np.full(320, k + LOUD if level is None else level, np.int16)
        self.items += self.timeline.feed(self.first_position + k * 320, samples, self.now_ms)

    def packets(self, numbers: Iterable[int], delay_ms: float = 5.0, level: int | None = None) -> None:
        for k in numbers:
            self.packet(k, delay_ms, level)

    def silence_until(self, at_ms: float) -> None:
        self._at(at_ms)

    def _at(self, at_ms: float) -> None:
        while self.now_ms + 20 < at_ms:
            self.now_ms += 20
            self.items += self.timeline.tick(self.now_ms)
        self.now_ms = max(self.now_ms, at_ms)

    @property
    def frames(self) -> list[AudioFrame]:
        return [item for item in self.items if isinstance(item, AudioFrame)]

    def events(self) -> list[LegItem]:
        return [item for item in self.items if not isinstance(item, AudioFrame)]

    def sound(self) -> NDArray[np.int16]:
        return np.concatenate([frame.samples for frame in self.frames])

    def begins_at(self, k: int) -> float:
        """Milliseconds on the timeline at which packet k's sound begins."""
        start = self.frames[0].start_ms
        return start + int(np.argmax(self.sound() == k + LOUD)) / 16


def contiguous(frames: list[AudioFrame]) -> bool:
    return all(a.end_ms == b.start_ms for a, b in itertools.pairwise(frames))


def test_the_first_sound_lies_where_it_was_spoken() -> None:
    """Packet 0 begins at its own time, but for the delay that every packet has."""
    scene = Scene(origin_ms=1234.0)
    scene.packets(range(20))
    assert scene.events() == [LegJoined("prospect", 1239)]
    assert scene.begins_at(0) == pytest.approx(1239, abs=1)


def test_sound_from_before_the_call_is_not_part_of_it() -> None:
    """What was spoken before the timeline's zero is left out; what follows keeps its time."""
    scene = Scene(origin_ms=-50.0)
    scene.packets(range(20), delay_ms=0)
    assert scene.frames[0].start_ms == 0
    assert scene.begins_at(19) == pytest.approx(-50 + 19 * 20, abs=1)


def test_a_first_packet_that_came_late_does_not_shift_the_rest() -> None:
    """The packet that came soonest tells where the sound lies."""
    scene = Scene()
    scene.packet(0, delay_ms=78)
    scene.packet(1, delay_ms=60)
    scene.packets(range(2, 20))
    assert scene.begins_at(0) == pytest.approx(1005, abs=1)


def test_a_later_packet_that_came_late_does_not_shift_the_rest() -> None:
    """Nor does one that was held up while the first ones are weighed."""
    scene = Scene()
    scene.packets(range(4))
    scene.packet(4, delay_ms=90)
    scene.packets(range(5, 20), delay_ms=90)
    assert scene.begins_at(0) == pytest.approx(1005, abs=1)


def test_silence_stops_before_sound_that_waits() -> None:
    """Sound that has come, but waits for its order, is not overtaken by silence."""
    timeline = SpeakerTimeline("agent")
    timeline.join()
    for k in range(10):
        timeline.feed(k * 320, np.full(320, LOUD, np.int16), (k + 1) * 20.0)
    silence = [item for item in timeline.tick(400.0, waiting=11 * 320) if isinstance(item, AudioFrame)]
    assert silence[-1].end_ms == 220


def test_lost_packets_leave_exactly_their_own_silence() -> None:
    """Three lost packets are 60 ms of zeros; everything after them keeps its time."""
    scene = Scene()
    scene.packets([*range(10), *range(13, 30)])
    sound = scene.sound()
    assert int(np.count_nonzero(sound == 0)) == 3 * 320
    assert scene.begins_at(13) == pytest.approx(1005 + 13 * 20, abs=1)
    assert contiguous(scene.frames)


def test_silence_follows_the_clock_when_packets_stop() -> None:
    """Half a second after the last packet, silence has been fed up to 60 ms ago and little less."""
    scene = Scene()
    scene.packets(range(10))
    scene.silence_until(1700)
    assert 1700 - 60 - 45 <= scene.frames[-1].end_ms <= 1700 - 60
    assert scene.frames[-1].silence_filled
    assert contiguous(scene.frames)


def test_a_sender_that_pauses_between_words_keeps_its_time() -> None:
    """One packet per 400 ms in silence (DTX) ends in neither a loss nor a shift."""
    scene = Scene()
    scene.packets(range(10))
    scene.packets(range(29, 130, 20))
    scene.packets(range(130, 140))
    assert scene.begins_at(139) == pytest.approx(1005 + 139 * 20, abs=1)
    assert not any(isinstance(event, LegLost) for event in scene.events())


def test_sound_that_stops_is_reported_lost_and_resumed() -> None:
    """After 1.5 s LegLost with the time of the last sound, LegResumed with the first packet."""
    scene = Scene()
    scene.packets(range(10))
    scene.packets(range(260, 270))
    kinds = [type(event) for event in scene.events()]
    assert kinds == [LegJoined, LegLost, LegResumed]
    lost, resumed = scene.events()[1:]
    assert isinstance(lost, LegLost)
    assert isinstance(resumed, LegResumed)
    assert lost.at_ms == pytest.approx(1205, abs=2)
    assert resumed.at_ms == pytest.approx(1005 + 260 * 20, abs=80)
    assert scene.begins_at(260) == pytest.approx(1005 + 260 * 20, abs=1)


def test_a_speaker_who_stays_away_leaves() -> None:
    """After the time set, LegLeft(lost), and no silence from then on."""
    scene = Scene(settings=TimelineSettings(leave_after_ms=5000))
    scene.packets(range(10))
    scene.silence_until(9000)
    left = scene.events()[-1]
    assert isinstance(left, LegLeft)
    assert left.reason == "lost"
    assert scene.frames[-1].end_ms < 6400


def test_a_new_source_lies_where_it_is_spoken() -> None:
    """After a rejoin with another origin of the sender's clock the sound is within 50 ms of its true time."""
    scene = Scene(origin_ms=0.0)
    scene.packets(range(50))
    scene.silence_until(3000)
    scene.timeline.join()
    scene.first_position, scene.origin_ms = 11, 3210.0
    scene.packets(range(100, 130))
    joined = scene.events()[-1]
    assert isinstance(joined, LegJoined)
    assert joined.rejoined
    assert scene.begins_at(129) == pytest.approx(3210 + 129 * 20, abs=50)


def test_late_sound_is_kept() -> None:
    """Packets that were held up for 300 ms come behind the silence that was fed meanwhile; none of their sound is lost."""
    scene = Scene()
    scene.packets(range(10))
    for k in range(10, 25):
        scene.packet(k, delay_ms=5 + (25 - k) * 20)
    scene.packets(range(25, 40))
    heard = set(np.unique(scene.sound()).tolist())
    assert {k + LOUD for k in range(40)} <= heard
    assert contiguous(scene.frames)


def test_a_stall_of_ours_puts_no_silence_into_the_sound() -> None:
    """Packets that came while our loop stood still for 600 ms are read before silence is fed."""
    scene = Scene()
    scene.packets(range(20))
    stalled_ms = scene.now_ms + 600
    for k in range(20, 50):
        scene.items += scene.timeline.tick(stalled_ms + (k - 20))
        scene.items += scene.timeline.feed(scene.first_position + k * 320, np.full(320, k + LOUD, np.int16), stalled_ms + (k - 20))
    assert not any(frame.silence_filled for frame in scene.frames)
    assert scene.begins_at(49) == pytest.approx(1005 + 49 * 20, abs=1)


def test_late_sound_is_paid_back_in_quiet() -> None:
    """Once it gets quiet, the times are right again."""
    scene = Scene()
    scene.packets(range(10))
    for k in range(10, 25):
        scene.packet(k, delay_ms=5 + (25 - k) * 20)
    scene.packets(range(25, 60), level=20)
    scene.packets(range(60, 70))
    assert scene.begins_at(60) == pytest.approx(1005 + 60 * 20, abs=3)


def test_sound_that_is_much_too_late_is_dropped_with_a_report() -> None:
    """After a stall of 4 s at most one second of the past is still heard."""
    scene = Scene()
    scene.packets(range(10))
    scene.silence_until(1000 + 210 * 20)
    for k in range(10, 210):
        scene.packet(k, delay_ms=(210 - k) * 20)
    lost = sum(event.lost_ms for event in scene.events() if isinstance(event, FramesDropped))
    assert 2500 <= lost <= 3300


@pytest.mark.parametrize("speed", [1.0002, 0.9998])
def test_a_sound_card_with_another_clock_is_followed(speed: float) -> None:
    """200 ppm are 120 ms in ten minutes; the sound stays within 50 ms of its true time."""
    scene = Scene(origin_ms=0.0)
    for k in range(30_000):
        now = (k + 1) * 20 / speed + 5
        scene.items += scene.timeline.tick(now)
        level = 20 if k % 50 > 30 else 3000
        scene.items += scene.timeline.feed(k * 320, np.full(320, level if k < 29_990 else k - 29_990 + LOUD, np.int16), now)
    assert scene.begins_at(0) == pytest.approx(29_990 * 20 / speed, abs=50)
    assert contiguous(scene.frames)


def test_a_clock_that_jumps_is_laid_anew() -> None:
    """A sender whose numbers leap an hour ahead goes on at the wall clock's time."""
    scene = Scene()
    scene.packets(range(10))
    scene.first_position += 3600 * 16_000
    scene.packets(range(10, 20))
    assert scene.begins_at(19) == pytest.approx(1005 + 19 * 20, abs=20)


def test_a_sender_whose_clock_stood_still_is_laid_anew() -> None:
    """A sound card that slept for 10 s does not stay 10 s late."""
    scene = Scene()
    scene.packets(range(10))
    scene.origin_ms += 10_000
    scene.packets(range(10, 60))
    assert scene.begins_at(59) == pytest.approx(11_005 + 59 * 20, abs=40)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), lose=st.floats(0, 0.4), jitter=st.floats(0, 150))
def test_whatever_the_network_does_frames_are_whole_and_seamless(seed: int, lose: float, jitter: float) -> None:
    """Frames follow one another without overlap or gap, in whole milliseconds, never far ahead of the clock."""
    chance = random.Random(seed)
    scene = Scene()
    last = 0.0
    for k in range(300):
        if chance.random() >= lose:
            last = max(last, (k + 1) * 20 + chance.uniform(0, jitter))
            scene.packet(k, delay_ms=last - (k + 1) * 20, level=LOUD if k % 40 < 20 else 10)
            if scene.frames:
                assert scene.frames[-1].end_ms <= scene.now_ms + jitter + 310
    assert contiguous(scene.frames)
    assert all(len(frame.samples) % 16 == 0 and len(frame.samples) > 0 for frame in scene.frames)
