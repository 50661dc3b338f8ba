"""Planning bars: their columns, what they mean, and what is wrong with their table, key by key."""

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from operators.bars.settings import BarSettings
from operators.graph.declare import GraphSettings, JoinSettings, NodeSettings, Output
from operators.graph.errors import GraphError
from operators.graph.plan import Plan, plan_graph
from operators.sessions.daily import DailySessions
from schemas.clocks import NS_PER_S
from tests.stage.bar_nodes import layout_of

LOTS = BarSettings(every="volume", limit="5")
MINUTES = BarSettings(every="time", step_ns=60 * NS_PER_S)
ROWS = layout_of(float)
WITH_TAPE = ROWS.append(pa.field("tape", pa.string()))


def plan(*nodes: NodeSettings, rows: pa.Schema = ROWS, **more: Any) -> Plan:
    clock = more.pop("clock", "event")
    return plan_graph(GraphSettings(name="g", nodes=nodes, **more), rows, meaning="0", clock=clock)


def bars(settings: BarSettings, **more: Any) -> NodeSettings:
    return NodeSettings(
        **{
            "name": "bars",
            "upstream": "aligned",
            "features": {},
            "bars": settings,
            "output": Output(),
            **more,
        }
    )


def wrong(*nodes: NodeSettings, **more: Any) -> list[tuple[str, str, str | None]]:
    with pytest.raises(GraphError) as refused:
        plan(*nodes, **more)
    return [(error.setting, error.message, error.column) for error in refused.value.errors]


def test_floats_and_whole_numbers_have_columns_of_their_kind() -> None:
    (of_floats,) = plan(bars(LOTS)).nodes
    (of_ints,) = plan(bars(LOTS), rows=layout_of(int)).nodes
    for node, price, notional in (
        (of_floats, pa.float64(), pa.float64()),
        (of_ints, pa.int64(), pa.decimal128(38, 0)),
    ):
        layout = node.features.layout
        assert {layout.field(name).type for name in ("open", "high", "low", "close", "volume")} == {price}
        assert layout.field("notional").type == notional
        assert layout.names[:4] == ["symbol", "event_ns", "known_ns", "start_ns"]


def test_scaled_columns_are_whole_numbers_and_dollars_are_currency() -> None:
    (node,) = plan(
        bars(BarSettings(every="dollars", limit="1.5")), scales={"aligned": {"price": 100, "size": 10}}
    ).nodes
    assert node.bars is not None
    assert (node.bars.rule.whole, node.bars.rule.limit) == (True, 1_500)
    units = node.features.units
    assert (units["close"], units["volume"]) == (((100, 1),), ((10, 1),))


def test_a_condition_and_a_side_may_compare_texts() -> None:
    rule = replace(LOTS, where="tape == 'A'", direction="where(tape < 'B', 1, -1)")
    (node,) = plan(bars(rule), rows=WITH_TAPE).nodes
    assert node.bars is not None
    assert wrong(bars(replace(LOTS, where="tape == size")), rows=WITH_TAPE) == [
        ("where", "a text is compared with a text or a column of texts, and this is neither", None)
    ]


def test_by_the_known_clock_a_bar_has_that_one_alone() -> None:
    (node,) = plan(bars(MINUTES), clock="known").nodes
    assert "event_ns" not in node.features.layout.names
    assert wrong(bars(replace(MINUTES, known_after_ns=5)), clock="known")[0][0] == "known_after_ns"


def test_an_output_of_chosen_columns_names_its_bars() -> None:
    planned = plan(
        bars(LOTS, output=Output(columns=("close",))),
        NodeSettings(
            name="next", upstream="bars", features={"x": "close * 2"}, output=Output(columns=("x",))
        ),
    )
    identity = ["symbol", "event_ns", "known_ns", "start_ns", "bar_no"]
    places = ["left_offset", "left_index"]
    assert planned.nodes[0].carried == (*identity, "close", *places)
    assert planned.nodes[1].carried == (*identity, *places, "x")


def test_a_meaning_is_of_what_is_computed() -> None:
    def meaning(settings: BarSettings, **more: Any) -> str:
        return plan(bars(settings), **more).nodes[0].meaning

    same = meaning(LOTS)
    assert same == plan(bars(LOTS, name="other")).nodes[0].meaning
    new_york = DailySessions(570, 960, "America/New_York")
    others = [
        meaning(replace(LOTS, limit="6")),
        meaning(replace(LOTS, remainder="carry")),
        meaning(replace(LOTS, close_at_session_end=False)),
        meaning(replace(LOTS, where="size > 1")),
        meaning(LOTS, sessions=new_york),
        meaning(MINUTES),
        meaning(replace(MINUTES, known_after_ns=1)),
    ]
    assert len({same, *others}) == 8
    monthly = BarSettings(every="month")
    assert meaning(monthly) == meaning(monthly, sessions=new_york)


def test_what_is_summed_up_has_a_meaning_and_a_memory_of_its_own() -> None:
    (node,) = plan(bars(LOTS, features={"x": "sum(price)", "y": "count(price) @2"})).nodes
    assert node.features.columns == ("x", "y")
    assert node.versions == {"x": 1, "y": 2}
    assert node.features.memories["x"] == "since"
    assert [node.features.layout.field(name).type for name in "xy"] == [pa.float64(), pa.int64()]
    (other,) = plan(bars(LOTS, features={"x": "sum(size)"})).nodes
    assert other.features.meanings["x"] != node.features.meanings["x"]
    assert other.features.meanings["close"] == node.features.meanings["close"]


