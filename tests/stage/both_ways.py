"""One day run twice, straight from its files and through the wire, and all that must be equal then."""

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from app.day.request import ReplayRequest
from app.day.run import replay_day
from app.day.summary import Summary

# Of the aligned rows, the ten row features of the formula bench, and a node behind a node.
GRAPH = """
[graph]
name = "both"
[graph.tick]
from = "aligned"
[graph.tick.features]
mid = "(quote_bid_price + quote_ask_price) / 2"
spread_bps = "1e4 * (quote_ask_price - quote_bid_price) / mid"
side = "sign(price - mid)"
flow = "side * size"
log_away = "log(price / mid)"
[graph.tick.out]
[graph.later]
from = "tick"
features = { twice = "2 * flow" }
out = { status = "column", available = true }
"""


def both_ways(request: ReplayRequest, folder: Path) -> tuple[Summary, Summary]:
    """Return the summaries of the direct run and of the one through an embedded bus, which are alike."""
    direct, wired = (
        replay_day(replace(request, wire=wire, bus="embedded", out=folder / name), lambda line: None)
        for name, wire in (("direct", False), ("wired", True))
    )
    for name in (
        "rows_in",
        "rows_refused",
        "rows_late",
        "rows_dead",
        "rows_out",
        "nulls_out",
        "rows_aligned",
    ):
        assert getattr(direct, name) == getattr(wired, name), name
    for name in ("rows_matched", "parity", "hash", "grace_ns", "age_ns", "rows_assumed"):
        assert getattr(direct, name) == getattr(wired, name), name
    for output in ("aligned", *wired.rows_out):
        theirs = sorted((folder / "wired" / output).glob("*.parquet"))
        assert len(theirs) == wired.partitions
        for file in theirs:
            mine = pq.read_table(folder / "direct" / output / file.name)
            other = pq.read_table(file)
            assert mine.schema.equals(other.schema, check_metadata=True), f"{output}/{file.name}"
            assert mine.equals(other), f"{output}/{file.name}"  # places of left rows among the columns
    return direct, wired
