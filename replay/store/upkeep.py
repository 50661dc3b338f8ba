"""Looking after tables: what is checked, what is taken back, what is let go, and what is deleted at last.

Only `vacuum` deletes files.  All others are commits, each behind the fences of what it changes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from replay.errors import HistoryError
from replay.store.compact import fence
from replay.store.content_hash import combined, content_hash
from replay.store.coverage import accept_gaps, application, backfilled, covered_ranges
from replay.store.log_files import empty_entries
from replay.store.objects import digest_of
from replay.store.part import digest_in
from replay.store.scan import stored_rows
from replay.store.snapshot import PartEntry, Snapshot
from replay.store.table import LOG, RETENTION_DAYS, Change, HistoryTable

VACUUM_HOURS_MIN: Final = 168  # a reader, or a capture that writes, may hold on to parts for so long
HOURS_PER_DAY: Final = 24


@dataclass(frozen=True, slots=True)
class Fault:
    """A part that is not what its table says, and how many rows are at stake."""

    path: str
    rows: int
    what: str

    def __str__(self) -> str:
        """What to print."""
        return f"{self.path}: {self.what}; {self.rows:,} rows"


def verify(snapshot: Snapshot) -> Iterator[Fault]:
    """Yield what is wrong with the parts of a version: each is read whole, its bytes and its rows hashed.

    Entries of the log that are empty are faults too: the commit's rows are not counted, and are not there.
    Raises HistoryError where all parts are whole, and rows of a topic are there twice.
    """
    sound = True
    for part in snapshot.parts:
        if what := _fault(snapshot, part):
            sound = False
            yield Fault(part.path, part.rows, what)
    if isinstance(snapshot.root, Path):
        for name in empty_entries(snapshot.root / LOG):
            yield Fault(f"{LOG}/{name}", 0, "is empty: the table lacks what this commit changed")
    if sound:
        covered_ranges(snapshot)


def restore(table: HistoryTable, version: int, *, by: str) -> int:
    """Bring back an earlier version, parts and next offsets; returns the version that has it.

    A capture that runs is refused at its next commit, and reads again from there.  Raises HistoryError for a
    version that is not there.
    """
    earlier = HistoryTable(table.store, table.stream, version)
    snapshot = earlier.snapshot()
    names = {*_applications(table.snapshot()), *_applications(snapshot)}
    facts = {"by": by, "command": "restore", "version": version}
    table.restore(version, facts)
    current = {name: table.transaction_version(name) for name in names}
    back = {name: earlier.transaction_version(name) for name in names}
    lowered = {name: back[name] or 0 for name in names if back[name] != current[name]}
    if not lowered:
        return table.version
    expected = {name: current[name] for name in lowered}
    return table.commit(Change(transactions=lowered, expected=expected, facts=facts))


def expired(snapshot: Snapshot, before: str) -> list[PartEntry]:
    """The parts of days before a date."""
    return [part for part in snapshot.parts if part.date < before]


def retain(table: HistoryTable, parts: Sequence[PartEntry], *, by: str) -> int:
    """Take parts out of the newest version, and return the version without them.

    Earlier versions have them until `vacuum` deletes their files.  The offsets they covered are noted first,
    so that a capture does not take their absence for a loss.
    """
    snapshot = table.snapshot()
    accept_gaps(table, [one for footer in snapshot.footers(parts) for one in footer.covered])
    fences = sorted({fence(part.date, part.bucket) for part in parts})
    before = {name: table.transaction_version(name) for name in fences}
    return table.commit(
        Change(
            removes=parts,
            transactions={name: (before[name] or 0) + 1 for name in fences},
            expected=before,
            facts={"by": by, "command": "retain", "rows": sum(part.rows for part in parts)},
        )
    )


def vacuum(table: HistoryTable, hours: int, *, dry_run: bool) -> list[str]:
    """Delete files that no version of the last so many hours has, or only say which; return their paths.

    Raises HistoryError for fewer hours than versions are kept: an earlier version would lack its files.
    """
    least = max(VACUUM_HOURS_MIN, RETENTION_DAYS * HOURS_PER_DAY)
    if hours < least:
        raise HistoryError(
            f"--keep-hours {hours} is less than the {least} for which versions of {table.root} are kept: an "
            "earlier version would be left without its parts"
        )
    return table.vacuum(hours, dry_run=dry_run)


def _fault(snapshot: Snapshot, part: PartEntry) -> str:
    """What is wrong with a part, empty where nothing is."""
    try:
        digest = digest_of(snapshot.root / part.path)
    except FileNotFoundError:
        return "is not there"
    except OSError as refused:
        return f"cannot be read ({refused})"
    if not digest.startswith(digest_in(part.path)):
        return f"has other bytes than it was named for: {digest[:8]}"
    actual = combined(*(content_hash(rows) for rows in stored_rows(snapshot, [part])))
    if actual != snapshot.footer(part).content_hash:
        return f"has other rows than it says: {actual:016x}"
    return ""


def _applications(snapshot: Snapshot) -> set[str]:
    """Who commits as what: captures of the topics that parts come from, and backfills of their days."""
    covered = [one for footer in snapshot.footers(snapshot.parts) for one in footer.covered]
    captures = {application(one.topic, one.partition) for one in covered}
    return captures | {backfilled(part.date) for part in snapshot.parts}
