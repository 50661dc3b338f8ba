"""Two small streams for scenes: `trade` rows looked up in `quote` rows."""

from typing import Any

import pyarrow as pa

from operators.inputs.progress import InputProgress
from operators.join.settings import AsofSettings
from operators.streaming import StreamingAsof
from schemas.clocks import BEGINNING_NS
from schemas.stream import Stream

TRADE = Stream(name="trade", schema=pa.schema([("event_ns", pa.int64()), ("symbol", pa.string())]))
QUOTE = Stream(
    name="quote",
    schema=pa.schema(
        [("event_ns", pa.int64()), ("symbol", pa.string()), ("bid", pa.int64()), ("ask", pa.int64())]
    ),
)
FRESH = InputProgress(0, 0, BEGINNING_NS)


def make_join(**changed: Any) -> StreamingAsof:
    """A join of the two, backward and inclusive unless `changed`."""
    asked: dict[str, Any] = {"left": TRADE, "rights": (QUOTE,)}
    return StreamingAsof(AsofSettings(**asked | changed))


def trades(*rows: tuple[int, str | None]) -> pa.RecordBatch:
    """Trades as (event_ns, symbol)."""
    return pa.RecordBatch.from_pylist([{"event_ns": t, "symbol": s} for t, s in rows], schema=TRADE.schema)


def quotes(*rows: tuple[int, str | None, int | None]) -> pa.RecordBatch:
    """Quotes as (event_ns, symbol, bid); the ask is the bid plus one, null beside a null bid."""
    return pa.RecordBatch.from_pylist(
        [{"event_ns": t, "symbol": s, "bid": b, "ask": None if b is None else b + 1} for t, s, b in rows],
        schema=QUOTE.schema,
    )


def advance(join: StreamingAsof, upper_ns: int) -> None:
    """Say that both inputs are complete below `upper_ns`."""
    for stream in join.streams:
        join.advance(stream, upper_ns)


def bids(sealed: pa.RecordBatch | None) -> list[tuple[int, int | None]]:
    """The (event_ns, quote_bid) of sealed rows."""
    if sealed is None:
        return []
    return list(zip(sealed["event_ns"].to_pylist(), sealed["quote_bid"].to_pylist(), strict=True))
