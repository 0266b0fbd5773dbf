from hypothesis import given
from hypothesis import strategies as st

from voice.models.trained import of_like_length


@given(st.lists(st.integers(1, 128), max_size=12))
def test_texts_of_like_length_are_read_together(lengths: list[int]) -> None:
    """Each once, with the longest of its batch beside it; none much longer than the shortest."""
    groups = of_like_length(lengths)
    assert sorted(row for rows, _ in groups for row in rows) == list(range(len(lengths)))
    for rows, longest in groups:
        held = [lengths[row] for row in rows]
        assert max(held) == longest <= 1.4 * min(held)
