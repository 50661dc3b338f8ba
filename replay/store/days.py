"""History on disk: one folder of Parquet per stream and day, readable by anything that knows Hive partitions.

`stream=<name>/date=YYYY-MM-DD/part-*.parquet`, with `_day.json` beside them.  A day exists when that file
does and is made of the parts it lists; it is written last and replaced in one rename, so whoever stops in
between leaves the day as it was.
"""

import shutil
import uuid
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from replay.dates import parse_date
from replay.errors import HistoryError, NotWrittenError, UnknownDateError
from replay.store.day import SUMMARY_FILE, Day, DaySummary, Source
from replay.store.measures import Measures
from replay.store.objects import Folder, digest_of
from schemas.clocks import Clock
from schemas.stream import Stream

STORE: Final = Path("build/history/generated")  # of commands and calls that name no other
TABLE_LOG: Final = "_delta_log"  # is in the folder of a stream that is a table
QUALITY: Final = "quality"  # reports about days, in tables of their own: no days to replay
QUALITY_GAP: Final = "quality_gap"
OWN_TABLES: Final = frozenset(
    {"audit_log", QUALITY, QUALITY_GAP}
)  # about the history itself: no stream has such a name
ROW_GROUP_ROWS: Final = (
    131_072  # large enough to compress, small enough that a resumed publication skips what is done
)


class StagedDay:
    """A whole day, written beside the one that is there; it goes with its context unless it was kept."""

    def __init__(self, folder: Path, summary: DaySummary) -> None:
        self._folder = folder
        self.summary = summary

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        _tidy(self._folder)

    def keep(self) -> Day:
        """Put it in the place of the day that was there.  Raises HistoryError where the disk refuses."""
        (name,) = self.summary.parts
        try:
            (self._folder / f"_{name}.new").rename(self._folder / name)
            (self._folder / f"_{name}.json").replace(self._folder / SUMMARY_FILE)
        except OSError as refused:
            raise _not_written(self._folder, refused) from None
        return Day(self._folder, self.summary)


