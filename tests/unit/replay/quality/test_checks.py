"""Each check gives the handbook's own example, and says what it cannot take."""

import numpy as np
import pyarrow as pa
import pytest

from replay.errors import HistoryError
from replay.quality.bad_ticks import BadTick, BadTickRules, BadTicks
from replay.quality.numbering import Numbering
from replay.quality.offsets import holes
from replay.store.part import Covered


def flags(rules: BadTickRules | None = None, **columns: list[float]) -> list[int]:
    rows = pa.RecordBatch.from_pydict(columns)
    groups = np.zeros(rows.num_rows, np.int64)
    return BadTicks(rows.schema, rules or BadTickRules()).flags(rows, groups, ["A"]).tolist()


def test_numbers_of_the_example_are_gaps_a_fill_and_a_duplicate() -> None:
    numbering = Numbering()
    numbers = np.array([1, 2, 2, 5, 4, 8])
    gaps = numbering.take(np.zeros(6, np.int64), numbers)
    assert [(gap.first, gap.last, gap.row) for gap in gaps] == [(3, 4, 3), (6, 7, 5)]
    counts = numbering.counts
    assert (counts.duplicates, counts.filled, counts.missing, counts.given_up) == (1, 1, 3, 0)


def test_the_oldest_range_is_given_up_where_there_are_too_many() -> None:
    numbering = Numbering(ranges_max=2)
    numbering.take(np.zeros(5, np.int64), np.array([1, 3, 5, 7, 2]))
    assert (numbering.counts.given_up, numbering.counts.duplicates, numbering.counts.filled) == (1, 1, 0)


def test_a_price_far_from_the_median_is_an_outlier_and_a_new_level_is_accepted_in_time() -> None:
    before = [100.00, 100.02, 100.02, 100.01, 100.01, 100.04, 100.03]
    rules = BadTickRules(prices_min=7)
    assert flags(rules, price=[*before, 100.50])[-1] == BadTick.OUTLIER
    assert flags(rules, price=[*before, 100.06])[-1] == 0
    level = flags(rules, price=[*before, *[101.0] * 8])
    assert level[7] == BadTick.OUTLIER
    assert level[-1] == 0


def test_a_spread_is_wide_beyond_fifty_times_the_usual_one() -> None:
    bid, ask = [100.00] * 50, [100.02] * 50
    for last, wide in (((99.00, 100.50), True), ((99.50, 100.50), False)):
        seen = flags(bid_price=[*bid, last[0]], ask_price=[*ask, last[1]])
        assert bool(seen[-1] & BadTick.WIDE) is wide


def test_a_side_of_zero_is_marked_and_one_without_price_is_not() -> None:
    quotes = {"bid_price": [0.0, None, 1.0], "bid_size": [1.0, 0.0, 0.0], "ask_price": [2.0, 2.0, 2.0]}
    schema = pa.schema([(name, pa.float64()) for name in quotes])
    rows = pa.RecordBatch.from_pydict(quotes, schema=schema)
    seen = BadTicks(schema, BadTickRules()).flags(rows, np.zeros(3, np.int64), ["A"])
    assert seen.tolist() == [BadTick.NOT_POSITIVE, 0, BadTick.NOT_POSITIVE]
    assert flags(BadTickRules(negative_ok=True), price=[-1.0]) == [0]


def test_each_symbol_has_its_own_tick() -> None:
    rules = BadTickRules(tick=1.0, ticks={"B": 0.01})
    assert (rules.tick_of("A"), rules.tick_of("B")) == (1.0, 0.01)
    rows = pa.RecordBatch.from_pydict({"price": [5.0, 5.0] * 10 + [5.5, 5.5]})
    groups = np.arange(22, dtype=np.int64) % 2
    seen = BadTicks(rows.schema, rules).flags(rows, groups, ["A", "B"])
    assert seen[-2:].tolist() == [0, BadTick.OUTLIER]


@pytest.mark.parametrize(
    "rules", [{"tick": 0.0}, {"ticks": {"A": -1.0}}, {"deviation_ticks_min": float("nan")}]
)
def test_a_step_that_is_none_is_refused(rules: dict[str, object]) -> None:
    with pytest.raises(HistoryError, match="must be more than 0"):
        BadTickRules(**rules)  # type: ignore[arg-type]


def test_holes_lie_between_ranges_that_may_overlap() -> None:
    ranges = [
        Covered("t", 0, 40, 50),
        Covered("t", 0, 0, 10),
        Covered("t", 0, 5, 30),
        Covered("t", 0, 30, 35),
    ]
    assert holes(ranges) == [Covered("t", 0, 35, 40)]
