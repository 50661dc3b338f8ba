"""Several days, one after the other in this process: each as `DATE=` alone would run it, and one summary."""

import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date as calendar_date
from pathlib import Path
from typing import Final

from app.day.dates import BETWEEN, days_between
from app.day.days_summary import DaysSummary
from app.day.history import History, generate_missing, open_history
from app.day.reading import Reading
from app.day.request import ReplayRequest
from app.day.run import replay_day
from app.day.run_folder import DAYS_NAME, fingerprint_of, make_folder
from app.day.run_folder import NAME as ONE_DAY
from app.day.stages import Stages
from app.day.summary import Summary, write_json
from app.errors import UsageError
from operators.sealed import ALIGNED
from replay.imports.files import listed

SATURDAY: Final = 5
GENERATED_MAX: Final = 31  # days that are made where none are named: each takes seconds and 30 MB


def replay_dates(
    dates: str | None, request: Callable[[str], ReplayRequest], say: Callable[[str], None]
) -> Summary | DaysSummary:
    """Run the day, or the `FIRST..LAST`, that somebody named; `request` makes the request of a day."""
    if dates is None:
        raise UsageError(f"which day?  Say DATE=YYYY-MM-DD, or several as DATE=FIRST{BETWEEN}LAST")
    if BETWEEN in dates:
        return replay_days(dates, request(days_between(dates)[0]), say)
    return replay_day(request(dates), say)


def replay_days(span: str, request: ReplayRequest, say: Callable[[str], None]) -> DaysSummary:
    """Run every day of `span` (`FIRST..LAST`) that the history has, and return what came of all.

    A day stands alone: nothing of yesterday is known at the open.  The rows of all days lie in
    `OUT/aligned/day=...` (and `OUT/NODE/day=...`), the rest of a day in `OUT/DATE`.  A run that was stopped
    goes on: the days that were done by then are not run again.  Raises UsageError where no day is there.
    """
    stages = Stages()
    asked = request.settings()
    streams = asked.stream_names
    history, dates = history_of(span, request, streams, say)
    make_folder(request.out)
    progress = Progress(request.out, dates)
    days: list[Summary] = []
    for number, date in enumerate(dates, start=1):
        own = replace(
            request,
            date=date,
            data=None,  # imported already
            reading=Reading(),
            store=history.store.root,
            out=request.out / date,
            rows=request.out,
        )
        of_streams = history.days(date, streams, say)
        fingerprint = fingerprint_of(own.identity(asked, of_streams))
        summary = progress.done_before(date, fingerprint)
        say(f"{date}, day {number} of {len(dates)}" + (": done before" if summary else ""))
        if summary is None:
            summary = replay_day(own, say)
            progress.add(date, fingerprint)
        days.append(summary)
    whole = DaysSummary(
        span=span,
        days=days,
        skipped=[date for date in days_between(span) if date not in dates],
        aligned=str(request.out / ALIGNED),
        took_s=stages.took,
    )
    whole.write(request.out / "summary.json")
    progress.finish()
    return whole


def history_of(
    span: str, request: ReplayRequest, streams: Sequence[str], say: Callable[[str], None]
) -> tuple[History, list[str]]:
    """The history of a request, and the days of `span` that all streams have, oldest first.

    Raises UsageError where no day is there.
    """
    wanted = days_between(span)
    history = open_history(data=request.data, store=request.store, reading=request.reading, say=say)
    if request.data is None and request.store is None:
        _generate(history, wanted, say)
    return history, _present(history, wanted, streams, span, say)


class Progress:
    """Which days of a folder are done, in `days.json`; once all are, the next run begins anew."""

    def __init__(self, folder: Path, dates: Sequence[str]) -> None:
        """Go on with an unfinished run; of a finished one clear the rows, so that no other day is among them.

        Raises UsageError where the folder is one day's, or its record is none.
        """
        self._folder, self._file = folder, folder / DAYS_NAME
        self._days: dict[str, str] = {}
        if (folder / ONE_DAY).exists():
            raise UsageError(f"OUT={folder} holds a run of one day: name another folder for several")
        if self._file.exists():
            try:
                record = json.loads(self._file.read_text())
                if not record["finished"]:
                    self._days = {date: str(of) for date, of in record["days"].items() if date in dates}
            except (ValueError, KeyError, TypeError, AttributeError) as broken:
                raise UsageError(
                    f"{self._file}: not a run's record ({broken}); delete the folder or say OUT="
                ) from None
        for rows in folder.glob("*/day=*"):
            if rows.name.removeprefix("day=") not in self._days:
                shutil.rmtree(rows)
        (folder / "summary.json").unlink(missing_ok=True)  # of days whose rows are gone
        self._write(finished=False)

    def done_before(self, date: str, fingerprint: str) -> Summary | None:
        """The summary of a day that was done for the same request, before the run was stopped.

        The rows of a day that was done for another one are removed, of outputs that there are no more, too;
        a day whose rows or summary somebody deleted is not done.
        """
        rows = [of_day for of_day in self._folder.glob(f"*/day={date}") if any(of_day.glob("*.parquet"))]
        if self._days.get(date) == fingerprint and any(of_day.parent.name == ALIGNED for of_day in rows):
            with suppress(OSError, ValueError, KeyError, TypeError):
                return Summary.read(self._folder / date / "summary.json")
        if self._days.pop(date, None) is not None:
            self._write(finished=False)
        for of_day in rows:
            shutil.rmtree(of_day)
        return None

    def add(self, date: str, fingerprint: str) -> None:
        """Record that a day is done."""
        self._days[date] = fingerprint
        self._write(finished=False)

    def finish(self) -> None:
        """Record that all are."""
        self._write(finished=True)

    def _write(self, *, finished: bool) -> None:
        write_json(self._file, {"finished": finished, "days": self._days})


def _generate(history: History, wanted: Sequence[str], say: Callable[[str], None]) -> None:
    """Make the days from Monday to Friday that the default history lacks, as a single one would be made."""
    there = set(history.store.dates())
    missing = [date for date in wanted if date not in there and _is_weekday(date)]
    if len(missing) > GENERATED_MAX:
        raise UsageError(
            f"DATE= names {len(missing)} days that would have to be generated, more than {GENERATED_MAX}: "
            "name a folder of files with DATA=, or a history with STORE="
        )
    generate_missing(history, missing, say)


def _is_weekday(date: str) -> bool:
    return calendar_date.fromisoformat(date).weekday() < SATURDAY


def _present(
    history: History, wanted: Sequence[str], streams: Sequence[str], span: str, say: Callable[[str], None]
) -> list[str]:
    """The wanted days that the history has; raises UsageError naming those it has where none is wanted."""
    there = history.dates(streams)
    dates = [date for date in wanted if date in there]
    if not dates:
        has = f"it has {listed(there)}" if there else "none of its days has all of " + ", ".join(streams)
        raise UsageError(f"no day of DATE={span} is in the history at {history.store.root}; {has}")
    missing = [date for date in wanted if date not in dates]
    if missing:
        say(f"not in the history, so skipped: {listed(missing)}")
    return dates
