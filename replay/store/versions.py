"""Which version of a table there was at a moment: that of the last commit until then."""

from collections.abc import Container
from itertools import accumulate

from replay.dates import moment_text
from replay.errors import HistoryError
from replay.store.days import OWN_TABLES
from replay.store.objects import Folder
from replay.store.table import RETENTION_DAYS, HistoryTable, table_streams
from schemas.clocks import NS_PER_MS


def version_as_of(store: Folder, stream: str, time_ns: int) -> int:
    """Return the newest version of a stream's table that had been committed by a time, int64 ns UTC.

    A commit counts from the latest time that it or one before it bears, to the millisecond, since clocks of
    machines differ: so an earlier moment never shows a later version.  Raises HistoryError where the table
    had no version then, or has it no more.
    """
    table = HistoryTable(store, stream)
    commits = sorted((int(entry["version"]), int(entry["timestamp"])) for entry in table.commits())
    made_ms = accumulate((made for _, made in commits), max)
    before = [
        (version, made)
        for (version, _), made in zip(commits, made_ms, strict=True)
        if made * NS_PER_MS <= time_ns
    ]
    if before:
        return before[-1][0]
    (oldest, first_ms), (newest, last_ms) = commits[0], commits[-1]
    kept = "it was made then" if oldest == 0 else f"versions are kept for {RETENTION_DAYS} days"
    raise HistoryError(
        f"the table at {table.root} has no version of {moment_text(time_ns)}: version {oldest} is of "
        f"{moment_text(first_ms * NS_PER_MS)}, {kept}, and the newest, {newest}, of "
        f"{moment_text(last_ms * NS_PER_MS)}"
    )


def versions_as_of(store: Folder, time_ns: int, *, needed: Container[str]) -> dict[str, int]:
    """Return the version of each stream's table at a time; only tables that are `needed` must have had one.

    Raises HistoryError as `version_as_of` does.
    """
    versions = {}
    for stream in set(table_streams(store)) - OWN_TABLES:
        try:
            versions[stream] = version_as_of(store, stream, time_ns)
        except HistoryError:
            if stream in needed:
                raise
    return versions
