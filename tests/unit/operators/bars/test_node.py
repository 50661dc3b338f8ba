"""What the node of bars promises beside the bars themselves."""

import statistics
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.bars.columns import key_columns
from operators.bars.node import ROOM_MIN, BarsNode
from operators.bars.settings import BarSettings
from operators.graph.declare import GraphSettings, NodeSettings
from operators.graph.plan import plan_graph
from operators.node import NodeStateError
from operators.rows.groups import Groups
from schemas.clocks import END_NS, NS_PER_S
from schemas.stream import message_keys
from tests.oracles.bars import Bars, Trade
from tests.stage.bar_nodes import SESSIONS, SPANS, declared, layout_of, node_of, plain, sealed_of

TICKS: Final = Bars("trades", 2)


def trades(*rows: tuple[float, str, Any, Any]) -> list[Trade]:
    """Rows of (seconds, symbol, price, size)."""
    return [
        Trade(int(seconds * NS_PER_S), symbol, price, size, 1, place=(number, 0))
        for number, (seconds, symbol, price, size) in enumerate(rows)
    ]


def node_with(features: dict[str, str], numbers: type, groups: Groups, bars: Bars = TICKS) -> BarsNode:
    node = NodeSettings(name="bars", upstream="aligned", features=features, bars=declared(bars))
    settings_ = GraphSettings(name="g", nodes=(node,), sessions=SESSIONS)
    (planned,) = plan_graph(settings_, layout_of(numbers), meaning="0").nodes
    assert planned.bars is not None
    return BarsNode("bars", planned.meaning, planned.bars, groups)


def test_the_last_bar_of_a_session_is_of_that_session() -> None:
    groups = Groups()
    node = node_of(Bars("time", step_ns=5 * NS_PER_S), int, groups)
    end_ns = SPANS[1][1]
    rows = trades((end_ns / NS_PER_S - 1, "A", 1, 1))
    made = node.take((sealed_of(rows, end_ns, int, groups),))
    assert made.keys is not None
    assert made.keys.time_ns.tolist() == [end_ns]
    assert made.keys.session.tolist() == [SPANS[1][0]]


def test_a_sum_of_ticks_times_lots_has_128_bits() -> None:
    groups = Groups()
    node = node_of(TICKS, int, groups)
    large = 2**61 + 1
    made = node.take((sealed_of(trades((1, "A", large, 3), (2, "A", -5, 2**40)), END_NS, int, groups),)).rows
    assert made is not None
    (row,) = made.to_pylist()
    assert row["notional"] == Decimal(3 * large - 5 * 2**40)
    assert row["vwap"] == (3 * large - 5 * 2**40) / (2**40 + 3)


def test_a_volume_that_no_word_holds_is_null_and_so_is_what_hangs_on_it() -> None:
    groups = Groups()
    node = node_of(TICKS, int, groups)
    made = node.take((sealed_of(trades((1, "A", 1, 2**62), (2, "A", 1, 2**62)), END_NS, int, groups),)).rows
    assert made is not None
    (row,) = made.to_pylist()
    assert [row[name] for name in ("volume", "notional", "vwap", "buy_volume")] == [None] * 4
    assert (row["open"], row["count"]) == (1, 2)


def test_one_trade_may_close_more_bars_than_there_was_room_for() -> None:
    groups = Groups()
    node = node_of(Bars("volume", 1, remainder="split"), int, groups)
    made = node.take((sealed_of(trades((1, "A", 7, 5_000)), 2 * NS_PER_S, int, groups),)).rows
    assert made is not None
    assert made.column("volume").to_pylist() == [1] * 5_000
    assert made.column("bar_no").to_pylist() == list(range(5_000))


def test_time_closes_the_bars_of_the_first_symbol_where_there_is_no_room_for_them() -> None:
    """The bars of B fill the room, and A, the first symbol, waits for its session's end."""
    rows = trades((0, "A", 1, 1), *((1 + number / 100, "B", 1, 1) for number in range(2 * ROOM_MIN)))
    groups = Groups()
    made = node_of(TICKS, int, groups).take((sealed_of(rows, END_NS, int, groups),)).rows
    assert made is not None
    assert made.column("symbol").to_pylist() == [*["B"] * ROOM_MIN, "A"]
    assert made.column("close_reason").to_pylist()[-1] == "session"


def test_a_trade_is_divided_into_so_many_bars_and_no_more() -> None:
    groups = Groups()
    node = node_of(Bars("volume", 1, remainder="split"), int, groups)
    made = node.take((sealed_of(trades((1, "A", 7, 10**12)), 2 * NS_PER_S, int, groups),)).rows
    assert made is not None
    assert made.num_rows == 10_000
    assert made.column("volume").to_pylist()[-1] == 10**12 - 9_999


@given(
    st.lists(
        st.tuples(st.one_of(st.none(), st.floats(-1e6, 1e6)), st.floats(0.5, 1e3)), min_size=2, max_size=8
    )
)
@settings(deadline=None)
def test_what_formulas_sum_up_is_exact(values: list[tuple[float | None, float]]) -> None:
    groups = Groups()
    features = {
        "total": "sum(price * 1.0)",
        "middle": "mean(price)",
        "weighted": "wmean(price, size)",
        "least": "min(size)",
        "most": "max(price)",
        "begin": "first(size)",
        "end": "last(size)",
        "many": "count(price)",
    }
    node = node_with(features, float, groups, Bars("time", step_ns=20 * NS_PER_S))
    rows = trades(*((1 + number, "A", price, size) for number, (price, size) in enumerate(values)))
    made = node.take((sealed_of(rows, 20 * NS_PER_S, float, groups),)).rows
    held = [(price, size) for price, size in values if price is not None]  # a null price is no trade
    if not held:
        assert made is None
        return
    assert made is not None
    (row,) = made.to_pylist()
    prices, sizes = zip(*held, strict=True)
    assert row["total"] == pytest.approx(sum(prices), rel=1e-9, abs=1e-6)
    assert row["middle"] == statistics.mean(prices)
    assert row["weighted"] == row["vwap"]
    assert [row[name] for name in ("least", "most", "begin", "end", "many")] == [
        *(min(sizes), max(prices), sizes[0], sizes[-1], len(sizes))
    ]


