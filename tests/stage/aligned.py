"""Small frames for the scenes of these tests, made without the worker's code."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from gpu_sink.contract import FRONTIER, LAYOUT, NEWEST, RELEASED, ROWS, SEALED, layout_fingerprint
from gpu_sink.frames import Frame, Place

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


SYMBOLS = ("AAA", "BB", "C", "DDDD")
TRADE = pa.schema(
    [
        pa.field("symbol", pa.string(), nullable=False),
        pa.field("event_ns", pa.int64(), nullable=False),
        pa.field("price", pa.float64()),
        pa.field("size", pa.int32()),
    ]
)


def trades(seed: int, *, partitions: int = 4, frames: int = 12, rows_max: int = 30) -> list[Frame]:
    """Frames of numbered trades, partitions in turn; event_ns is the row's number, unique over the stream."""
    draw = random.Random(seed)
    made, number = [], 0
    for offset in range(frames):
        for partition in range(partitions):
            count = draw.randint(1, rows_max)
            numbers = list(range(number, number + count))
            number += count
            columns = {
                "symbol": [draw.choice(SYMBOLS) for _ in numbers],
                "event_ns": numbers,
                "price": [None if draw.random() < 0.2 else n / 4 for n in numbers],
                "size": [None if draw.random() < 0.2 else n for n in numbers],
            }
            rows = pa.RecordBatch.from_pydict(columns, TRADE)
            made.append(Frame(rows, None, Place("aligned", partition, 3 * offset)))  # offsets have gaps
    return made


def equal(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Whether two batches have the same columns with the same values, NaN being NaN."""
    return ours.keys() == theirs.keys() and all(
        np.array_equal(ours[name], theirs[name], equal_nan=ours[name].dtype.kind == "f") for name in ours
    )
