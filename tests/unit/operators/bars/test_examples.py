"""The worked examples of bars (formulas.md 4): the trades of F2, in ticks of 0.01 and lots of 1."""

from typing import Any, Final

import pytest

from operators.bars.settings import Expected
from operators.rows.groups import Groups
from schemas.clocks import NS_PER_MS, NS_PER_S
from tests.oracles.bars import Bars, Trade
from tests.stage.bar_nodes import SPANS, node_of, plain, sealed_of

F2: Final = [
    Trade(time_ms * NS_PER_MS, "A", price, size, direction, place=(number, 0))
    for number, (time_ms, price, size, direction) in enumerate(
        [
            (100, 10000, 2, 0),
            (500, 10002, 1, 1),
            (500, 10002, 3, 1),
            (1200, 10001, 4, -1),
            (2000, 10001, 2, -1),
            (3100, 10004, 5, 1),
            (4000, 10003, 1, -1),
            (6000, 10006, 2, 1),
        ],
        start=1,
    )
]
LATER: Final = [Trade(8 * NS_PER_S, "A", 10000, 9, -1, place=(9, 0))]
B4: Final = 500 * 100  # 500 of the currency, in ticks times lots


def bars_of(bars: Bars, complete_ns: int = 6 * NS_PER_S + 1, **more: Any) -> list[dict[str, Any]]:
    groups = Groups()
    node = node_of(bars, int, groups, **more)
    made = node.take((sealed_of(F2, complete_ns, int, groups),)).rows
    return [] if made is None else plain([made])


@pytest.mark.parametrize(
    ("bars", "volumes", "closed_by"),
    [
        (Bars("trades", 3), [6, 11], [3, 6]),
        (Bars("volume", 5), [6, 6, 5], [3, 5, 6]),
        (Bars("volume", 5, remainder="carry"), [6, 4, 7, 3], [3, 4, 6, 8]),
        (Bars("volume", 5, remainder="split"), [5, 5, 5, 5], [3, 4, 6, 8]),
        (Bars("dollars", B4), [6, 6, 5], [3, 5, 6]),
        (Bars("dollars", B4, remainder="carry"), [6, 4, 7, 3], [3, 4, 6, 8]),
        (Bars("dollars", B4, remainder="split"), [5, 5, 5, 5], [3, 4, 6, 8]),
        (Bars("range", 3), [17, 3], [6, 8]),
        (Bars("volatility", 5e-8), [17, 3], [6, 8]),
        (Bars("cusum", 3), [17, 3], [6, 8]),
        (Bars("renko", 2), [3, 14, 3], [2, 6, 8]),
    ],
)
def test_bars_close_where_the_examples_say(bars: Bars, volumes: list[int], closed_by: list[int]) -> None:
    made = bars_of(bars)
    assert [row["volume"] for row in made] == volumes
    assert [row["left_offset"] for row in made] == closed_by
    assert {row["close_reason"] for row in made} == {"threshold"}


def test_bars_of_imbalance_close_where_the_example_says() -> None:
    expected = Expected(measure="volume", exp_ticks_init=2, span_b=3, span_t=3, min_ticks=1, max_ticks=100)
    made = bars_of(Bars("imbalance"), direction="", expected=expected)
    assert [(row["left_offset"], row["volume"]) for row in made] == [(3, 6), (5, 6), (6, 5)]


def test_bars_of_runs_close_where_the_example_says() -> None:
    expected = Expected(measure="volume", exp_ticks_init=2, span_b=3, span_t=3)
    made = bars_of(Bars("runs"), direction="", expected=expected)
    # Behind it the threshold is 8: buys of 7 do not reach it.
    assert [(row["left_offset"], row["volume"]) for row in made] == [(4, 10)]


def test_runs_below_a_price_of_nothing_lean_as_those_above_it() -> None:
    expected = Expected(measure="dollars", exp_ticks_init=2, span_b=3, span_t=3)
    closed_by = []
    for far in (0, -20_000):  # the same way up and down, and about as much currency
        rows = [trade._replace(price=(trade.price or 0) + far) for trade in (*F2, *LATER)]
        groups = Groups()
        node = node_of(Bars("runs"), int, groups, direction="", expected=expected)
        made = node.take((sealed_of(rows, 9 * NS_PER_S, int, groups),)).rows
        assert made is not None
        closed_by.append(made.column("left_offset").to_pylist())
    assert closed_by[0] == closed_by[1] != []


def test_the_parts_of_a_trade_that_is_divided_each_count_as_a_trade() -> None:
    made = bars_of(Bars("volume", 5, remainder="split"))
    assert [row["count"] for row in made] == [3, 2, 2, 3]


def test_time_bars_are_those_of_the_example() -> None:
    made = bars_of(Bars("time", step_ns=2 * NS_PER_S), 8 * NS_PER_S)
    columns = ("start_ns", "open", "high", "low", "close", "volume", "count", "buy_volume", "sell_volume")
    assert [tuple(row[name] for name in columns) for row in made] == [
        (0, 10000, 10002, 10000, 10001, 10, 4, 4, 4),
        (2 * NS_PER_S, 10001, 10004, 10001, 10004, 7, 2, 5, 2),
        (4 * NS_PER_S, 10003, 10003, 10003, 10003, 1, 1, 0, 1),
        (6 * NS_PER_S, 10006, 10006, 10006, 10006, 2, 1, 2, 0),
    ]
    assert [round(row["vwap"] / 100, 6) for row in made] == [100.012, 100.031429, 100.03, 100.06]
    assert [row["bar_no"] for row in made] == [0, 1, 2, 3]


def test_a_time_bar_is_closed_by_time_alone() -> None:
    groups = Groups()
    node = node_of(Bars("time", step_ns=2 * NS_PER_S), int, groups)
    first = node.take((sealed_of(F2[:4], 1300 * NS_PER_MS, int, groups),))
    assert (first.rows, first.complete_ns) == (None, 1300 * NS_PER_MS)
    assert node.take((sealed_of([], 2 * NS_PER_S - 1, int, groups),)).rows is None
    made = node.take((sealed_of([], 2 * NS_PER_S, int, groups),))
    assert made.rows is not None
    (row,) = made.rows.to_pylist()
    assert (row["end_ns"], row["close_reason"], row["left_offset"]) == (2 * NS_PER_S, "grid", 4)


def test_an_open_bar_ends_with_its_session() -> None:
    rows = bars_of(Bars("trades", 3), SPANS[0][1])
    last = rows[-1]
    assert (last["count"], last["close_reason"], last["partial"]) == (2, "session", True)
    assert (last["end_ns"], last["last_event_ns"]) == (SPANS[0][1], 6 * NS_PER_S)


def test_a_bar_that_nobody_traded_in_has_the_close_before_it_where_it_is_wanted() -> None:
    made = bars_of(Bars("time", step_ns=NS_PER_S, empty=True), 6 * NS_PER_S)
    assert [(row["close"], row["count"], row["empty"]) for row in made] == [
        (10002, 3, False),
        (10001, 1, False),
        (10001, 1, False),
        (10004, 1, False),
        (10003, 1, False),
        (10003, 0, True),
    ]
    assert (made[-1]["vwap"], made[-1]["first_event_ns"], made[-1]["left_offset"]) == (None, None, 7)
