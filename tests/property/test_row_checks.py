"""Checks that are asked for equal the slow rules, look at nothing later, and do not see how rows are cut."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.quality.bad_ticks import BadTick, BadTickRules, BadTicks, TrimmedRules
from replay.quality.conditions import CONDITIONS, Conditions, us_conditions
from replay.quality.duplicates import Duplicates
from replay.quality.groups import Groups
from replay.quality.quotes_beside import QuotesBeside, off_quote
from tests.oracles.row_checks import (
    US_WORDS,
    Quote,
    conditions_slowly,
    duplicates_slowly,
    is_far_slowly,
    off_quote_slowly,
)

CUTS = st.lists(st.integers(1, 60), min_size=1, max_size=5)
SYMBOLS = ("A", "B", "C")


def pieces(rows: pa.RecordBatch, cuts: list[int]) -> Iterator[pa.RecordBatch]:
    """The rows in pieces of these sizes, over and over."""
    lower = 0
    while lower < rows.num_rows:
        for size in cuts:
            yield rows.slice(lower, size)
            lower += size


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from("XY"),
            st.none() | st.sampled_from(["7", "8", "9"]),
            st.sampled_from([0, 3, 10, 11]),
        ),
        max_size=60,
    ),
    cuts=CUTS,
    whole_numbers=st.booleans(),
)
def test_duplicates_are_those_of_the_slow_rule_however_rows_are_cut(
    rows: list[tuple[str, str | None, int]], cuts: list[int], whole_numbers: bool
) -> None:
    times_ns = np.cumsum([step for _, _, step in rows]).astype(np.int64)
    ids: list[str | int | None] = [
        None if name is None else int(name) if whole_numbers else name for _, name, _ in rows
    ]
    kind = pa.int64() if whole_numbers else pa.string()
    batch = pa.RecordBatch.from_pydict(
        {
            "source": pa.array([int(source == "Y") for source, _, _ in rows], pa.int64()),
            "id": pa.array(ids, kind),
            "time_ns": pa.array(times_ns, pa.int64()),
        }
    )
    duplicates, seen = Duplicates(kind, dedup_ns=10), list[bool]()
    for piece in pieces(batch, cuts):
        source, name, time_ns = piece.columns
        seen += duplicates.take(source.to_numpy(), name, time_ns.to_numpy()).tolist()
    order = [(source, name, int(ns)) for (source, name, _), ns in zip(rows, times_ns, strict=True)]
    assert seen == duplicates_slowly(order, 10)


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 300), seed=st.integers(0, 2**32 - 1), cuts=CUTS)
def test_prices_far_from_the_trimmed_mean_are_those_of_the_slow_rule(
    rows: int, seed: int, cuts: list[int]
) -> None:
    draw = np.random.default_rng(seed)
    ticks = 1_000 + np.cumsum(draw.integers(-1, 2, rows)) + draw.choice([0, 0, 0, 12], rows)
    batch = pa.RecordBatch.from_pydict(
        {
            "symbol": draw.choice(SYMBOLS, rows, p=[0.8, 0.1, 0.1]),
            "price": pa.array(ticks * 0.25, mask=draw.random(rows) < 0.1),
        }
    )
    groups = Groups(("symbol",))
    checks = BadTicks(batch.schema, BadTickRules(tick=0.25), TrimmedRules())
    seen: list[bool] = []
    for piece in pieces(batch, cuts):
        flags = checks.flags(piece, groups.numbers(piece), groups.names())
        seen += ((flags & BadTick.FAR) != 0).tolist()
    before, expected = defaultdict[str, list[float]](list), []
    for row in batch.to_pylist():
        price = None if row["price"] is None else row["price"] / 0.25
        expected.append(price is not None and is_far_slowly(before[row["symbol"]], price))
        if price is not None:
            before[row["symbol"]].append(price)
    assert seen == expected


def draw_market(
    seed: int, trades: int, quotes: int
) -> tuple[list[tuple[int, str, float | None]], list[Quote]]:
    """Trades and quotes, in ticks, whose times are often equal; sides that are null, zero and crossed."""
    draw = np.random.default_rng(seed)
    at = [np.sort(draw.integers(0, 40, size)).tolist() for size in (trades, quotes)]
    of = [draw.choice(SYMBOLS, size).tolist() for size in (trades, quotes)]
    prices = [None if draw.random() < 0.05 else float(price) for price in draw.integers(95, 111, trades)]
    sides = [
        tuple(
            None if draw.random() < 0.1 else float(price) for price in draw.choice([0, 99, 100, 101, 103], 2)
        )
        for _ in range(quotes)
    ]
    left = list(zip(at[0], of[0], prices, strict=True))
    right = [(ns, symbol, bid, ask) for ns, symbol, (bid, ask) in zip(at[1], of[1], sides, strict=True)]
    return left, right


def off_quotes(
    trades: list[tuple[int, str, float | None]], quotes: list[Quote], cuts: list[int], more_cuts: list[int]
) -> list[bool]:
    """D8 of trades and quotes, each cut into batches of their own."""
    right = pa.RecordBatch.from_pylist(
        [{"event_ns": ns, "symbol": of, "bid_price": bid, "ask_price": ask} for ns, of, bid, ask in quotes],
        schema=pa.schema(
            [
                ("event_ns", pa.int64()),
                ("symbol", pa.string()),
                *((name, pa.float64()) for name in ("bid_price", "ask_price")),
            ]
        ),
    )
    beside = QuotesBeside(pieces(right, more_cuts), ("symbol",), "event")
    left = pa.RecordBatch.from_pylist(
        [{"event_ns": ns, "symbol": of, "price": price} for ns, of, price in trades],
        schema=pa.schema([("event_ns", pa.int64()), ("symbol", pa.string()), ("price", pa.float64())]),
    )
    seen: list[bool] = []
    for piece in pieces(left, cuts):
        price = piece.column("price").to_numpy(zero_copy_only=False)
        sides = beside.at(piece, piece.column("event_ns").to_numpy())
        seen += off_quote(price, sides, np.ones(price.size), 1.0).tolist()
    return seen


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    trades=st.integers(0, 60),
    quotes=st.integers(0, 80),
    cuts=CUTS,
    more_cuts=CUTS,
)
def test_trades_away_from_their_quote_are_those_of_the_slow_rule(
    seed: int, trades: int, quotes: int, cuts: list[int], more_cuts: list[int]
) -> None:
    left, right = draw_market(seed, trades, quotes)
    expected = [off_quote_slowly(trade, right) for trade in left]
    assert off_quotes(left, right, cuts, more_cuts) == expected
    assert off_quotes(left[: trades // 2], right, cuts, more_cuts) == expected[: trades // 2]


def test_the_market_drawn_has_trades_on_and_off_their_quotes() -> None:
    left, right = draw_market(3, 60, 80)
    assert min(Counter(off_quotes(left, right, [60], [80])).values()) > 5


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(SYMBOLS),
            st.none() | st.sampled_from("ABC"),
            st.none() | st.text([*US_WORDS, "?", " "], max_size=4),
        ),
        max_size=60,
    ),
    cuts=CUTS,
)
def test_conditions_are_those_of_the_slow_rule_however_rows_are_cut(
    rows: list[tuple[str, str | None, str | None]], cuts: list[int]
) -> None:
    schema = pa.schema([(name, pa.string()) for name in ("symbol", "tape", "codes")])
    batch = pa.RecordBatch.from_pylist(
        [dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema
    )
    groups, conditions = Groups(("symbol",)), Conditions(us_conditions())
    seen: list[tuple[bool, ...]] = []
    for piece in pieces(batch, cuts):
        words = conditions.take(piece, groups.numbers(piece), "codes", "tape")
        seen += list(zip(*(words[name].tolist() for name in CONDITIONS), strict=True))
    assert seen == conditions_slowly(rows)
    assert conditions.unknown == sum("?" in (text or "") for _, _, text in rows)
