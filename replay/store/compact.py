"""Many small parts of a day and bucket become one: the same rows in fewer files.

What was written is held against what was read, rows and content hash, before it counts.  Each compaction
raises the fence of its day and bucket, so of two that began from the same parts one is refused.  No file is
deleted here: earlier versions still have them.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Final

from replay.errors import HistoryError
from replay.store.content_hash import combined
from replay.store.part import compacted_name, merged_ranges
from replay.store.part_files import require_bytes
from replay.store.part_writer import PartPlace, write_part
from replay.store.scan import stored_rows
from replay.store.snapshot import PartEntry, Snapshot
from replay.store.table import Change, HistoryTable

PARTS_MAX: Final = 4  # a day and bucket with more parts is worth a compaction
SIZE_MIN: Final = 16 * 2**20  # bytes; and so is one with two parts below this


@dataclass(frozen=True, slots=True)
class Group:
    """The parts of one day and bucket that are to become one, all counted among as many buckets."""

    date: str
    bucket: int
    parts: tuple[PartEntry, ...]

    @property
    def rows(self) -> int:
        """Their rows."""
        return sum(part.rows for part in self.parts)

    def __str__(self) -> str:
        """What to print."""
        return f"{self.date} bucket {self.bucket}: {len(self.parts):,} parts, {self.rows:,} rows"


def fence(date: str, bucket: int) -> str:
    """The application that whoever takes parts of a day and bucket out of a table commits as."""
    return f"rewrite:{date}:{bucket}"


def plan_compaction(snapshot: Snapshot, *, before: str | None = None) -> list[Group]:
    """Return the groups that are worth it, of days before a date where one is named."""
    by_place: dict[tuple[str, int, int], list[PartEntry]] = defaultdict(list)
    for part in snapshot.parts:
        if before is None or part.date < before:
            by_place[part.date, part.bucket, part.buckets].append(part)
    groups = []
    for (date, bucket, _), parts in sorted(by_place.items()):
        small = sum(part.size < SIZE_MIN for part in parts)
        if len(parts) > PARTS_MAX or small > 1:
            groups.append(Group(date, bucket, tuple(sorted(parts))))
    return groups


def compact(table: HistoryTable, group: Group, *, by: str) -> int:
    """Make one part of a group, and return the version that has it.

    Raises FencedCommitError where another has changed the group since, HistoryError where what was written
    has not the rows of what was read; the table is then as it was.
    """
    snapshot = table.snapshot()
    application = fence(group.date, group.bucket)
    before = table.transaction_version(application)
    generation = (before or 0) + 1
    require_bytes(snapshot, group.parts)
    footers = snapshot.footers(group.parts)
    place = PartPlace(
        name=compacted_name(table.stream, generation),
        date=group.date,
        bucket=group.bucket,
        covered=merged_ranges([one for footer in footers for one in footer.covered]),
        source=f"{len(footers)} parts of version {snapshot.version}",
    )
    rows = stored_rows(snapshot, group.parts)
    rules = replace(table.rules, buckets=group.parts[0].buckets)
    part = write_part(table.root, place, rules, table.stored, rows)
    wanted = (sum(footer.rows for footer in footers), combined(*(one.content_hash for one in footers)))
    if (part.footer.rows, part.footer.content_hash) != wanted:
        raise HistoryError(
            f"{part.path} has {part.footer.rows:,} rows with hash {part.footer.content_hash:016x}, and its "
            f"sources {wanted[0]:,} with {wanted[1]:016x}: nothing was changed; run `python -m replay verify`"
        )
    return table.commit(
        Change(
            adds=[part],
            removes=group.parts,
            transactions={application: generation},
            expected={application: before},
            facts={"by": by, "command": "compact", "rows": group.rows, "parts": len(group.parts)},
            same_rows=True,
        )
    )
