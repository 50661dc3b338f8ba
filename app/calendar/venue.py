"""The sessions of a venue as exchange_calendars knows them: the one place that needs it, and so pandas."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from app.errors import UsageError
from operators.formula.suggest import suggest

AROUND: Final = timedelta(days=20)  # no venue is closed for longer: the sessions before and after are seen
NONE: Final = timedelta()
WHY_LENGTH_MAX: Final = 200  # characters of the library's own words; some list every day there is


class VenueSessions(NamedTuple):
    """The sessions of a venue, each from and to, in order; all moments are UTC.

    `name`      of the calendar, whatever alias it was called by.
    `from_`     all sessions of the moments from here on are known ...
    `to`        ... to here, exclusive.
    `source`    who says so.
    """

    name: str
    rows: list[tuple[datetime, datetime]]
    from_: datetime
    to: datetime
    source: str


def venue_sessions(name: str, first: date, last: date) -> VenueSessions:
    """The sessions of the days from `first` to `last`, both included; raises UsageError.

    A session is of the day that its venue counts it to, and goes from its opening to its close: a break at
    noon is inside.
    """
    with _library(name) as library:
        _require_name(library, name)
        calendar = _calendar(library, name, first, last)
        zone = ZoneInfo(str(calendar.tz))
        schedule = calendar.schedule
        rows = {
            day.date(): (_moment(begin), _moment(end))
            for day, begin, end in zip(schedule.index, schedule["open"], schedule["close"], strict=True)
        }
        source = f"exchange_calendars {library.__version__}"
    inside = [rows[day] for day in rows if first <= day <= last]
    if not inside:
        raise UsageError(f"{calendar.name} has no session from {first} to {last}: name a longer time")
    # Midnight, but for sessions over night: the first begins the evening before, and behind the last another
    # one begins, of which this table knows nothing.
    from_, to = (_midnight(day, zone) for day in (first, last + timedelta(days=1)))
    from_ = max([from_, *(end for day, (_, end) in rows.items() if day < first)])
    to = min([to, *(begin for day, (begin, _) in rows.items() if day > last)])
    return VenueSessions(calendar.name, inside, min(from_, inside[0][0]), max(to, inside[-1][1]), source)


@contextmanager
def _library(name: str) -> Iterator[Any]:
    """The library, loaded here and nowhere else, without what pandas says of how it is used there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import exchange_calendars
        except ImportError:
            raise UsageError(
                f"the sessions of {name} come from exchange_calendars, which is not installed: pip install "
                "exchange_calendars; or write them into a table [calendars.NAME] yourself, or have hours "
                'without holidays: anchor = { session = "09:30-16:00", timezone = "America/New_York" }'
            ) from None
        yield exchange_calendars


def _require_name(library: Any, name: str) -> None:
    names = library.get_calendar_names()
    if name not in names:
        near = suggest(name, names, listed="there are")
        raise UsageError(f"exchange_calendars has no calendar {name}{near}")


def _calendar(library: Any, name: str, first: date, last: date) -> Any:
    """The calendar of these days and some around them, where the library goes that far."""
    refused = ValueError()
    for before, after in ((AROUND, AROUND), (AROUND, NONE), (NONE, AROUND), (NONE, NONE)):
        try:
            return library.get_calendar(name, start=first - before, end=last + after)
        except ValueError as beyond:  # some calendars have bounds, and these days may lie at one
            refused = beyond
    why = " ".join(str(refused).split())
    why = why if len(why) <= WHY_LENGTH_MAX else f"{why[:WHY_LENGTH_MAX]} ..."
    raise UsageError(
        f"exchange_calendars {library.__version__} has no sessions of {name} from {first} to {last}: {why}"
    )


def _moment(stamp: Any) -> datetime:
    """A pandas.Timestamp as what the standard library has."""
    moment = stamp.to_pydatetime().astimezone(UTC)
    assert isinstance(moment, datetime), "a session begins and ends"
    return moment


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
