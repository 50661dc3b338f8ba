"""Finds the day a run asks for in the history, importing or generating it where need be."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.config import Settings
from app.day.reading import Reading
from app.errors import UsageError
from app.wiring.formats import stream_format
from app.wiring.planning import join_settings
from app.wiring.sources import AvroSource
from operators.join.settings import AsofSettings
from replay.errors import HistoryError, SourceError, UnknownDateError
from replay.store.day import Day
from replay.store.days import HistoryStore
from replay.store.objects import Folder
from topics.avro.schema import avro_schema

HISTORY = Path("build/history")
GENERATED = HISTORY / "generated"
IMPORT_ALONE = ("--drop", "--keep", "--rename", "--replace", "--time-format")  # flags that a run lacks

Say = Callable[[str], None]


@dataclass(frozen=True)
class History:
    """A history whose days can be asked for.

    `folder` is what was imported into it just now, and `imported` the (stream, date) that it has rows of; a
    day from an earlier import of that folder, of files or options that are no more, is not there.
    """

    store: HistoryStore
    folder: Path | None = None
    imported: frozenset[tuple[str, str]] = frozenset()

    def dates(self, streams: Sequence[str]) -> list[str]:
        """The days that all these streams have."""
        return [date for date in self.store.dates() if all(self._has(stream, date) for stream in streams)]

    def days(self, date: str, streams: Sequence[str], say: Say) -> list[Day]:
        """Return the day of each stream; raises UsageError naming the dates there are."""
        try:
            self._require(date, streams)
            days = [self.store.day(stream, date) for stream in streams]
        except HistoryError as wrong:
            raise UsageError(str(wrong)) from None
        for day in days:
            if not day.rows:
                say(f"{day.summary.stream}: no rows on {date}, so nothing has a match in it")
        return days

    def _has(self, stream: str, date: str) -> bool:
        return self.store.has(stream, date) and not self._is_stale(stream, date)

    def _is_stale(self, stream: str, date: str) -> bool:
        """Whether a day's rows are from the folder, though its files, as they are read now, have none."""
        if self.folder is None or (stream, date) in self.imported:
            return False
        home = self.folder.resolve()
        return any(source.lies_in(home) for source in self.store.day(stream, date).summary.sources)

    def _require(self, date: str, streams: Sequence[str]) -> None:
        there = self.store.streams(date) if date in self.store.dates() else []
        stale = [stream for stream in there if self._is_stale(stream, date)]
        if stale:
            raise UnknownDateError(
                f"{self.folder} has no {' and no '.join(stale)} of {date}; the history at {self.store.root} "
                f"has, from an earlier import of other files or options: STORE={self.store.root} without "
                f"DATA= replays that.  {self.folder} has {', '.join(self.dates(streams)) or 'no whole day'}"
            )
        missing = [stream for stream in streams if stream not in there]
        if there and missing:
            complete = [d for d in self.store.dates() if self._has(missing[0], d)]
            mend = (
                "import the trades once more to have days without quotes"
                if "trade" in there
                else "every day needs trades: import them as well"
                if self.folder is None
                else "every day needs trades: put trades* into the folder"
            )
            raise UnknownDateError(
                f"{date} has {' and '.join(there)} but no {missing[0]} in the history at {self.store.root}; "
                f"dates with {missing[0]}: {', '.join(complete) or 'none'} ({mend})"
            )


def open_history(*, data: Path | None, store: Folder | None, reading: Reading, say: Say) -> History:
    """Return the history a run reads.

    `data` is imported first, once, into a history of its own that no other folder and no other way of
    reading it shares; an explicit `store` is shared, and days read otherwise before are read again.
    """
    if data is None:
        reading.require_none()
        return History(HistoryStore(store or GENERATED))
    from replay.imports.folder import import_folder  # with Polars, which few runs need here

    root = store or HISTORY / f"{data.resolve().name}-{_digest(data, reading)}"
    history = HistoryStore(root)
    try:
        report = import_folder(history, data, **reading.values())
    except SourceError as wrong:
        raise UsageError(f"{wrong}{_elsewhere(str(wrong), data, root)}") from None
    except HistoryError as wrong:
        raise UsageError(str(wrong)) from None
    news = any(day.written for day in report.days) or report.refused
    for line in report.lines() if news else [f"history: {root}, imported before"]:
        say(line)
    return History(history, data, frozenset((day.stream, day.date) for day in report.days))


def find_days(
    date: str, streams: Sequence[str], *, data: Path | None, store: Folder | None, reading: Reading, say: Say
) -> tuple[HistoryStore, list[Day]]:
    """Return the history and the day of each stream; raises UsageError naming the dates there are.

    With neither `data` nor `store` a day that is not in the history is generated.
    """
    history = open_history(data=data, store=store, reading=reading, say=say)
    if data is None and store is None:
        generate_missing(history, [date], say)
    return history.store, history.days(date, streams, say)


def generate_missing(history: History, dates: Sequence[str], say: Say) -> None:
    """Make a synthetic day of each of these dates that no stream has."""
    there = set(history.store.dates())
    for date in dates:
        if date in there:
            continue
        from replay.market.generate import generate_day

        made = generate_day(history.store, date)
        rows = ", ".join(f"{day.rows:,} {day.stream.name}s" for day in made)
        say(f"{date} is not in the history: generated a synthetic day of {rows}")


def _elsewhere(message: str, data: Path, root: Folder) -> str:
    """Where the options can be typed that a message names and a run does not have."""
    if not any(flag in message for flag in IMPORT_ALONE):
        return ""
    return f" (options of python -m replay import {data} --store {root}; then replay with STORE={root} alone)"


def _digest(data: Path, reading: Reading) -> str:
    options = "".join(f"\n{name}={value}" for name, value in sorted(reading.values().items()))
    return hashlib.sha256(f"{data.resolve()}{options}".encode()).hexdigest()[:8]


def join_of_days(settings: Settings, days: Sequence[Day]) -> AsofSettings:
    """The join of a run over these days, with the columns that its topics will have.

    Raises StreamError or SettingsError where the columns do not bear it.
    """
    streams = {}
    for day in days:
        name = day.stream.name
        own = settings.stream(name).model_copy(
            update={"key": day.stream.key, "sequence": day.stream.sequence or settings.stream(name).sequence}
        )
        streams[name] = stream_format(own, name, AvroSource(avro_schema(day.stream))).stream
    return join_settings(settings, streams)
