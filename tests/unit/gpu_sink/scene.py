"""Small frames for the scenes of these tests, made without the worker's code."""

import pyarrow as pa

from gpu_sink.contract import FRONTIER, LAYOUT, NEWEST, RELEASED, ROWS, SEALED, layout_fingerprint

Message = tuple[bytes, list[tuple[str, bytes | None]]]


def rows_of(numbers: list[int]) -> pa.RecordBatch:
    """Rows that can be told apart: event_ns is the number, price a half of it, null for odd numbers."""
    schema = pa.schema([pa.field("event_ns", pa.int64(), nullable=False), pa.field("price", pa.float64())])
    price = [None if number % 2 else number / 2 for number in numbers]
    return pa.RecordBatch.from_pydict({"event_ns": numbers, "price": price}, schema)


def message_of(batch: pa.RecordBatch, **said: object) -> Message:
    """A frame as a client would produce it; `said` replaces what its headers say."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    headers: dict[str, object] = {
        LAYOUT: layout_fingerprint(batch.schema),
        FRONTIER: 100,
        ROWS: batch.num_rows,
        RELEASED: 200,
        SEALED: 300,
        NEWEST: 150,
    }
    names = {"layout": LAYOUT, "frontier": FRONTIER, "rows": ROWS}
    headers.update({names[name]: value for name, value in said.items()})
    return sink.getvalue().to_pybytes(), [(name, str(value).encode()) for name, value in headers.items()]


def numbers_in(batches: list[pa.RecordBatch]) -> list[int]:
    """The numbers that `rows_of` was given."""
    return [number for rows in batches for number in rows.column("event_ns").to_pylist()]
