"""When a bound was first reached: by steps that rise, kept as long as a row to come may ask for one."""

import numpy as np
import pytest

from operators.inputs.known_bounds import KnownBounds
from operators.inputs.known_log import KnownLog
from operators.inputs.progress import InputProgress
from schemas.arrived import ProgressRecord
from schemas.batch import Int64s


def ints(*values: int) -> Int64s:
    return np.array(values, np.int64)


def bounds_of(*steps: tuple[int, int, int]) -> KnownBounds:
    """Bounds that saw these, as (bound, known, offset), in the order of their log."""
    bounds = KnownBounds()
    for bound_ns, known_ns, offset in steps:
        bounds.see(ints(bound_ns), ints(known_ns), ints(offset))
    return bounds


def asked(bounds: KnownBounds, *at: int) -> list[int | None]:
    known, there = bounds.known_at(ints(*at))
    return [value if is_there else None for value, is_there in zip(known.tolist(), there, strict=True)]


def test_the_first_that_reaches_a_bound_counts_and_none_that_comes_later_or_lower() -> None:
    bounds = bounds_of((3, 30, 0), (3, 1, 1), (2, 1, 2), (7, 5, 3), (9, 99, 4))
    assert asked(bounds, 1, 3, 4, 7, 8, 9, 10) == [30, 30, 5, 5, 99, 99, None]
    assert bounds.newest_ns == 9
    assert asked(KnownBounds(), 0) == [None]


def test_steps_are_the_same_one_by_one_and_all_at_once() -> None:
    steps = [(3, 30, 0), (1, 2, 1), (5, 3, 2), (5, 4, 3), (4, 9, 4), (8, 1, 5)]
    at_once = KnownBounds()
    at_once.see(*(ints(*column) for column in zip(*steps, strict=True)))
    assert at_once.to_bytes() == bounds_of(*steps).to_bytes()


def test_what_no_row_to_come_asks_for_is_forgotten_and_what_one_asks_for_is_read_again() -> None:
    bounds = bounds_of((3, 30, 7), (5, 50, 8), (9, 90, 9))
    assert bounds.oldest_offset(20) == 7
    bounds.forget(5)
    assert asked(bounds, 6) == [90]
    assert bounds.oldest_offset(20) == 9
    bounds.forget(9)
    assert bounds.oldest_offset(20) == 20
    assert bounds.newest_ns == 9


def test_a_snapshot_gives_all_of_it_back_and_damage_is_named() -> None:
    bounds = bounds_of((3, 30, 7), (5, 50, 8))
    again = KnownBounds.from_bytes(bounds.to_bytes())
    assert (asked(again, 2, 4, 6), again.oldest_offset(9)) == ([30, 50, None], 7)
    for damaged in (b"", bounds.to_bytes()[:-1]):
        with pytest.raises(ValueError, match="steps of"):
            KnownBounds.from_bytes(damaged)


def test_what_raised_the_watermark_before_the_restart_and_is_not_read_again_nobody_knows() -> None:
    log = KnownLog(grace_ns=0)
    log.resume(InputProgress(needed_offset=4, next_offset=6, watermark_ns=10), frontier_ns=2)
    log.add_record(ProgressRecord(5, offset=4))
    log.add_record(ProgressRecord(99, offset=5))  # set aside then: beyond the committed watermark
    log.add_record(ProgressRecord(20, offset=6))
    log.settle(caught_up=True)
    assert asked(log.bounds, 5, 6, 10, 11) == [5, None, None, 20]


def test_records_and_rows_are_put_in_the_order_of_their_log() -> None:
    log = KnownLog(grace_ns=0)
    for upper_ns, offset in ((9, 3), (5, 1), (7, 2)):
        log.add_record(ProgressRecord(upper_ns, offset=offset))
    log.add_record(ProgressRecord(30))  # of no log: behind all that was read
    log.settle(caught_up=True)
    assert asked(log.bounds, 4, 6, 8, 10) == [5, 7, 9, 30]
