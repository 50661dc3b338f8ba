"""Checks of quality equal the slow rules, look at nothing later, and do not see how rows are cut."""

from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.quality.bad_ticks import PRICE_KINDS, BadTick, BadTickRules, BadTicks
from replay.quality.clocks import Distances, Silences
from replay.quality.groups import Groups
from replay.quality.numbering import Numbering
from replay.quality.repeats import Repeats
from tests.oracles.quality import numbers_slowly, quote_flags_slowly, silences_slowly

SYMBOLS = ("A", "B", "C")
NAMES = ("symbol", "bid_price", "ask_price", "bid_size", "ask_size")
SCHEMA = pa.schema([("symbol", pa.string()), *((name, pa.float64()) for name in NAMES[1:])])

CUTS = st.lists(st.integers(1, 200), min_size=1, max_size=5)


def draw_quotes(rows: int, seed: int) -> pa.RecordBatch:
    """Quotes whose prices lie on the grid, with jumps, one-sided, crossed, locked and empty ones."""
    draw = np.random.default_rng(seed)
    bid = (
        1_000
        + np.cumsum(draw.integers(-1, 2, rows))
        + draw.choice([0, 0, 0, 40, -2_000], rows, p=[0.8, 0.1, 0.05, 0.04, 0.01])
    )
    ask = bid + draw.choice([-1, 0, 1, 2, 3, 400], rows, p=[0.02, 0.05, 0.5, 0.3, 0.1, 0.03])
    sizes = [draw.integers(0, 50, rows).astype(np.float64) for _ in range(2)]
    numbers = [bid * 0.25, ask * 0.25, *sizes]
    columns = [pa.array(draw.choice(np.array(SYMBOLS), rows, p=[0.9, 0.09, 0.01]))]
    columns += [pa.array(each, mask=draw.random(rows) < 0.1) for each in numbers]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def flags_of(rows: pa.RecordBatch, cuts: list[int]) -> list[int]:
    groups, ticks = Groups(("symbol",)), BadTicks(SCHEMA, BadTickRules(tick=0.25))
    flags: list[int] = []
    lower = 0
    while lower < rows.num_rows:
        for size in cuts:
            batch = rows.slice(lower, size)
            flags += ticks.flags(batch, groups.numbers(batch), groups.names()).tolist()
            lower += size
    return flags


@settings(max_examples=12, deadline=None)
@given(rows=st.integers(1, 900), seed=st.integers(0, 2**32 - 1), cuts=CUTS)
def test_bad_ticks_are_those_of_the_slow_rules_however_rows_are_cut(
    rows: int, seed: int, cuts: list[int]
) -> None:
    quotes = draw_quotes(rows, seed)
    in_ticks = [
        (
            row["symbol"],
            *(None if row[name] is None else row[name] / 0.25 for name in NAMES[1:3]),
            row["bid_size"],
            row["ask_size"],
        )
        for row in quotes.to_pylist()
    ]
    expected = [sum(BadTick[name] for name in wrong) for wrong in quote_flags_slowly(in_ticks)]
    assert flags_of(quotes, cuts) == expected
    assert flags_of(quotes.slice(0, rows // 2), cuts) == expected[: rows // 2]


def test_each_kind_of_bad_tick_is_drawn() -> None:
    kinds = Counter(
        kind for flag in flags_of(draw_quotes(900, seed=3), [900]) for kind in BadTick if flag & kind
    )
    assert set(kinds) == set(PRICE_KINDS)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 2), st.integers(-5, 60)), max_size=120),
    cuts=CUTS,
)
def test_numbers_are_those_of_the_slow_rule_however_rows_are_cut(
    rows: list[tuple[int, int]], cuts: list[int]
) -> None:
    numbering, gaps, lower = Numbering(), [], 0
    while lower < len(rows):
        for size in cuts:
            some = np.array(rows[lower : lower + size], np.int64).reshape(-1, 2)
            of_batch = numbering.take(some[:, 0], some[:, 1])
            gaps += [gap._replace(row=gap.row + lower) for gap in of_batch]
            lower += size
    counts, expected = numbers_slowly(rows)
    assert [tuple(gap) for gap in gaps] == expected
    assert {name: getattr(numbering.counts, name) for name in counts} == counts
    assert numbering.counts.forgotten == 0


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(0, 300), cuts=CUTS)
def test_silences_are_those_of_the_slow_rule_however_rows_are_cut(
    seed: int, rows: int, cuts: list[int]
) -> None:
    draw = np.random.default_rng(seed)
    steps = draw.choice([0, 10**6, 10**9, 61 * 10**9, 5_000 * 10**9], rows, p=[0.2, 0.4, 0.3, 0.07, 0.03])
    times_ns, groups = np.cumsum(steps), draw.integers(0, 2, rows)
    silences, lower = Silences(), 0
    while lower < rows:
        for size in cuts:
            silences.add(groups[lower : lower + size], times_ns[lower : lower + size])
            lower += size
    expected = silences_slowly(list(zip(groups.tolist(), times_ns.tolist(), strict=True)))
    assert (silences.count, silences.longest_ns) == expected


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(0, 2)), max_size=60), cuts=CUTS
)
def test_repeated_rows_are_counted_however_rows_are_cut(
    rows: list[tuple[int, int, int]], cuts: list[int]
) -> None:
    ordered = sorted(rows, key=lambda row: row[0])
    repeats, lower = Repeats(3), 0
    while lower < len(ordered):
        for size in cuts:
            repeats.add(*np.array(ordered[lower : lower + size], np.int64).reshape(-1, 3).T)
            lower += size
    assert repeats.count == len(rows) - len(set(rows))


@given(st.lists(st.integers(-(2**60), 2**60), min_size=1, max_size=50), st.sampled_from([0.5, 0.99, 1.0]))
def test_a_quantile_lies_at_most_one_in_128_nearer_to_zero(distances: list[int], share: float) -> None:
    counted = Distances()
    counted.add(np.array(distances, np.int64))
    exact = next(value for rank, value in enumerate(sorted(distances), 1) if rank >= share * len(distances))
    quantile = counted.quantile_ns(share)
    assert abs(quantile) <= abs(exact)
    assert abs(exact - quantile) * 128 <= abs(exact)
    assert counted.negative == sum(value < 0 for value in distances)
