"""Small days and folders for the tests of `replay`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from replay.order import order_clock
from replay.store.day import Day
from replay.store.days import HistoryStore
from schemas.stream import Stream

DATE = "2024-01-15"
NOON_NS = 1_705_338_000_000_000_000  # 17:00 UTC of DATE, noon in New York


def write_file(folder: Path, name: str, **columns: Any) -> Path:
    """Write a Parquet file of these columns and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / name)
    return folder / name


def keep_day(
    store: HistoryStore,
    stream: str,
    columns: dict[str, Any],
    *,
    key: Sequence[str] = ("symbol",),
    date: str = DATE,
    zone: str | None = None,
) -> Day:
    """Keep rows, given in publish order, as a day of a stream."""
    rows = pa.table(columns)
    return store.write(
        Stream(name=stream, schema=rows.schema, key=tuple(key)),
        date,
        rows.to_batches(),
        order=order_clock(rows),
        made={"by": "test"} | ({} if zone is None else {"timezone": zone}),
    )


def rows_of(day: Day) -> pa.Table:
    """Return all rows of a day."""
    return pa.Table.from_batches(day.batches(), schema=day.stream.schema)
