"""A table gets another number of buckets: its parts are written anew, and change places in one commit.

A part's name says among how many buckets its own is counted, so parts of both kinds are read rightly side by
side: while this goes on, and where a capture that had begun adds one of the old kind.
"""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from math import gcd
from typing import Final

import numpy as np
import pyarrow as pa

from replay.errors import HistoryError
from replay.store.compact import fence
from replay.store.content_hash import combined
from replay.store.coverage import covered_ranges, joined_ranges, once_ranges
from replay.store.part import Part, rebucketed_name
from replay.store.part_files import require_bytes
from replay.store.part_writer import PartPlace, PartWriter
from replay.store.places import TableRules, buckets_of, keys_buckets
from replay.store.scan import stored_rows
from replay.store.snapshot import PartEntry, Snapshot
from replay.store.table import BUCKETS_NOW, Change, HistoryTable

APPLICATION: Final = "rebucket"


@dataclass(frozen=True, slots=True)
class Target:
    """A day and bucket to be written, and the parts that have rows of it."""

    date: str
    bucket: int
    sources: tuple[PartEntry, ...]


def plan_rebucket(snapshot: Snapshot, buckets: int) -> list[PartEntry]:
    """Return the parts that are counted among another number of buckets.

    Raises HistoryError where rows of two partitions of a topic would share a bucket, or rows have no key.
    """
    rules = replace(snapshot.rules, buckets=buckets)
    if not rules.key:
        raise HistoryError(f"{rules.stream} has no key: all its rows are in one bucket")
    partitions = max((partition + 1 for _, partition in covered_ranges(snapshot)), default=1)
    if gcd(snapshot.rules.buckets, buckets) < partitions:
        raise HistoryError(
            f"{rules.stream} was captured from {partitions} partitions or more, and {buckets} buckets would "
            f"not keep their rows apart: name a multiple of the topic's partitions; it has "
            f"{snapshot.rules.buckets} now"
        )
    return [part for part in snapshot.parts if part.buckets != buckets]


def rebucket(table: HistoryTable, buckets: int, *, by: str) -> int:
    """Bring all parts of a table into so many buckets, and return the version that has them.

    Each part is read once.  A row group is held of each bucket that parts read together have rows of: at most
    so many buckets as there will be for each that there were.  Stopped, the same call goes on.  Raises
    FencedCommitError where another has changed one of the parts since, HistoryError where what was written
    has not the rows of what was read: parts are then as they were.
    """
    plan_rebucket(table.snapshot(), buckets)
    if table.rules.buckets != buckets:
        table.set_properties({BUCKETS_NOW: str(buckets)})
    snapshot = table.snapshot()
    parts = plan_rebucket(snapshot, buckets)
    if not parts:
        return table.version
    fences = [APPLICATION, *sorted({fence(part.date, part.bucket) for part in parts})]
    require_bytes(snapshot, parts)
    before = {name: table.transaction_version(name) for name in fences}
    generation = (before[APPLICATION] or 0) + 1
    written: list[Part] = []
    rows_read = 0
    for group in _groups(snapshot, parts, table.rules):
        own, rows = _written(table, snapshot, group, generation)
        written, rows_read = written + own, rows_read + rows
    _require_all(snapshot, parts, written)
    facts = {"by": by, "command": "rebucket", "buckets": buckets, "parts": len(parts), "rows_read": rows_read}
    return table.commit(
        Change(
            adds=written,
            removes=parts,
            transactions={name: (version or 0) + 1 for name, version in before.items()},
            expected=before,
            facts=facts,
            same_rows=True,
        )
    )


def _targets(snapshot: Snapshot, parts: Sequence[PartEntry], rules: TableRules) -> list[Target]:
    """What is to be written: a part's footer has all its keys, so which buckets it has rows of is known."""
    sources: dict[tuple[str, int], list[PartEntry]] = defaultdict(list)
    for part, footer in zip(parts, snapshot.footers(parts), strict=True):
        for bucket in keys_buckets(footer.keys, rules.buckets):
            sources[part.date, bucket].append(part)
    return [Target(date, bucket, tuple(own)) for (date, bucket), own in sorted(sources.items())]


def _groups(snapshot: Snapshot, parts: Sequence[PartEntry], rules: TableRules) -> list[list[Target]]:
    """Targets whose sources are no other's: those of a day and of a bucket among as many as all divide into.

    Buckets are remainders of one hash, so a part's bucket says those of its rows among fewer.
    """
    common = gcd(rules.buckets, *(part.buckets for part in parts))
    groups: dict[tuple[str, int], list[Target]] = defaultdict(list)
    for target in _targets(snapshot, parts, rules):
        groups[target.date, target.bucket % common].append(target)
    return list(groups.values())


def _written(
    table: HistoryTable, snapshot: Snapshot, targets: Sequence[Target], generation: int
) -> tuple[list[Part], int]:
    """Write the parts of some targets, and return them and how many rows were read for them."""
    sources = sorted({part for target in targets for part in target.sources})
    rows_read = 0
    with ExitStack() as unfinished:
        writers = {}
        for target in targets:
            place = PartPlace(
                name=rebucketed_name(table.stream, generation),
                date=target.date,
                bucket=target.bucket,
                covered=tuple(joined_ranges(once_ranges(snapshot, target.sources))),
                source=f"{len(target.sources)} parts of version {snapshot.version}",
            )
            writer = PartWriter(table.root, place, table.rules, table.stored)
            writers[target.bucket] = unfinished.enter_context(writer)
        for rows in stored_rows(snapshot, sources):
            rows_read += rows.num_rows
            buckets = buckets_of(rows, table.rules)
            for bucket in np.unique(buckets).tolist():
                writers[bucket].add(rows.filter(pa.array(buckets == bucket)))
        return [writer.finish() for writer in writers.values()], rows_read


def _require_all(snapshot: Snapshot, parts: Sequence[PartEntry], written: Sequence[Part]) -> None:
    footers = snapshot.footers(parts)
    wanted = sum(one.rows for one in footers), combined(*(one.content_hash for one in footers))
    there = (
        sum(part.footer.rows for part in written),
        combined(*(part.footer.content_hash for part in written)),
    )
    if there != wanted:
        raise HistoryError(
            f"{snapshot.root}: what was written has {there[0]:,} rows with hash {there[1]:016x}, and its "
            f"sources {wanted[0]:,} with {wanted[1]:016x}: parts are as they were; run "
            "`python -m replay verify`"
        )
