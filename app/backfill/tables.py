"""The rows of a backfill as tables of a history: shards write parts, and one commit of each table counts.

A part says in its name the day that was run and the plan.  Parts of an earlier backfill of the same days go
in the same commit; rows of those days that no backfill made are nothing that it may take out.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from app.backfill.plan import Plan
from app.errors import UsageError
from app.reading.row_files import as_in_frames
from app.wiring.captured import key_of
from app.wiring.pipeline import Pipeline
from replay.capture.session import table_rules
from replay.errors import FencedCommitError, UnknownCommitError
from replay.store.audit_log import logged
from replay.store.content_hash import combined
from replay.store.coverage import backfilled
from replay.store.objects import Folder, parse_store
from replay.store.part import Part, PartFooter, backfilled_day, backfilled_name
from replay.store.part_writer import PartPlace, write_part
from replay.store.places import portions, with_places
from replay.store.snapshot import PartEntry
from replay.store.stored_types import to_stored
from replay.store.table import FACTS, Change, HistoryTable, create_table, has_table
from schemas.stream import Stream

BY: Final = "python -m app backtest"
DAY_OFFSETS: Final = 2**40  # room for the rows of a partition's day among the offsets of its rows
NUMBER_DIGITS: Final = 15  # hex digits of a plan's id that are the version of a transaction, an int64


def open_tables(into: Folder, pipeline: Pipeline, zone: str, dates: Iterable[str]) -> None:
    """Make the tables of all outputs, or see that those that are there can take the rows of some days.

    Raises UsageError or HistoryError where they cannot.
    """
    partitions = pipeline.settings.bus.partitions
    for name, sink in pipeline.sinks(0).items():
        schema = sink.schema
        stream = Stream(name=name, schema=schema, key=key_of(pipeline, schema.names), sequence=None)
        table = create_table(into, table_rules(stream, partitions, zone, None), schema)
        table.grow(schema)
        _earlier(table, dates)


@dataclass(frozen=True)
class DayParts:
    """Where the rows of an output go that one partition has on one day of a plan."""

    table: HistoryTable
    plan: Plan
    date: str
    partition: int

    def write(self, file: Path) -> list[Part]:
        """Write the rows of a file as parts; the same rows are the same parts, whoever writes them.

        The rows of a day and partition are in memory while that is done.
        """
        with pq.ParquetFile(file) as opened:
            batches = [as_in_frames(batch) for batch in opened.iter_batches()]
        if not batches:
            return []
        rows = pa.concat_batches(batches)
        first = self.plan.dates.index(self.date) * DAY_OFFSETS
        offsets = np.arange(first, first + rows.num_rows, dtype=np.int64)
        placed = with_places(rows, offsets, np.zeros(rows.num_rows, np.int32), self.partition)
        table = self.table
        name = backfilled_name(table.stream, self.date, self.plan.id)
        return [
            write_part(
                table.root,
                PartPlace(
                    name=name,
                    date=portion.date,
                    bucket=portion.bucket,
                    source=f"backfill {self.plan.id} of {self.date}[{self.partition}]",
                ),
                table.rules,
                table.stored,
                [portion.rows],
            )
            for portion in portions(to_stored(placed, table.stored), table.rules)
        ]


def part_fields(part: Part) -> dict[str, Any]:
    """A part as JSON can hold it."""
    return {
        "path": part.path,
        "date": part.date,
        "bucket": part.bucket,
        "size": part.size,
        "footer": part.footer.to_json(),
    }


def part_of(fields: Mapping[str, Any]) -> Part:
    """Read it back."""
    return Part(**{**fields, "footer": PartFooter.from_json(fields["footer"])})


def commit_tables(plan: Plan, record: Mapping[str, Any], parts: Mapping[str, Sequence[Part]]) -> None:
    """Commit the parts of each output, in one commit of its table; one that has them already is passed over.

    `record` goes into the log.  Raises HistoryError where another has changed the same days meanwhile.
    """
    into = parse_store(plan.into)
    for name, own in parts.items():
        table = HistoryTable(into, name)
        if _is_committed(table, plan, record):
            continue
        with logged(into, "backfill", name, f"plan {plan.id}") as effect:
            _commit(table, plan, record, own)
            effect.rows, effect.files = sum(part.footer.rows for part in own), len(own)


def committed(plan: Plan, names: Iterable[str]) -> dict[str, Any] | None:
    """The record of a plan whose rows the tables of all outputs have; None where one lacks them."""
    into = parse_store(plan.into)
    record: dict[str, Any] | None = None
    for name in names:
        if not has_table(into, name):
            return None
        table = HistoryTable(into, name)
        record = _record_in(table, plan)
        if record is None or not _is_committed(table, plan, record):
            return None
    return record


def tables_of(parts: Mapping[str, Sequence[Part]]) -> dict[str, dict[str, Any]]:
    """What a record says of the tables: rows, parts, and the hash of the rows' content."""
    return {
        name: {
            "rows": sum(part.footer.rows for part in own),
            "parts": len(own),
            "content_hash": f"{combined(*(part.footer.content_hash for part in own)):016x}",
        }
        for name, own in parts.items()
    }


def _commit(table: HistoryTable, plan: Plan, record: Mapping[str, Any], parts: Sequence[Part]) -> None:
    live = {part.path for part in table.snapshot().parts}
    new = {part.path for part in parts}
    applications = [backfilled(date) for date in plan.dates]
    before = {name: table.transaction_version(name) for name in applications}
    change = Change(
        adds=[part for part in parts if part.path not in live],
        removes=[part for part in _earlier(table, plan.dates) if part.path not in new],
        transactions=dict.fromkeys(applications, _number(plan)),
        expected=before,
        facts={"by": BY, "command": "backfill", "plan": plan.id, "record": json.dumps(record)},
    )
    try:
        table.commit(change)
    except UnknownCommitError as unknown:
        table.refresh()
        if any(table.transaction_version(name) != of for name, of in change.transactions.items()):
            raise FencedCommitError(f"{unknown}; it was not made: run the backfill again") from None


def _number(plan: Plan) -> int:
    """The version of the transactions of a plan, by which a table says whose rows a day has."""
    return int(plan.id[:NUMBER_DIGITS], 16)


def _is_committed(table: HistoryTable, plan: Plan, record: Mapping[str, Any]) -> bool:
    """Whether a table has the rows of a plan: no other gave it these days since, and they are there."""
    if any(table.transaction_version(backfilled(date)) != _number(plan) for date in plan.dates):
        return False
    rows = record["tables"][table.stream]["rows"]
    return not rows or any(part.date in plan.days for part in table.snapshot().parts)


def _record_in(table: HistoryTable, plan: Plan) -> dict[str, Any] | None:
    """What the log of a table says of a plan, None where it says nothing."""
    for entry in table.commits():
        facts = entry.get(FACTS, {})
        if isinstance(facts, dict) and facts.get("plan") == plan.id and "record" in facts:
            record: dict[str, Any] = json.loads(facts["record"])
            return record
    return None


def _earlier(table: HistoryTable, dates: Iterable[str]) -> list[PartEntry]:
    """The parts that backfills of these days made; raises UsageError for rows of them that are others."""
    days, earlier = set(dates), []
    for part in table.snapshot().parts:
        day = backfilled_day(part.path)
        if day in days:
            earlier.append(part)
        elif day is None and part.date in days:
            raise UsageError(
                f"the table {table.stream} in {table.store} has rows of {part.date} that were captured, "
                "imported or compacted, and a backfill takes the place of backfills alone: name another "
                "store with --to"
            )
    return earlier