def test_features_go_on_behind_a_restart_inside_a_bar() -> None:
    features = {"weighted": "wmean(price, size)", "end": "last(ewma(price, alpha=0.5))"}
    rows = trades((1, "A", 3.5, 1.0), (2, "B", 1.25, 2.0), (3, "A", 0.1, 7.0), (4, "B", 9.0, 1.0))
    groups = Groups()
    node = node_with(features, float, groups)
    whole = node.take((sealed_of(rows, END_NS // 4, float, groups),)).rows
    groups = Groups()
    node = node_with(features, float, groups)
    assert node.take((sealed_of(rows[:2], 2 * NS_PER_S, float, groups),)).rows is None
    kept = dict(node.snapshot().puts)
    groups = Groups()
    node = node_with(features, float, groups)
    node.restore(kept.items())
    rest = node.take((sealed_of(rows[2:], END_NS // 4, float, groups),)).rows
    assert whole is not None
    assert rest is not None
    assert plain([whole]) == plain([rest])


@pytest.mark.parametrize("damage", ["short", "version", "count", "stranger"])
@pytest.mark.parametrize("numbers", [int, float])
def test_a_damaged_state_costs_the_node_its_state(damage: str, numbers: type) -> None:
    groups = Groups()
    node = node_of(TICKS, numbers, groups)
    node.take((sealed_of(trades((1, "A", numbers(5), numbers(1))), NS_PER_S, numbers, groups),))
    kept = dict(node.snapshot().puts)
    state = next(key for key in kept if key.startswith(b"bs"))
    if damage == "short":
        kept[state] = kept[state][:-1]
    elif damage == "version":
        kept[state] = b"\xff" + kept[state][1:]
    elif damage == "count":
        del kept[next(key for key in kept if key.startswith(b"b\0"))]
    else:
        kept[b"xx"] = b""
    with pytest.raises(NodeStateError, match="node bars"):
        node_of(TICKS, numbers, Groups()).restore(kept.items())


parts = st.text(st.sampled_from([":", "\\", "a", "é"]), max_size=5)


@given(st.lists(st.tuples(parts, st.integers(-5, 5)), min_size=1, max_size=5))
def test_columns_of_a_key_are_made_of_its_text_again(rows: list[tuple[str, int]]) -> None:
    fields = [pa.field("venue", pa.string()), pa.field("id", pa.int32())]
    texts, numbers = zip(*rows, strict=True)
    batch = pa.record_batch([pa.array(texts), pa.array(numbers, pa.int32())], schema=pa.schema(fields))
    for some in (fields, fields[:1], fields[1:]):
        names = tuple(field.name for field in some)
        columns = key_columns(message_keys(batch, names), some)
        assert [column.to_pylist() for column in columns] == [
            batch.column(name).to_pylist() for name in names
        ]


def test_memory_grows_with_symbols_alone() -> None:
    groups = Groups()
    node = node_of(TICKS, int, groups)
    rows = [trades((1, f"S{number}", 1, 1))[0] for number in range(500)]
    node.take((sealed_of(rows, NS_PER_S, int, groups),))
    size = node._open.state.words.size  # noqa: SLF001 - what it holds
    for _ in range(50):
        node.take((sealed_of(rows, NS_PER_S, int, groups),))
    assert node._open.state.words.size == size  # noqa: SLF001
    assert size <= 750 * 48  # words, with room for half as many symbols more


def test_settings_of_bars_say_what_closes_them() -> None:
    assert BarSettings(every="time", step_ns=30 * NS_PER_S).describe() == "30s"
    assert BarSettings(every="volume", limit="5000").describe() == "5000 volume"
    assert BarSettings(every="month").describe() == "month"


def test_a_value_is_resampled_by_bars_of_time_whose_sizes_are_1() -> None:
    """The example of R21: sums of x in steps of 2 s; a row without x is in none."""
    seconds = (0, 1, 1, 2, 4, 4, 5, 9)
    values = (1.0, 2.0, None, 4.0, 8.0, 3.0, 3.0, 5.0)
    rows = trades(*((second, "A", value, None) for second, value in zip(seconds, values, strict=True)))
    groups = Groups()
    bars = declared(Bars("time", step_ns=2 * NS_PER_S), size="1", direction="")
    node = NodeSettings(name="bars", upstream="aligned", features={"total": "sum(price)"}, bars=bars)
    settings_ = GraphSettings(name="g", nodes=(node,), sessions=SESSIONS)
    (planned,) = plan_graph(settings_, layout_of(float), meaning="0").nodes
    assert planned.bars is not None
    made = BarsNode("bars", planned.meaning, planned.bars, groups)
    bars_of = made.take((sealed_of(rows, 10 * NS_PER_S, float, groups),)).rows
    assert bars_of is not None
    assert [(row["start_ns"] // NS_PER_S, row["total"]) for row in bars_of.to_pylist()] == [
        *((0, 3.0), (2, 4.0), (4, 14.0), (8, 5.0))
    ]
