"""Realised spread and price impact are those of the definition, however both sides are cut."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.labels.settings import LabelError
from operators.labels.spread_node import LaterMid, SpreadNode, Upstreams, spread_meaning
from operators.node import NodeStateError
from operators.rows.groups import Groups
from operators.sealed import RowKeys, Sealed
from operators.sessions.sessions import DAYS_OF_UTC
from schemas.reasons import DOMAIN, NULL_IN
from tests.oracles.features.handbook import F2, F3, MS_NS, as_written, written
from tests.property.label_cases import ShortDays, session_of


class Trade(NamedTuple):
    """A trade, and the mid that it met."""

    time_ns: int
    symbol: str | None
    price: float | None
    side: int | None
    mid: float | None


class Quote(NamedTuple):
    """A quote's mid, null where it is not valid."""

    time_ns: int
    symbol: str | None
    mid: float | None


CLOCKS = [pa.field("event_ns", pa.int64()), pa.field("known_ns", pa.int64()), pa.field("symbol", pa.string())]
PLACED = [
    pa.field("left_offset", pa.int64(), nullable=False),
    pa.field("left_index", pa.int32(), nullable=False),
]
TRADES = pa.schema([*CLOCKS, *((name, pa.float64()) for name in ("price", "side", "mid")), *PLACED])
QUOTES = pa.schema([*CLOCKS, pa.field("mid", pa.float64())])

times = st.integers(0, 50)
symbols = st.sampled_from(["A", "A", "B", None])
mids = st.one_of(st.none(), st.integers(96, 104).map(float))
trades = st.lists(
    st.builds(Trade, times, symbols, mids, st.sampled_from([None, -1, 0, 1, 1, 2]), mids), max_size=15
).map(lambda rows: sorted(rows, key=lambda row: row.time_ns))
quotes = st.lists(st.builds(Quote, times, symbols, mids), max_size=20).map(
    lambda rows: sorted(rows, key=lambda row: row.time_ns)
)
settings = st.builds(
    LaterMid,
    price=st.just("price"),
    direction=st.just("side"),
    mid=st.just("mid"),
    horizon_ns=st.integers(1, 15),
    relative=st.booleans(),
    across_sessions=st.booleans(),
)


def spreads_slowly(
    trades: Sequence[Trade], quotes: Sequence[Quote], settings: LaterMid
) -> list[tuple[float | None, float | None, int | None]]:
    """Per trade Q17, Q18, and when they could be known; each row is known 2 ns after its time."""
    answer: list[tuple[float | None, float | None, int | None]] = []
    for trade in trades:
        end_ns = trade.time_ns + settings.horizon_ns
        own = [
            quote
            for quote in quotes
            if quote.symbol == trade.symbol is not None and quote.mid is not None and quote.time_ns <= end_ns
        ]
        later = own[-1] if own else None
        session = session_of(trade.time_ns)
        if later is not None and not settings.across_sessions:
            same = session_of(later.time_ns) == session_of(end_ns) == session != -1
            later = later if same else None
        base = trade.mid if settings.relative else 1.0
        if later is None or later.mid is None or trade.price is None or trade.side not in (-1, 0, 1):
            answer.append((None, None, None))
            continue
        impact = None if trade.mid is None else 2.0 * trade.side * (later.mid - trade.mid)
        if base is None:
            answer.append((None, None, None))
            continue
        realised = 2.0 * trade.side * (trade.price - later.mid) / base
        known_ns = max(trade.time_ns + 2, later.time_ns + 2, end_ns)
        answer.append((realised, None if impact is None else impact / base, known_ns))
    return answer


def columns(rows: Sequence[Any], schema: pa.Schema, values: Sequence[Sequence[Any]]) -> pa.RecordBatch:
    clocks = [
        [row.time_ns for row in rows],
        [row.time_ns + 2 for row in rows],
        [row.symbol for row in rows],
    ]
    parts = zip([*clocks, *values], schema, strict=True)
    return pa.RecordBatch.from_arrays([pa.array(one, field.type) for one, field in parts], schema=schema)


def sealed(rows: Sequence[Any], batch: pa.RecordBatch, complete_ns: int, groups: Groups) -> Sealed:
    names = sorted({row.symbol for row in rows if row.symbol is not None})
    codes = [-1 if row.symbol is None else names.index(row.symbol) for row in rows]
    group = groups.codes(pa.array(names, pa.string()).cast(pa.binary()), np.array(codes, np.int32))
    keys = RowKeys(group, np.array([row.time_ns for row in rows], np.int64))
    return Sealed(batch if rows else None, complete_ns, keys=keys)


def of_trades(rows: Sequence[Trade], first: int, complete_ns: int, groups: Groups) -> Sealed:
    values: list[Any] = [[row.price for row in rows], [row.side for row in rows], [row.mid for row in rows]]
    places = [[900 - first - number for number in range(len(rows))], [0] * len(rows)]
    return sealed(rows, columns(rows, TRADES, [*values, *places]), complete_ns, groups)


def of_quotes(rows: Sequence[Quote], complete_ns: int, groups: Groups) -> Sealed:
    return sealed(rows, columns(rows, QUOTES, [[row.mid for row in rows]]), complete_ns, groups)


