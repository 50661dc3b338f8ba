"""A day is replaced by an import only where no row of other files would be lost."""

from collections.abc import Sequence
from pathlib import Path

from replay.errors import SourceError
from replay.store.day import Source
from replay.store.days import HistoryStore


def require_own(store: HistoryStore, stream: str, date: str, folder: Path, ours: Sequence[Source]) -> None:
    """Raise SourceError where the history's day has rows of files that are not in `folder`, now or before.

    `ours` are the files of this import; one that was moved is known by its name, size and time.
    """
    if not store.has(stream, date):
        return
    day = store.day(stream, date)
    if not day.rows:
        return
    home = folder.resolve()
    summary = day.summary
    others = [
        source.path or source.name
        for source in summary.sources
        if not source.lies_in(home) and not any(source.same_file(own) for own in ours)
    ]
    if summary.made.get("by") == "generate":
        others = ["a synthetic market"]
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise SourceError(
            f"the history at {store.root} has {day.rows:,} {stream} rows of {date} from {others[0]}{more}, "
            f"and {home} has rows of that day too: import all files of a day as one folder, name the "
            "--timezone whose days the files hold, or give --replace to lose those rows"
        )
