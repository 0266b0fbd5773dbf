"""Packets in the order in which they were sent."""

from hypothesis import given
from hypothesis import strategies as st

from voice.legs.reorder import ReorderBuffer, ReorderSettings


def test_packets_in_order_go_on_at_once() -> None:
    """A packet whose predecessors have all gone is never held."""
    buffer: ReorderBuffer[int] = ReorderBuffer()
    assert [buffer.feed(n, n, 0.0) for n in (7, 8, 9)] == [[7], [8], [9]]


def test_two_swapped_packets_go_on_in_order() -> None:
    """The later packet waits for the earlier one."""
    buffer: ReorderBuffer[str] = ReorderBuffer()
    buffer.feed(1, "a", 0.0)
    assert buffer.feed(3, "c", 20.0) == []
    assert buffer.feed(2, "b", 21.0) == ["b", "c"]


def test_a_hole_is_given_up_by_count() -> None:
    """Three packets behind a missing one are enough to stop waiting for it."""
    buffer: ReorderBuffer[int] = ReorderBuffer()
    buffer.feed(0, 0, 0.0)
    assert buffer.feed(2, 2, 1.0) == []
    assert buffer.feed(3, 3, 2.0) == []
    assert buffer.feed(4, 4, 3.0) == [2, 3, 4]
    assert buffer.given_up == 1


def test_a_hole_is_given_up_by_time() -> None:
    """A packet at the end of a talk spurt does not wait for a successor that never comes."""
    buffer: ReorderBuffer[int] = ReorderBuffer()
    buffer.feed(0, 0, 0.0)
    buffer.feed(2, 2, 20.0)
    assert buffer.tick(79.0) == []
    assert buffer.tick(80.0) == [2]


def test_a_packet_that_was_given_up_and_comes_after_all_is_dropped() -> None:
    """What lies behind the newest packet that went on never goes back."""
    buffer: ReorderBuffer[int] = ReorderBuffer()
    for n in (0, 2, 3, 4):
        buffer.feed(n, n, 0.0)
    assert buffer.feed(1, 1, 0.0) == []
    assert buffer.late == 1


def test_the_numbers_wrap() -> None:
    """After 65535 comes 0."""
    buffer: ReorderBuffer[int] = ReorderBuffer()
    assert [n for k in (65534, 65535, 1, 0, 2) for n in buffer.feed(k, k, 0.0)] == [65534, 65535, 0, 1, 2]


def test_a_sender_that_counts_anew_is_followed() -> None:
    """A number far behind is a new count; what waited goes first."""
    buffer: ReorderBuffer[int] = ReorderBuffer()
    buffer.feed(30_000, 30_000, 0.0)
    buffer.feed(30_002, 30_002, 0.0)
    assert buffer.feed(5, 5, 0.0) == [30_002, 5]


@given(
    start=st.integers(0, 65535),
    fates=st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=200),
)
def test_whatever_the_network_does_order_holds_and_little_is_held(start: int, fates: list[tuple[bool, int]]) -> None:
    """Packets lost and delayed at will come out in order, once each, with three at most held back."""
    arrivals = sorted((k + delay, k) for k, (lost, delay) in enumerate(fates) if not lost)
    buffer: ReorderBuffer[int] = ReorderBuffer(ReorderSettings(waiting=3))
    out: list[int] = []
    for count, (_, k) in enumerate(arrivals, start=1):
        out += buffer.feed((start + k) % 65536, k, 0.0)
        assert count - len(out) - buffer.late <= 3
    out += buffer.finish()
    assert out == sorted(set(out))
    assert len(out) + buffer.late == len(arrivals)
