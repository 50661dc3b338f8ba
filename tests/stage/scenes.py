"""Two small streams for scenes: `trade` rows looked up in `quote` rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from operators.inputs.progress import InputProgress, RowPlace, TaskProgress
from operators.inputs.resuming import ResumePlan, plan_resume
from operators.join.settings import AsofSettings
from operators.sealed import ALIGNED, Sealed
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


def seal(join: StreamingAsof) -> Sealed:
    """What one seal of the join gives beside its rows; only once caught up."""
    return join.operator.seal()[ALIGNED]


def progress(join: StreamingAsof, stream: str) -> InputProgress:
    """How far one input of the join has come."""
    return join.operator.progress().inputs[stream]


def is_full(join: StreamingAsof, stream: str, *, paused: bool = False) -> bool:
    """Whether a worker would pause this input of the join, or leave it paused."""
    return join.inputs.is_full(stream, join.operator.held(stream), paused=paused)


def resume(
    join: StreamingAsof,
    frontier_ns: int,
    inputs: Mapping[str, InputProgress],
    read_from: Mapping[str, int],
    through: RowPlace | None = None,
) -> None:
    """Take up a commit of this frontier and these inputs; `through` is the place of the last row sealed."""
    committed = TaskProgress(
        frontier_ns=frontier_ns, inputs=inputs, through={} if through is None else {ALIGNED: through}
    )
    join.operator.resume(ResumePlan(committed, read_from))


def next_life(
    join: StreamingAsof, *, state: bool, beside: Sequence[tuple[bytes, bytes]] = (), **changed: Any
) -> StreamingAsof:
    """A join that goes on where this one stands, with its state or without; `beside` are others' entries."""
    committed = join.operator.progress()
    after = make_join(**changed)
    if state:
        after.restore([*join.snapshot().puts, *beside])
    next_offsets = {name: one.next_offset for name, one in committed.inputs.items()}
    after.operator.resume(plan_resume(committed, next_offsets if state else None, {}))
    return after


def bids(sealed: pa.RecordBatch | None) -> list[tuple[int, int | None]]:
    """The (event_ns, quote_bid) of sealed rows."""
    if sealed is None:
        return []
    return list(zip(sealed["event_ns"].to_pylist(), sealed["quote_bid"].to_pylist(), strict=True))
