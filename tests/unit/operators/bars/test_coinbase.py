"""Bars of a venue, of seconds and of minutes over the same two days: an oracle for time bars of any step."""

import zipfile
from typing import Any, Final

import pyarrow as pa
import pytest

from operators.bars.settings import BarSettings
from operators.graph.declare import GraphSettings, NodeSettings, Output
from operators.graph.graph import Graph
from operators.graph.plan import plan_graph
from operators.graph.row_keys import row_keys
from operators.sealed import Sealed
from schemas.clocks import NS_PER_DAY, NS_PER_MS, NS_PER_S
from tests.stage.bar_nodes import layout_of
from tests.stage.market_data import market_data

pytestmark = pytest.mark.data

DAYS: Final = {"20161007": 17_081, "20161008": 17_082}  # days since the epoch
TICKS, LOTS = 100, 10**9  # of a dollar, of a bitcoin
FIELDS: Final = ("open", "high", "low", "close")
Bar = tuple[int, ...]  # start_ns, o, h, l, c in ticks, volume in lots


def bars_of_file(step: str, date: str) -> list[Bar]:
    """The bars of the venue."""
    file = market_data("raw_feeds") / "lean_bars" / f"coinbase_btcusd_{step}_{date}_trade.zip"
    with zipfile.ZipFile(file) as packed:
        (name,) = packed.namelist()
        lines = packed.read(name).decode().splitlines()
    bars = []
    for line in lines:
        millis, *prices, volume = line.split(",")
        start_ns = DAYS[date] * NS_PER_DAY + int(millis) * NS_PER_MS
        ticks = [round(float(price) * TICKS) for price in prices]
        bars.append((start_ns, *ticks, round(float(volume) * LOTS)))
    return bars


def trades_of(bars: list[Bar]) -> pa.RecordBatch:
    """Four trades that make each bar: at its open, high, low and close."""
    rows = []
    for start_ns, *prices, volume in bars:
        sizes = (1, 1, 1, volume - 3)
        rows += [
            (start_ns + place, price, size)
            for place, (price, size) in enumerate(zip(prices, sizes, strict=True))
        ]
    times, ticks, lots = zip(*rows, strict=True)
    columns = {
        "event_ns": times,
        "known_ns": times,
        "symbol": ["BTC-USD"] * len(rows),
        "price": ticks,
        "size": lots,
        "d": [0] * len(rows),
        "left_offset": range(len(rows)),
        "left_index": [0] * len(rows),
    }
    layout = layout_of(int)
    return pa.RecordBatch.from_arrays(
        [pa.array(columns[field.name], field.type) for field in layout], schema=layout
    )


def plain(rows: Any) -> list[Bar]:
    return [(row["start_ns"], *(row[name] for name in FIELDS), row["volume"]) for row in rows.to_pylist()]


@pytest.mark.parametrize("date", DAYS)
def test_seconds_and_minutes_are_those_of_the_venue(date: str) -> None:
    seconds = BarSettings(every="time", step_ns=NS_PER_S)
    minutes = BarSettings(every="time", step_ns=60 * NS_PER_S)
    nodes = (
        NodeSettings(name="seconds", upstream="aligned", features={}, bars=seconds, output=Output()),
        NodeSettings(name="minutes", upstream="aligned", features={}, bars=minutes, output=Output()),
        NodeSettings(name="of_seconds", upstream="seconds", features={}, bars=minutes, output=Output()),
    )
    graph = Graph(plan_graph(GraphSettings(name="g", nodes=nodes), layout_of(int), meaning="0"))
    wanted = bars_of_file("second", date)
    trades = trades_of(wanted)
    keys = row_keys(trades, ("symbol",), "event_ns", graph.groups)
    made = graph.take(Sealed(trades, (DAYS[date] + 1) * NS_PER_DAY, keys=keys))
    assert plain(made["seconds"].rows) == wanted
    assert plain(made["minutes"].rows) == bars_of_file("minute", date)
    assert made["of_seconds"].rows == made["minutes"].rows
