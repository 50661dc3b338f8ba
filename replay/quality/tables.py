"""The tables that quality reports are kept in, beside the streams they are about, so that SQL reads them.

A day measured again takes the place of what was there; equal results write nothing.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date as calendar_date
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from replay.dates import parse_date
from replay.order import as_int64s
from replay.quality.measure import Measured
from replay.store.compact import fence
from replay.store.days import QUALITY, QUALITY_GAP
from replay.store.objects import Folder
from replay.store.part import imported_name
from replay.store.part_writer import PartPlace, write_part
from replay.store.places import OFFSET, TableRules, with_places
from replay.store.scan import stored_rows
from replay.store.stored_types import to_stored
from replay.store.table import Change, HistoryTable, create_table
from schemas.batch import Int64s
from schemas.clocks import NS_PER_DAY

_EPOCH: Final = calendar_date(1970, 1, 1)
_COUNTS: Final = (
    "rows",
    "symbols",
    "size",
    "layouts",
    "dead",
    "offsets_missing",
    "offsets_accepted",
    "offsets_twice",
    "repeated_places",
    "repeated",
    "number_gaps",
    "numbers_missing",
    "numbers_filled",
    "numbers_twice",
    "silences",
    "silence_ns_max",
    "stream_silences",
    "stream_silence_ns_max",
    "event_disorder_ns",
    "known_disorder_ns",
    "known_first",
    "difference_ns_median",
    "difference_ns_p99",
    "difference_ns_max",
    "one_sided",
    "not_positive",
    "crossed",
    "locked",
    "wide",
    "outlier",
)
# Null where they were not asked for.
CHECK_COUNTS: Final = (
    "far",
    "off_quote",
    "duplicate",
    "correction",
    "price_ok",
    "last_ok",
    "volume_ok",
    "auction",
    "extended",
    "unknown_condition",
)
# `event_ns` is 00:00 UTC of the day; `nulls` is JSON, nulls by column; `constant` has names with a comma.
QUALITY_SCHEMA: Final = pa.schema(
    [
        ("event_ns", pa.int64()),
        ("stream", pa.string()),
        ("condition", pa.string()),
        ("reasons", pa.string()),
        ("version", pa.int64()),
        ("first_ns", pa.int64()),
        ("last_ns", pa.int64()),
        *((name, pa.int64()) for name in _COUNTS),
        ("nulls", pa.string()),
        ("constant", pa.string()),
        *((name, pa.int64()) for name in CHECK_COUNTS),
    ]
)
GAP_SCHEMA: Final = pa.schema(
    [
        ("event_ns", pa.int64()),
        ("stream", pa.string()),
        ("source", pa.string()),
        ("first_number", pa.int64()),
        ("last_number", pa.int64()),
        ("row_event_ns", pa.int64()),
        ("row_known_ns", pa.int64()),
    ]
)


def keep_quality(store: Folder, measured: Sequence[Measured]) -> None:
    """Put results into the tables `quality` and `quality_gap`; those of the same stream and day go.

    Raises FencedCommitError where another does so at once: nothing of that day is changed.
    """
    for one in measured:
        day = one.quality
        gaps = [
            {
                "event_ns": _day_ns(day.date),
                "stream": gap.stream,
                "source": gap.source,
                "first_number": gap.first,
                "last_number": gap.last,
                "row_event_ns": gap.event_ns,
                "row_known_ns": gap.known_ns,
            }
            for gap in one.gaps
        ]
        for name, schema, rows in (
            (QUALITY, QUALITY_SCHEMA, [quality_row(one)]),
            (QUALITY_GAP, GAP_SCHEMA, gaps),
        ):
            rules = TableRules(
                stream=name, key=("stream",), sequence=None, order="event", zone="UTC", buckets=1
            )
            table = create_table(store, rules, schema)
            table.grow(schema)
            _replace(table, pa.RecordBatch.from_pylist(rows, schema=schema), day.stream, day.date)


def quality_row(measured: Measured) -> dict[str, Any]:
    """One day as a row of the table."""
    day = measured.quality
    numbers = {} if day.numbers is None else asdict(day.numbers)
    clocks, silences = day.clocks, day.silences
    median, high, greatest = clocks.differences_ns or (None, None, None)
    return {
        "event_ns": _day_ns(day.date),
        "stream": day.stream,
        "condition": day.condition,
        "reasons": "; ".join(day.reasons),
        "version": day.version,
        "first_ns": day.first_ns,
        "last_ns": day.last_ns,
        "rows": day.rows,
        "symbols": day.symbols,
        "size": day.size,
        "layouts": day.layouts,
        "dead": day.dead,
        "offsets_missing": day.offsets.missing,
        "offsets_accepted": day.offsets.accepted,
        "offsets_twice": day.offsets.twice,
        "repeated_places": day.repeated_places,
        "repeated": day.repeated,
        "number_gaps": numbers.get("gaps"),
        "numbers_missing": numbers.get("missing"),
        "numbers_filled": numbers.get("filled"),
        "numbers_twice": numbers.get("duplicates"),
        "silences": silences.symbols,
        "silence_ns_max": silences.symbols_longest_ns,
        "stream_silences": silences.stream,
        "stream_silence_ns_max": silences.stream_longest_ns,
        "event_disorder_ns": clocks.disorder_ns.get("event_ns"),
        "known_disorder_ns": clocks.disorder_ns.get("known_ns"),
        "known_first": clocks.known_first,
        "difference_ns_median": median,
        "difference_ns_p99": high,
        "difference_ns_max": greatest,
        "one_sided": day.one_sided,
        **(day.bad_ticks or {}),
        "nulls": json.dumps(day.nulls),
        "constant": ",".join(day.constant),
        **day.checks,
    }


def _replace(table: HistoryTable, rows: pa.RecordBatch, stream: str, date: str) -> None:
    """Put rows in the place of those of this stream and day; all streams of a day are in one part."""
    snapshot = table.snapshot()
    old = [part for part in snapshot.parts if part.date == date]
    others = [
        batch.filter(pc.not_equal(batch.column("stream"), stream)) for batch in stored_rows(snapshot, old)
    ]
    numbers = np.arange(rows.num_rows, dtype=np.int64)
    new = to_stored(with_places(rows, numbers, np.zeros(rows.num_rows, np.int32)), table.stored)
    whole = pa.concat_batches([*others, new])
    whole = whole.take(pa.array(np.lexsort([as_int64s(whole.column(OFFSET)), _ranks(whole)])))
    numbers = np.arange(whole.num_rows, dtype=np.int64)
    whole = whole.set_column(whole.schema.get_field_index(OFFSET), OFFSET, pa.array(numbers))
    place = PartPlace(
        name=imported_name(table.stream), date=date, bucket=0, source="python -m replay quality"
    )
    adds = [write_part(table.root, place, table.rules, table.stored, [whole])] if whole.num_rows else []
    if [part.path for part in adds] == [part.path for part in old]:
        return
    application = fence(date, 0)
    before = table.transaction_version(application)
    table.commit(
        Change(
            adds=adds,
            removes=old,
            transactions={application: (before or 0) + 1},
            expected={application: before},
            facts={"by": "python -m replay", "command": "quality", "stream": stream, "date": date},
        )
    )


def _ranks(rows: pa.RecordBatch) -> Int64s:
    """The place of each row's stream among the names in order."""
    names = rows.column("stream")
    return as_int64s(pc.index_in(names, pc.unique(names).sort()).cast(pa.int64()))


def _day_ns(date: str) -> int:
    return (parse_date(date) - _EPOCH).days * NS_PER_DAY
