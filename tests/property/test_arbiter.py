"""Two lines of a feed become one by the slow rule, and no row of either is there twice or out of order."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from replay.quality.arbiter import Arbiter, Copy, FeedGap
from tests.oracles.quality import ArbiterSlowly

Copies = Sequence[tuple[int, int, int, int]]  # time, channel, number, payload

LINE = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 1), st.integers(0, 12), st.sampled_from([7, 7, 7, 8])),
    max_size=40,
)


def merged(line_a: Copies, line_b: Copies) -> list[tuple[int, int, int, int]]:
    """Both lines in the order of time, A first."""
    ordered = [(copy[0], line, copy) for line, copies in enumerate((line_a, line_b)) for copy in copies]
    return [copy for _, _, copy in sorted(ordered, key=lambda one: one[:2])]


def arbitrated(copies: Copies, hold_ns: int) -> tuple[Arbiter[int], list[tuple[int, int, int]]]:
    arbiter: Arbiter[int] = Arbiter(hold_ns)
    released = [one for row, copy in enumerate(copies) for one in arbiter.take(Copy(*copy, row))]
    released += arbiter.finish()
    return arbiter, [(one.known_ns, one.channel, one.number) for one in released]


@settings(max_examples=150, deadline=None)
@given(line_a=LINE, line_b=LINE, hold_ns=st.sampled_from([0, 5, 20, 1_000]))
def test_two_lines_become_the_feed_of_the_slow_rule(line_a: Copies, line_b: Copies, hold_ns: int) -> None:
    copies = merged(line_a, line_b)
    slow = ArbiterSlowly(hold_ns)
    slow.run(copies)
    arbiter, released = arbitrated(copies, hold_ns)
    assert released == slow.released
    counts = arbiter.counts
    assert {name: getattr(counts, name) for name in slow.counts} == slow.counts
    missing = {(gap.channel, number) for gap in arbiter.gaps for number in range(gap.first, gap.last + 1)}
    assert missing == slow.given_up
    times_ns = [known_ns for known_ns, _, _ in released]
    assert times_ns == sorted(times_ns)
    for channel in (0, 1):
        numbers = [number for _, its, number in released if its == channel]
        assert numbers == sorted(set(numbers))


def test_the_example_has_no_gap() -> None:
    line_a = [(1, 0, 1, 0), (2, 0, 2, 0), (4, 0, 4, 0)]
    line_b = [(1, 0, 1, 0), (3, 0, 3, 0), (5, 0, 4, 0)]
    arbiter, released = arbitrated(merged(line_a, line_b), 50)
    assert [number for _, _, number in released] == [1, 2, 3, 4]
    assert arbiter.gaps == []
    assert arbiter.counts.duplicates == 2


def test_a_row_waits_for_the_hole_before_it_and_no_longer_than_its_time() -> None:
    arbiter, released = arbitrated([(0, 0, 1, 0), (10, 0, 3, 0), (61, 0, 2, 0), (62, 0, 4, 0)], 50)
    assert released == [(0, 0, 1), (60, 0, 3), (62, 0, 4)]
    assert arbiter.gaps == [FeedGap(0, 2, 2, 60)]
    assert arbiter.counts.late == 1
    in_time, released = arbitrated([(0, 0, 1, 0), (10, 0, 3, 0), (60, 0, 2, 0)], 50)
    assert released == [(0, 0, 1), (60, 0, 2), (60, 0, 3)]
    assert in_time.gaps == []


def test_payloads_are_remembered_for_so_many_rows_and_no_more() -> None:
    arbiter: Arbiter[int] = Arbiter(50, remembered_max=2)
    for number in range(4):
        arbiter.take(Copy(number, 0, number, 7, number))
    for number in range(4):
        arbiter.take(Copy(10, 0, number, 8, number))
    assert (arbiter.counts.duplicates, arbiter.counts.conflicts) == (4, 2)
