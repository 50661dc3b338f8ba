"""The open bars of a node, as they can be asked for."""

from typing import Final

import pytest

from operators.rows.groups import Groups
from schemas.clocks import NS_PER_S
from tests.oracles.bars import Bars, Trade
from tests.stage.bar_nodes import SPANS, node_of, plain, sealed_of

ROWS: Final = [
    Trade(NS_PER_S, "A", 10, 3, 1, 5 * NS_PER_S, (0, 0)),
    Trade(2 * NS_PER_S, "B", 7, 1, -1, None, (1, 0)),
    Trade(3 * NS_PER_S, "A", 12, 4, -1, 4 * NS_PER_S, (2, 0)),
]
SESSION_END_NS: Final = SPANS[0][1]


@pytest.mark.parametrize("numbers", [int, float])
def test_an_open_bar_is_what_is_summed_up_so_far(numbers: type) -> None:
    groups = Groups()
    node = node_of(Bars("trades", 3), numbers, groups)
    rows = [row._replace(price=numbers(row.price), size=numbers(row.size)) for row in ROWS]
    assert node.open_bars().num_rows == 0
    assert node.take((sealed_of(rows, 3 * NS_PER_S, numbers, groups),)).rows is None
    first, second = plain([node.open_bars()])
    assert first == {
        "symbol": "A",
        "known_ns": 5 * NS_PER_S,
        "start_ns": NS_PER_S,
        "ends_ns": SESSION_END_NS,
        "bar_no": 0,
        "first_event_ns": NS_PER_S,
        "last_event_ns": 3 * NS_PER_S,
        "open": 10,
        "high": 12,
        "low": 10,
        "close": 12,
        "volume": 7,
        "notional": 78,
        "vwap": 78 / 7,
        "count": 2,
        "buy_volume": 3,
        "sell_volume": 4,
    }
    assert (second["symbol"], second["count"], second["sell_volume"]) == ("B", 1, 1)


def test_to_ask_for_open_bars_changes_none() -> None:
    made = []
    for asked in (False, True):
        groups = Groups()
        node = node_of(Bars("time", step_ns=7 * NS_PER_S, empty=True), int, groups)
        bars = []
        for lower in range(len(ROWS)):
            rows = ROWS[lower : lower + 1]
            bars.append(node.take((sealed_of(rows, rows[0].time_ns, int, groups),)).rows)
            if asked:
                assert node.open_bars().column("ends_ns").to_pylist() == [7 * NS_PER_S] * min(lower + 1, 2)
        bars.append(node.take((sealed_of([], SESSION_END_NS, int, groups),)).rows)
        made.append(plain([batch for batch in bars if batch is not None]))
    assert made[0] == made[1] != []


def test_a_bar_that_no_time_ends_says_so() -> None:
    groups = Groups()
    node = node_of(Bars("trades", 3, in_sessions=False), int, groups)
    node.take((sealed_of(ROWS[:1], NS_PER_S, int, groups),))
    assert node.open_bars().column("ends_ns").to_pylist() == [None]