def test_bars_that_a_trade_closes_are_not_looked_up_in_the_same_nanosecond() -> None:
    def joined(settings: BarSettings, *, allow_exact: bool) -> tuple[NodeSettings, ...]:
        behind = NodeSettings(name="behind", upstream="bars", features={"x": "close"})
        join = JoinSettings(rights=("behind",), allow_exact=allow_exact)
        return bars(settings), behind, NodeSettings(name="seen", upstream="aligned", features={}, join=join)

    assert plan(*joined(MINUTES, allow_exact=True)).nodes
    assert plan(*joined(LOTS, allow_exact=False)).nodes
    ((_, message, _),) = wrong(*joined(LOTS, allow_exact=True))
    assert message.endswith("more trades of that nanosecond may follow: write allow_exact = false")


@pytest.mark.parametrize(
    ("settings", "setting", "message"),
    [
        (replace(LOTS, price="prize"), "price", "aligned has no column prize; price?"),
        (replace(LOTS, where="size"), "where", "where is a condition"),
        (replace(LOTS, direction="size > 1"), "side", "side is a number, and this is a condition"),
        (replace(LOTS, remainder="split"), "remainder", "split divides whole lots"),
        (replace(LOTS, limit="1e30"), "every.volume", "expected a threshold above 0"),
        (BarSettings(every="trades", limit="1.5"), "every.trades", "expected a whole number of trades"),
    ],
)
def test_what_is_wrong_is_told_with_its_key(settings: BarSettings, setting: str, message: str) -> None:
    ((at, told, _),) = wrong(bars(settings))
    assert at == setting
    assert told.startswith(message)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("price", "a formula of bars is one aggregate of its trades"),
        ("sum(price) / 2", "a formula of bars is one aggregate of its trades"),
        ("summ(price)", "there is no aggregate summ; sum?"),
        ("wmean(price)", "wmean takes a value and its weight"),
        ("sum(prize)", "aligned has no column prize; price?"),
        ("sum(price", "the formula cannot be read"),
    ],
)
def test_a_feature_that_is_no_aggregate_is_told(formula: str, message: str) -> None:
    ((_, told, column),) = wrong(bars(LOTS, features={"x": formula}))
    assert column == "x"
    assert told.startswith(message)


def test_names_of_bars_are_taken() -> None:
    ((_, told, column),) = wrong(bars(LOTS, features={"close": "last(price)"}))
    assert (told, column) == ("bars have a column close of their own; choose another name", "close")


HOURS = replace(MINUTES, step_ns=3600 * NS_PER_S)
DAYS = BarSettings(every="day", origin="session")
WEEKS = BarSettings(every="week", timezone="America/New_York")


@pytest.mark.parametrize(
    ("fine", "coarse"),
    [
        (MINUTES, HOURS),
        (replace(MINUTES, origin="session"), replace(HOURS, origin="session")),
        (MINUTES, DAYS),
        (replace(MINUTES, origin="session"), DAYS),
        (MINUTES, WEEKS),
        (HOURS, WEEKS),
        (MINUTES, replace(HOURS, close_at_session_end=False)),
    ],
)
def test_time_bars_are_put_together_to_longer_ones(fine: BarSettings, coarse: BarSettings) -> None:
    behind = NodeSettings(name="behind", upstream="bars", features={"x": "close * 2"})
    more = bars(coarse, name="more", upstream="behind", features={"most": "max(x)"})
    _, _, longer = plan(bars(fine), behind, more).nodes
    assert longer.features.layout.field("most").type == pa.float64()
    assert longer.bars is not None
    assert longer.bars.rule.of_bars


@pytest.mark.parametrize(
    ("fine", "coarse", "setting", "message"),
    [
        (LOTS, MINUTES, "from", "behind has bars of 5 volume: longer bars are put together of time bars"),
        (MINUTES, LOTS, "every.volume", "the rows of behind are bars: of them longer ones of time are made"),
        (MINUTES, replace(HOURS, price="vwap"), "from", "price, size, side and where are of trades"),
        (HOURS, MINUTES, "every.time_ns", "bars of 1h do not divide 1m"),
        (
            replace(HOURS, step_ns=7200 * NS_PER_S),
            WEEKS,
            "every.calendar",
            "bars of 2h do not divide the days of",
        ),
        (replace(MINUTES, origin="session"), HOURS, "from", 'the bars of behind have origin = "session"'),
        (
            replace(MINUTES, close_at_session_end=False),
            HOURS,
            "from",
            "the bars of behind go on over the ends",
        ),
    ],
)
def test_bars_that_would_cut_others_are_refused(
    fine: BarSettings, coarse: BarSettings, setting: str, message: str
) -> None:
    behind = NodeSettings(name="behind", upstream="bars", features={"x": "close * 2"})
    ((where, told, _),) = wrong(bars(fine), behind, bars(coarse, name="more", upstream="behind"))
    assert where == setting
    assert told.startswith(message)


def test_bars_of_bars_know_which_trades_were_buys_where_these_do() -> None:
    for side in ("", "d"):
        fine = replace(MINUTES, direction=side)
        *_, longest = plan(
            bars(fine),
            bars(HOURS, name="hours", upstream="bars"),
            bars(DAYS, name="days", upstream="hours"),
        ).nodes
        assert longest.bars is not None
        assert longest.bars.sided == bool(side)


def test_bars_give_no_available_ns() -> None:
    ((setting, _, _),) = wrong(bars(LOTS, output=Output(available=True)))
    assert setting == "out.available"
