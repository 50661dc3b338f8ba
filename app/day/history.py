"""Finds the day a run asks for in the history, importing or generating it where need be."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from app.config import Settings
from app.errors import UsageError
from app.wiring.formats import stream_format
from app.wiring.planning import join_settings
from app.wiring.sources import AvroSource
from operators.join.settings import AsofSettings
from replay.errors import HistoryError, SourceError
from replay.store.day import Day
from replay.store.days import HistoryStore
from topics.avro.schema import avro_schema

HISTORY = Path("build/history")


def find_days(
    date: str,
    streams: Sequence[str],
    *,
    data: Path | None,
    store: Path | None,
    say: Callable[[str], None],
) -> tuple[HistoryStore, list[Day]]:
    """Return the history and the day of each stream; raises UsageError naming the dates there are.

    With `data` the folder is imported first, once, into a store of its own; with neither `data` nor `store`
    a day that is not in the history is generated.
    """
    try:
        if data is not None:
            from replay.imports.folder import import_folder  # with Polars, which few runs need here

            digest = hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:8]
            history = HistoryStore(store or HISTORY / f"{data.resolve().name}-{digest}")
            report = import_folder(history, data)
            news = any(day.written for day in report.days) or report.refused
            for line in report.lines() if news else [f"history: {history.root}, imported before"]:
                say(line)
        else:
            history = HistoryStore(store or HISTORY / "generated")
            if store is None and date not in history.dates():
                from replay.market.generate import generate_day

                made = generate_day(history, date)
                rows = ", ".join(f"{day.rows:,} {day.stream.name}s" for day in made)
                say(f"{date} is not in the history: generated a synthetic day of {rows}")
        days = [_day(history, stream, date) for stream in streams]
    except SourceError as wrong:
        raise UsageError(
            f"{wrong} (options are those of python -m replay import {data} --store {history.root}; "
            f"then replay --store {history.root})"
        ) from None
    except HistoryError as wrong:
        raise UsageError(str(wrong)) from None
    for day in days:
        if not day.rows:
            say(f"{day.summary.stream}: no rows on {date}, so nothing has a match in it")
    return history, days


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


def _day(history: HistoryStore, stream: str, date: str) -> Day:
    there = history.streams(date) if date in history.dates() else []
    if there and stream not in there:
        complete = [d for d in history.dates() if stream in history.streams(d)]
        raise UsageError(
            f"{date} has {' and '.join(there)} but no {stream} in the history; "
            f"dates with {stream}: {', '.join(complete) or 'none'} (import the trades once more to have "
            "days without quotes)"
        )
    return history.day(stream, date)
