"""A real trading day, shuffled within grace and cut at random, equals one offline join of the whole day."""

import itertools

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.asof import asof_join
from operators.inputs.intake import batch_of
from operators.join.settings import AsofSettings
from operators.streaming import StreamingAsof
from schemas.batch import Batch
from schemas.rule import Carry, Direction
from schemas.stream import Stream
from tests.stage.market_data import market_data

pytestmark = pytest.mark.takes_s(40)

GRACE_NS = 2_000_000_000
TOLERANCE_NS = 250_000_000
# By data set: the files of its trades and quotes, and the column of the clock they are joined on.
DAYS = {
    "lean_us_equity_ticks": ("trades_20131007", "quotes_20131007", "ts_ns"),
    "taq_highfrequency": ("trades_raw", "quotes_raw", "ts_ns"),
    "binance_20240808": ("trades", "quotes", "recv_ts_ns"),
}

pytestmark = pytest.mark.data


def read(day: str) -> list[tuple[Stream, pa.RecordBatch]]:
    """Trades and quotes of a day, in the order of their clock; rows of equal time stay as they are."""
    *files, clock = DAYS[day]
    read_back = []
    for name, file in zip(("trade", "quote"), files, strict=True):
        table = pq.read_table(market_data(day) / f"{file}.parquet")
        table = table.rename_columns(["event_ns" if n == clock else n for n in table.column_names])
        order = np.argsort(table["event_ns"].to_numpy(), kind="stable")
        rows = table.take(pa.array(order)).combine_chunks().to_batches()[0]
        read_back.append((Stream(name=name, schema=table.schema), rows))
    return read_back


def arrive(
    stream: Stream, rows: pa.RecordBatch, rng: np.random.Generator, cuts: np.ndarray
) -> list[tuple[str, Batch]]:
    """The rows up to `GRACE_NS` late, equal times in their order, in a batch per cut."""
    batch = batch_of(stream, "event_ns", rows, 0)
    times, place = np.unique(batch.time_ns, return_inverse=True)
    arrival = (times + rng.integers(0, GRACE_NS, times.size))[place]
    order = np.argsort(arrival, kind="stable")
    ends = [0, *np.searchsorted(arrival[order], cuts), rows.num_rows]
    offset = np.arange(rows.num_rows)
    parts = []
    for start, end in itertools.pairwise(ends):
        part = order[start:end]
        parts.append(
            Batch(
                columns=rows.take(pa.array(part)),
                time_ns=batch.time_ns[part],
                sequence=batch.sequence[part],
                offset=offset[start:end],
                index=batch.index[part],
                key_code=batch.key_code[part],
                keys=batch.keys,
            )
        )
    return [(stream.name, part) for part in parts]


def offline(
    trades: pa.RecordBatch, quotes: pa.RecordBatch, carry: Carry, direction: Direction, *, allow_exact: bool
) -> pl.DataFrame:
    if direction == "nearest":  # of several rows of one later time Polars takes the last, pandas the first
        tables = [pa.Table.from_batches([rows]) for rows in (trades, quotes)]
        found = asof_join(
            tables[0],
            {"quote": tables[1]},
            direction=direction,
            tolerance_ns=TOLERANCE_NS,
            allow_exact=allow_exact,
        )
        return pl.DataFrame(found)
    left, right = (pl.DataFrame(pa.Table.from_batches([rows])) for rows in (trades, quotes))
    columns = [name for name in right.columns if name not in ("event_ns", "symbol")]
    if carry == "column":
        right = right.with_columns([pl.col(name).forward_fill().over("symbol") for name in columns])
    right = right.rename({name: f"quote_{name}" for name in columns})
    right = right.with_columns(quote_event_ns=pl.col("event_ns"))
    matched = left.join_asof(
        right,
        on="event_ns",
        by="symbol",
        strategy=direction,
        allow_exact_matches=allow_exact,
        tolerance=None if direction == "backward" else TOLERANCE_NS,
        check_sortedness=False,
    )
    return matched.with_columns(quote_age_ns=pl.col("event_ns") - pl.col("quote_event_ns"))


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize(
    ("direction", "carry", "allow_exact"),
    [
        ("backward", "row", True),
        ("backward", "row", False),
        ("backward", "column", True),
        ("backward", "column", False),
        ("forward", "row", True),
        ("forward", "row", False),
        ("nearest", "row", True),
        ("nearest", "row", False),
    ],
)
def test_a_day_in_any_arrival_equals_the_day_joined_at_once(
    day: str, direction: Direction, carry: Carry, allow_exact: bool
) -> None:
    (trade, trades), (quote, quotes) = read(day)
    rng = np.random.default_rng(20131007)
    times = trades["event_ns"].to_numpy()
    cuts = np.sort(rng.integers(times[0], times[-1], 300))
    grace_ns = {"trade": GRACE_NS, "quote": GRACE_NS}
    join = StreamingAsof(
        AsofSettings(
            left=trade,
            rights=(quote,),
            direction=direction,
            allow_exact=allow_exact,
            tolerance_ns=None if direction == "backward" else TOLERANCE_NS,
            carry=carry,
            grace_ns=grace_ns,
        )
    )
    sealed = []
    for turn in zip(arrive(trade, trades, rng, cuts), arrive(quote, quotes, rng, cuts), strict=True):
        for stream, batch in turn:
            join.push(stream, batch)
        sealed.append(join.seal())
    sealed.append(join.finish())
    rows = pl.DataFrame(pa.Table.from_batches([part for part in sealed if part is not None]))
    assert join.late("trade").num_rows == join.late("quote").num_rows == 0
    expected = offline(trades, quotes, carry, direction, allow_exact=allow_exact)
    assert rows.select(expected.columns).equals(expected)
