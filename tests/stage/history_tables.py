"""Tables of a history with rows drawn by a seed, small enough to be held against the slowest of oracles."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from replay.store.objects import Folder
from replay.store.part import Covered, Part, captured_name, imported_name
from replay.store.part_writer import PartPlace, write_part
from replay.store.places import TableRules, portions, with_places
from replay.store.snapshot import Snapshot
from replay.store.stored_types import to_stored
from replay.store.table import Change, HistoryTable, create_table
from schemas.clocks import NS_PER_S

SCHEMA = pa.schema(
    [
        ("event_ns", pa.int64()),
        ("known_ns", pa.int64()),
        ("symbol", pa.string()),
        ("price", pa.float64()),
        ("sequence", pa.int64()),
    ]
)
DAY_NS = 1_764_288_000 * NS_PER_S  # 2025-11-28 00:00 UTC
RULES = TableRules(stream="quote", key=("symbol",), sequence="sequence", order="known", zone="UTC", buckets=4)
SYMBOLS = ("A", "B", "CC", "D", "E", "FF")


def draw_rows(rows: int, seed: int, *, days: int = 2) -> pa.RecordBatch:
    """Rows of several symbols over some days, in the order of arrival, with ties and nulls."""
    draw = np.random.default_rng(seed)
    known = np.sort(DAY_NS + draw.integers(0, days * 24 * 40, rows) * 90 * NS_PER_S)
    return pa.RecordBatch.from_arrays(
        [
            pa.array(known - draw.integers(0, 5, rows) * NS_PER_S, mask=draw.random(rows) < 0.1),
            pa.array(known),
            pa.array(draw.choice(np.array(SYMBOLS), rows)),
            pa.array(np.round(draw.random(rows), 2), mask=draw.random(rows) < 0.1),
            pa.array(draw.integers(0, 4, rows)),
        ],
        schema=SCHEMA,
    )


def placed(rows: pa.RecordBatch, first: int = 0, partition: int = 0) -> pa.RecordBatch:
    """Rows with the places of messages of one row each, from offset `first` on."""
    offsets = np.arange(first, first + rows.num_rows, dtype=np.int64)
    return with_places(rows, offsets, np.zeros(rows.num_rows, np.int32), partition)


def write_parts(table: HistoryTable, rows: pa.RecordBatch, covered: Covered | None = None) -> list[Part]:
    """Write placed rows as parts, without a commit."""
    stored = table.stored
    name = imported_name(table.stream) if covered is None else captured_name(table.stream, covered)
    return [
        write_part(
            table.root,
            PartPlace(
                name=name,
                date=portion.date,
                bucket=portion.bucket,
                covered=() if covered is None else (covered,),
                source="a test",
            ),
            table.rules,
            stored,
            [portion.rows],
        )
        for portion in portions(to_stored(rows, stored), table.rules)
    ]


def folder_of(table: HistoryTable | Snapshot) -> Path:
    """The folder of a table that has one."""
    assert isinstance(table.root, Path)
    return table.root


def append(table: HistoryTable, rows: pa.RecordBatch) -> int:
    """Add rows in a commit of their own, and return its version."""
    return table.commit(Change(adds=write_parts(table, rows), transactions={}, expected={}))


def table_of(store: Folder, *batches: pa.RecordBatch, rules: TableRules = RULES) -> HistoryTable:
    """A table with a commit for each of these batches, whose offsets go on from one to the next."""
    table = create_table(store, rules, SCHEMA)
    first = 0
    for rows in batches:
        append(table, placed(rows, first))
        first += rows.num_rows
    return table
