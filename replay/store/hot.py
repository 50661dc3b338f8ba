"""Hot copies: rows of a range as uncompressed Arrow IPC, of which a time range is read without a copy.

Each batch says its first and last time, and the file is mapped into memory: what lies outside of a range is
not touched.  Compressed it would be no smaller than Parquet and slower, so a copy takes several times the
bytes, and is for ranges that are asked for again and again.
"""

import json
import os
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from replay.errors import HistoryError
from replay.order import as_int64s
from replay.store.part_writer import bring_to_disk
from replay.store.scan import Scan
from replay.store.snapshot import Snapshot
from schemas.clocks import clock_column

HOT_KEY: Final = b"tidemark.hot"  # of the schema and of each batch
BATCH_ROWS: Final = 65_536


def write_hot(path: Path, snapshot: Snapshot, scan: Scan, rows_max: int = BATCH_ROWS) -> int:
    """Write the rows of a scan, whose columns have the table's order clock, and return how many.

    A file of that name is replaced when the new one is whole.  Raises HistoryError where the disk refuses.
    """
    on = clock_column(snapshot.rules.order)
    assert on in scan.schema.names, "batches are found by their times"
    text = json.dumps({"stream": snapshot.rules.stream, "version": snapshot.version, "on": on})
    schema = scan.schema.with_metadata({HOT_KEY: text.encode()})
    partial = path.with_name(f".{path.name}-{uuid.uuid4().hex}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = _write(partial, schema, scan.batches(rows_max), on)
        bring_to_disk(partial)
        partial.replace(path)
    except OSError as refused:
        raise HistoryError(f"the hot copy {path} cannot be written: {refused}") from None
    finally:
        if partial.is_file():
            partial.unlink()
    return rows


def read_hot(path: Path, columns: Sequence[str] | None, from_ns: int | None, to_ns: int | None) -> pa.Table:
    """Return the rows of a hot copy from a time to before another, in order, mapped and not copied.

    The table keeps the file mapped, and what the copy is in the metadata of its schema.  Raises HistoryError
    for what is no hot copy, and for an unknown column.
    """
    try:
        reader = pa.ipc.open_file(pa.memory_map(os.fspath(path)))
    except (OSError, pa.ArrowInvalid) as broken:
        raise HistoryError(f"the hot copy {path} cannot be read ({broken}): write it again") from None
    on = _order_column(path, reader.schema)
    names = [name for name in reader.schema.names if columns is None or name in columns]
    absent = sorted(set(columns or ()) - set(names))
    if absent:
        raise HistoryError(
            f"the hot copy {path} has no column {', '.join(absent)}; it has {', '.join(reader.schema.names)}"
        )
    batches = []
    for number in range(reader.num_record_batches):
        batch, metadata = reader.get_batch_with_custom_metadata(number)
        first_ns, last_ns = json.loads(metadata[HOT_KEY])
        if (to_ns is None or first_ns < to_ns) and (from_ns is None or last_ns >= from_ns):
            batches.append(_between(batch, on, from_ns, to_ns).select(names))
    schema = pa.schema([reader.schema.field(name) for name in names], reader.schema.metadata)
    return pa.Table.from_batches(batches, schema=schema)


def _write(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], on: str) -> int:
    rows = 0
    with pa.OSFile(os.fspath(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for batch in batches:
            times_ns = as_int64s(batch.column(on))
            span = json.dumps([int(times_ns[0]), int(times_ns[-1])]).encode()
            writer.write_batch(
                batch.replace_schema_metadata(schema.metadata), custom_metadata={HOT_KEY: span}
            )
            rows += batch.num_rows
    return rows


def _order_column(path: Path, schema: pa.Schema) -> str:
    text = (schema.metadata or {}).get(HOT_KEY)
    if text is None:
        raise HistoryError(f"{path} is no hot copy of a history: write one with history.write_ipc")
    return str(json.loads(text)["on"])


def _between(batch: pa.RecordBatch, on: str, from_ns: int | None, to_ns: int | None) -> pa.RecordBatch:
    times_ns = as_int64s(batch.column(on))
    lower = 0 if from_ns is None else int(np.searchsorted(times_ns, from_ns))
    upper = batch.num_rows if to_ns is None else int(np.searchsorted(times_ns, to_ns))
    return batch.slice(lower, upper - lower)