class HistoryStore:
    """The days under one folder."""

    def __init__(self, root: Folder) -> None:
        self.root = root
        self._known: dict[str, tuple[str, set[str]]] = {}  # by table its newest commit, and its days

    def dates(self) -> list[str]:
        """Return the days that any stream has, oldest first."""
        days = {path.parent.name.removeprefix("date=") for path in self._summaries("*", "*")}
        return sorted(days.union(*self._table_dates().values()))

    def streams(self, date: str) -> list[str]:
        """Return the streams that have this day, by name; raises UnknownDateError where no stream has it."""
        date = parse_date(date).isoformat()
        names = {path.parent.parent.name.removeprefix("stream=") for path in self._summaries("*", date)}
        names |= {name for name, dates in self._table_dates().items() if date in dates}
        if not names:
            raise self._unknown(f"no day {date} in the history at {self.root}", self.dates())
        return sorted(names)

    def has(self, stream: str, date: str) -> bool:
        """Whether this stream has this day."""
        folder = self._folder(stream, date)
        in_folder = isinstance(folder, Path) and (folder / SUMMARY_FILE).is_file()
        return in_folder or self.in_table(stream, date)

    def in_table(self, stream: str, date: str) -> bool:
        """Whether the stream's table has this day."""
        log = self.root / f"stream={stream}" / TABLE_LOG
        if isinstance(log, Path) and not log.is_dir():
            return False
        return date in self._table_dates(known=True).get(stream, set())

    def day(self, stream: str, date: str, version: int | None = None) -> Day:
        """Return one stream's day; raises UnknownDateError naming the days it has.

        `version` is an earlier one of the stream's table.
        """
        date = parse_date(date).isoformat()
        self._table_dates()
        if version is not None or self.in_table(stream, date):
            from replay.store.table_day import table_day

            return table_day(self.root, stream, date, version)
        return self._folder_day(stream, date)

    def folder_days(self) -> list[Day]:
        """The days that are folders of their own, not those of tables, by date and stream."""
        names = sorted((path.parent.name, path.parent.parent.name) for path in self._summaries("*", "*"))
        return [
            self._folder_day(stream.removeprefix("stream="), date.removeprefix("date="))
            for date, stream in names
        ]

    def forget_folder(self, stream: str, date: str) -> None:
        """Remove the files of a day's own folder, which its table has now, and nothing of the table."""
        folder = self._own_folder(stream, date)
        parts = self._folder_day(stream, date).files
        (folder / SUMMARY_FILE).unlink()
        for path in parts:
            path.unlink(missing_ok=True)

    def _folder_day(self, stream: str, date: str) -> Day:
        folder = self._folder(stream, date)
        try:
            if not isinstance(folder, Path):
                raise FileNotFoundError(str(folder))
            text = (folder / SUMMARY_FILE).read_text()
        except (FileNotFoundError, NotADirectoryError):
            dates = {path.parent.name.removeprefix("date=") for path in self._summaries(stream, "*")}
            dates |= self._table_dates().get(stream, set())
            raise self._unknown(
                f"stream {stream} has no day {date} in the history at {self.root}", sorted(dates)
            ) from None
        try:
            return Day(folder, DaySummary.from_json(text))
        except (ValueError, KeyError, TypeError, AttributeError) as broken:
            raise HistoryError(
                f"{folder / SUMMARY_FILE} is not a day's summary ({broken!r}): "
                f"delete {folder} and import again"
            ) from None

    def write(
        self,
        stream: Stream,
        date: str,
        batches: Iterable[pa.RecordBatch],
        *,
        order: Clock,
        sources: tuple[Source, ...] = (),
        made: Mapping[str, str],
    ) -> Day:
        """Write a whole day, replacing the one that was there, and return it; a day may have no rows.

        `batches` come in publish order by `order` and have the stream's schema.  Raises HistoryError where
        the disk refuses; the day is then as it was before.
        """
        with self.stage(stream, date, batches, order=order, sources=sources, made=made) as staged:
            return staged.keep()

    def stage(
        self,
        stream: Stream,
        date: str,
        batches: Iterable[pa.RecordBatch],
        *,
        order: Clock,
        sources: tuple[Source, ...] = (),
        made: Mapping[str, str],
    ) -> StagedDay:
        """Write a whole day as `write` does, and leave the one that is there until it is kept."""
        self._require_folder(stream.name, date)
        folder = self._own_folder(stream.name, parse_date(date).isoformat())
        name = f"part-{uuid.uuid4().hex}.parquet"
        partial = folder / f"_{name}.new"  # not .parquet: a reader of the whole history would take both
        measures = Measures(stream, order)
        with ExitStack() as unfinished:
            unfinished.callback(_tidy, folder)
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with pq.ParquetWriter(partial, stream.schema, compression="zstd", version="2.6") as writer:
                    for batch in batches:
                        measures.add(batch)
                        writer.write_batch(batch, row_group_size=ROW_GROUP_ROWS)
                summary = DaySummary(
                    stream=stream.name,
                    date=date,
                    rows=measures.rows,
                    keys=len(measures.keys),
                    key=stream.key,
                    sequence=stream.sequence,
                    order=order,
                    clocks=measures.clocks(),
                    sources=sources,
                    made=dict(made),
                    parts=(name,),
                    digest=digest_of(partial),
                )
                (folder / f"_{name}.json").write_text(summary.to_json())
            except OSError as refused:
                raise _not_written(folder, refused) from None
            unfinished.pop_all()
        return StagedDay(folder, summary)

    def delete(self, stream: str, date: str) -> None:
        """Remove one stream's day, if it is there; raises HistoryError for one that is in a table."""
        self._require_folder(stream, date)
        folder = self._own_folder(stream, date)
        (folder / SUMMARY_FILE).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)

    def _require_folder(self, stream: str, date: str) -> None:
        require_stream_name(stream)
        if self.in_table(stream, date):
            raise HistoryError(
                f"{date} is in the table {stream} of the history at {self.root}, which keeps all its "
                "versions: nothing is written over it; name another store"
            )

    def _table_dates(self, *, known: bool = False) -> dict[str, set[str]]:
        """The days of each stream that is a table; delta-rs is loaded only where there is one.

        A table is opened again only where its log has a newer commit.  Of an object store what was found
        last is enough where it is `known`: each look costs requests.
        """
        if known and self._known and not isinstance(self.root, Path):
            return {name: dates for name, (_, dates) in self._known.items()}
        if isinstance(self.root, Path) and not any(self.root.glob(f"stream=*/{TABLE_LOG}")):
            return {}
        from replay.store.table import HistoryTable, newest_commit, table_streams

        streams = [name for name in table_streams(self.root) if name not in OWN_TABLES]
        for name in streams:
            newest = newest_commit(self.root, name)
            if self._known.get(name, ("",))[0] != newest or not newest:
                self._known[name] = newest, set(HistoryTable(self.root, name).snapshot().dates())
        return {name: self._known[name][1] for name in streams}

    def _folder(self, stream: str, date: str) -> Folder:
        return self.root / f"stream={stream}" / f"date={date}"

    def _own_folder(self, stream: str, date: str) -> Path:
        """The folder to write a day in; raises HistoryError at an object store, where days are in tables."""
        folder = self._folder(stream, date)
        if not isinstance(folder, Path):
            raise HistoryError(
                f"the history at {self.root} is an object store, which keeps days in tables: make the day in "
                f"a folder, and bring it there: `python -m replay upgrade --store FOLDER --to {self.root}`"
            )
        return folder

    def _summaries(self, stream: str, date: str) -> Iterable[Path]:
        if not isinstance(self.root, Path):
            return ()
        return self.root.glob(f"stream={stream}/date={date}/{SUMMARY_FILE}")

    @staticmethod
    def _unknown(what: str, dates: list[str]) -> UnknownDateError:
        there = (
            f"it has {', '.join(dates)}"
            if dates
            else "it is empty: run `python -m replay generate` or `python -m replay import` first"
        )
        return UnknownDateError(f"{what}; {there}")


def require_stream_name(stream: str) -> None:
    """Raise HistoryError for the name of a table that the history keeps about itself."""
    if stream in OWN_TABLES:
        raise HistoryError(
            f"{stream} is a table that the history keeps about itself: name the stream otherwise"
        )


def _not_written(folder: Path, refused: OSError) -> NotWrittenError:
    return NotWrittenError(f"the history at {folder.parent.parent} cannot be written: {refused}")


def _tidy(folder: Path) -> None:
    """Remove what the day's summary does not list: parts replaced, and parts never finished."""
    if not folder.is_dir():
        return
    try:
        kept = set(DaySummary.from_json((folder / SUMMARY_FILE).read_text()).parts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        kept = set()
    for path in folder.iterdir():
        if path.is_file() and path.name != SUMMARY_FILE and path.name not in kept:
            path.unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()
