"""Rows, tables and clocks of the bench of the history."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import pyarrow as pa

from replay.store.objects import Folder
from replay.store.part import imported_name
from replay.store.part_writer import PartPlace, write_part
from replay.store.places import TableRules, portions, with_places
from replay.store.stored_types import to_stored
from replay.store.table import Change, HistoryTable, create_table
from schemas.clocks import NS_PER_S

ROUNDS: Final = 5
DAY_NS: Final = 1_764_288_000 * NS_PER_S  # 2025-11-28 00:00 UTC
DAY_S: Final = 86_400
SYMBOLS: Final = 2_000
BUSIEST: Final = "S0000"
T = TypeVar("T")


def rules_of(buckets: int, stream: str = "quote") -> TableRules:
    """A table of the bench: keyed by symbol, ordered by known_ns and sequence."""
    return TableRules(
        stream=stream, key=("symbol",), sequence="sequence", order="known", zone="UTC", buckets=buckets
    )


def draw_rows(rows: int, *, columns: int = 20, days: int = 1, seed: int = 1) -> pa.RecordBatch:
    """Quotes of 2,000 symbols, busy by a power law, in the order of arrival; the last column is noise."""
    draw = np.random.default_rng(seed)
    known = np.sort(DAY_NS + draw.integers(0, days * DAY_S * NS_PER_S, rows))
    names = np.array([f"S{number:04}" for number in range(SYMBOLS)])
    symbol = np.minimum((draw.random(rows) ** 4 * SYMBOLS).astype(np.int64), SYMBOLS - 1)
    mid = 10_000 + symbol * 7 + np.cumsum(draw.integers(-1, 2, rows)) % 500
    made = {
        "event_ns": known - draw.integers(50_000, 900_000, rows),
        "known_ns": known,
        "symbol": names[symbol],
        "sequence": np.arange(rows),
        "bid_price": (mid - 1) / 100,
        "ask_price": (mid + draw.integers(1, 4, rows)) / 100,
        "bid_size": draw.integers(1, 40, rows) * 100,
        "ask_size": draw.integers(1, 40, rows) * 100,
        "exchange": np.array(list("NQPZKB"))[draw.integers(0, 6, rows)],
    }
    while len(made) < columns - 1:
        made[f"level_{len(made)}"] = mid // 3 + draw.integers(0, 9, rows)
    if columns > len(made):
        made["noise"] = draw.random(rows)
    return pa.RecordBatch.from_pydict(made)


def make_table(store: Folder, rules: TableRules, batches: list[pa.RecordBatch]) -> HistoryTable:
    """A table with a commit for each batch."""
    table = create_table(store, rules, batches[0].schema)
    first = 0
    for rows in batches:
        offsets = np.arange(first, first + rows.num_rows, dtype=np.int64)
        placed = with_places(rows, offsets, np.zeros(rows.num_rows, np.int32))
        first += rows.num_rows
        parts = [
            write_part(
                table.root,
                PartPlace(
                    name=imported_name(rules.stream),
                    date=portion.date,
                    bucket=portion.bucket,
                    source="a bench",
                ),
                table.rules,
                table.stored,
                [portion.rows],
            )
            for portion in portions(to_stored(placed, table.stored), table.rules)
        ]
        table.commit(Change(adds=parts, transactions={}, expected={}))
    return table


def files_of(table: HistoryTable) -> list[str]:
    """The files of a table in a folder."""
    assert isinstance(table.root, Path)
    return [str(table.root / part.path) for part in table.snapshot().parts]


def cpu_s(work: Callable[[], T], rounds: int = ROUNDS) -> float:
    """Median CPU seconds of this process for some work, warm."""
    work()
    taken = []
    for _ in range(rounds):
        began_s = time.process_time()
        work()
        taken.append(time.process_time() - began_s)
    return statistics.median(taken)


def once_s(work: Callable[[], T]) -> tuple[T, float]:
    """What some work gives, and its CPU seconds the first time."""
    began_s = time.process_time()
    result = work()
    return result, time.process_time() - began_s