def new_node(settings: LaterMid, groups: Groups) -> SpreadNode:
    return SpreadNode("cost", Upstreams(TRADES, QUOTES), settings, groups, "event", ShortDays())


@given(trades, quotes, settings, st.lists(st.tuples(times, times, st.booleans()), max_size=8))
def test_later_mids_are_those_of_the_definition_whatever_the_cuts_and_restarts(
    trades: list[Trade], quotes: list[Quote], settings: LaterMid, of_cuts: list[tuple[int, int, bool]]
) -> None:
    groups = Groups()
    node, entries, rows = new_node(settings, groups), dict[bytes, bytes](), list[dict[str, Any]]()
    left_ns = right_ns = 0
    for to_left, to_right, dies in [*of_cuts, (100, 100, False)]:
        before = left_ns, right_ns
        left_ns, right_ns = max(left_ns, to_left), max(right_ns, to_right)
        new_trades = [row for row in trades if before[0] <= row.time_ns < left_ns]
        new_quotes = [row for row in quotes if before[1] <= row.time_ns < right_ns]
        first = sum(row.time_ns < before[0] for row in trades)
        upstream = of_trades(new_trades, first, left_ns, groups), of_quotes(new_quotes, right_ns, groups)
        given_rows = node.take(upstream)
        if given_rows.rows is not None:
            rows += given_rows.rows.to_pylist()
        assert all(row.time_ns >= given_rows.complete_ns for row in trades[len(rows) :])
        snapshot = node.snapshot()
        entries.update(snapshot.puts)
        for key in snapshot.deletes:
            entries.pop(key, None)
        if dies:
            groups = Groups()
            node = new_node(settings, groups)
            node.restore(entries.items())
    wanted = spreads_slowly(trades, quotes, settings)
    assert [(row["realised_spread"], row["price_impact"], row["label_known_ns"]) for row in rows] == wanted
    assert [row["left_offset"] for row in rows] == [900 - place for place in range(len(trades))]
    assert [row["event_ns"] for row in rows] == [row.time_ns for row in trades]


def test_the_spreads_of_the_handbook() -> None:
    """In cents, as the fixtures have them; the example is in currency."""
    mids = [(bid + ask) / 2 for bid, ask in zip(F3.columns["bid"], F3.columns["ask"], strict=True)]  # type: ignore[operator]
    met = [(bid + ask) / 2 for bid, ask in zip(F2.columns["bid"], F2.columns["ask"], strict=True)]  # type: ignore[operator]
    groups = Groups()
    own = LaterMid(price="price", direction="side", mid="mid", horizon_ns=2000 * MS_NS, across_sessions=True)
    trades = [
        Trade(ns, "A", price, int(d or 0), mid)
        for ns, price, d, mid in zip(F2.time_ns, F2.columns["price"], F2.columns["d"], met, strict=True)
    ]
    quotes = [Quote(ns, "A", mid) for ns, mid in zip(F3.time_ns, mids, strict=True)]
    end_ns = 9000 * MS_NS
    answer = new_node(own, groups).take(
        (of_trades(trades, 0, end_ns, groups), of_quotes(quotes, end_ns, groups))
    )
    assert answer.rows is not None
    realised = [value / 100 for value in answer.rows["realised_spread"].to_pylist()]
    assert as_written(realised) == written("0 .01 .01 .04 .04 .02 .04 .02")
    impact = [value / 100 for value in answer.rows["price_impact"].to_pylist()]
    assert as_written(impact) == written("0 .01 .01 -.04 -.03 0 -.04 0")


def test_frames_are_told_why_a_spread_is_null() -> None:
    groups = Groups()
    own = LaterMid(price="price", direction="side", mid="mid", horizon_ns=2, across_sessions=True)
    trades = [Trade(0, "A", 1.0, 1, None), Trade(0, "A", None, 1, 1.0), Trade(0, "B", 1.0, 1, 1.0)]
    upstream = of_trades(trades, 0, 9, groups), of_quotes([Quote(0, "A", 1.0)], 9, groups)
    answer = new_node(own, groups).take(upstream)
    assert answer.reasons["realised_spread"].tolist() == [0, NULL_IN, DOMAIN]
    assert answer.reasons["price_impact"].tolist() == [NULL_IN, NULL_IN, DOMAIN]


def test_what_does_not_bear_a_spread_is_refused() -> None:
    own = LaterMid(price="price", direction="side", mid="mid", horizon_ns=2)
    with pytest.raises(LabelError, match="there is no column mid"):
        SpreadNode("cost", Upstreams(TRADES, pa.schema(CLOCKS)), own, Groups())
    wide = TRADES.append(pa.field("later_mid", pa.float64()))
    with pytest.raises(LabelError, match="the label adds a column later_mid"):
        SpreadNode("cost", Upstreams(wide, QUOTES), own, Groups())
    with pytest.raises(LabelError, match="horizon_ns is 0"):
        LaterMid(price="price", direction="side", mid="mid", horizon_ns=0)
    with pytest.raises(NodeStateError, match="node cost: how many rows it took is not kept"):
        new_node(own, Groups()).restore([(b"x", b"")])
    assert spread_meaning(own, "a", "b", DAYS_OF_UTC) != spread_meaning(own, "a", "b", ShortDays())
