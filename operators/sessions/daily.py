"""Sessions by a rule: on each day of a time zone, or on some days of the week, from one hour to another.

The rule knows no holidays, on which it has a session without rows, and no shortened days, which for it end
as late as any other.  Who needs either has a calendar's table.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from operators.sessions.meaning import digest
from operators.sessions.sessions import CalendarError, Spans
from schemas.batch import Int64s
from schemas.clocks import NS_PER_DAY, NS_PER_S

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EVERY_DAY: Final = frozenset(range(7))
DAY_MINUTES: Final = 24 * 60
YEARS_CACHED: Final = 512  # rows lie in fewer than 300
_SESSION: Final = re.compile(r"([0-9]{2}):([0-9]{2})\s*-\s*([0-9]{2}):([0-9]{2})")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)
_NEAR_NS: Final = 2 * NS_PER_DAY
_YEARS_NEAR: Final = 3


@dataclass(frozen=True, slots=True)
class DailySessions:
    """A session on each day of the week that is one of `days` (0 for Monday), by the clocks of a zone.

    `opens`, `closes`  minutes since midnight.  One that closes no later than it opens does so on the day
                       after, and is of the day on which it opens.

    A session begins, and ends, at the first moment at which the clocks show its hour or a later one.  Where
    they go back, that is the first of the two; an hour that they skip is the moment at which they do.  So a
    session from midnight to midnight has 23, 24 or 25 hours, and none overlaps another.
    """

    opens: int
    closes: int
    timezone: str
    days: frozenset[int] = EVERY_DAY
    meaning: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        assert 0 <= self.opens < DAY_MINUTES, "a session opens on its day"
        assert 0 <= self.closes <= DAY_MINUTES, "a session closes on its day or the next"
        zone_of(self.timezone)
        object.__setattr__(
            self, "meaning", digest("daily", self.opens, self.closes, self.timezone, sorted(self.days))
        )

    def describe(self) -> str:
        """As of `Sessions`: `session 09:30-16:00 Mon-Fri America/New_York`."""
        days = "" if self.days == EVERY_DAY else f"{days_text(self.days)} "
        return f"session {_hour(self.opens)}-{_hour(self.closes)} {days}{self.timezone}"

    def ids(self, time_ns: Int64s) -> Int64s:
        """As of `Sessions`; every moment is known of."""
        if not time_ns.size:
            return time_ns.copy()
        return _spans(self, *_years_of(time_ns)).ids(time_ns)

    def ends(self, time_ns: Int64s) -> Int64s:
        """As of `Sessions`; every moment is known of."""
        if not time_ns.size:
            return time_ns.copy()
        return _spans(self, *_years_of(time_ns)).ends(time_ns)


def read_hours(text: str) -> tuple[int, int]:
    """When a session opens and closes, minutes since midnight, of `09:30-16:00`; raises CalendarError."""
    match = _SESSION.fullmatch(text.strip())
    if match is None:
        raise CalendarError("expected hours from and to, as 09:30-16:00")
    hours = [(int(match[place]), int(match[place + 1])) for place in (1, 3)]
    (opens, closes) = (60 * hour + minute for hour, minute in hours)
    if any(minute > 59 for _, minute in hours) or opens >= DAY_MINUTES or closes > DAY_MINUTES:
        raise CalendarError("expected hours of the clock from 00:00, up to 24:00 where a session closes")
    return opens, closes


def read_days(text: str) -> frozenset[int]:
    """Days of the week, 0 for Monday, from `Mon-Fri`, `Sun-Thu` or `Mon,Wed-Fri`; raises CalendarError."""
    days: set[int] = set()
    for part in text.split(","):
        first, _, last = (name.strip() for name in part.partition("-"))
        ends = [first, last or first]
        if unknown := [name for name in ends if name not in DAYS]:
            raise CalendarError(
                f"{unknown[0]!r} is no day of the week: expected days as Mon-Fri or Mon,Wed,Fri, of "
                f"{', '.join(DAYS)}"
            )
        begin, end = (DAYS.index(name) for name in ends)
        days |= {day % 7 for day in range(begin, (end if end >= begin else end + 7) + 1)}
    return frozenset(days)


def days_text(days: frozenset[int]) -> str:
    """Days of the week in one way of writing: `Mon-Fri`, `Mon,Wed-Fri`; a week that wraps begins late."""
    begins = [day for day in range(7) if day in days and (day - 1) % 7 not in days]
    runs = []
    for begin in begins:
        length = next(length for length in range(1, 8) if (begin + length) % 7 not in days)
        last = DAYS[(begin + length - 1) % 7]
        runs.append(DAYS[begin] if length == 1 else f"{DAYS[begin]}-{last}")
    return ",".join(runs) or "Mon-Sun"


def zone_of(name: str) -> ZoneInfo:
    """A time zone by its name; raises CalendarError where there is none."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # a folder's name, a path, and one that is not there
        raise CalendarError(
            f"{name!r} is no time zone that this machine knows: expected a name such as America/New_York, or "
            "UTC; if it is one, install the package tzdata"
        ) from None


def midnight_ns(day: date, timezone: str) -> int:
    """The first moment of a day (UTC ns) by the clocks of a zone."""
    return _first_moment_s(day, 0, zone_of(timezone)) * NS_PER_S


@lru_cache(maxsize=64)
def _spans(rule: DailySessions, *numbers: int) -> Spans:
    """The sessions of the days of these years, in order."""
    years = [_spans_of_year(rule, number) for number in numbers]
    return Spans(
        np.concatenate([year.start_ns for year in years]), np.concatenate([year.end_ns for year in years])
    )


@lru_cache(maxsize=YEARS_CACHED)
def _spans_of_year(rule: DailySessions, year: int) -> Spans:
    zone = zone_of(rule.timezone)
    nights = int(rule.closes <= rule.opens)
    first = date(year, 1, 1)
    bounds = []
    for number in range((date(year + 1, 1, 1) - first).days):
        day = first + timedelta(days=number)
        if day.weekday() not in rule.days:
            continue
        begin_s = _first_moment_s(day, rule.opens, zone)
        end_s = _first_moment_s(day + timedelta(days=nights), rule.closes, zone)
        if begin_s < end_s:  # a zone that crossed the date line has skipped a day
            bounds.append((begin_s, end_s))
    spans_ns = np.array(bounds, dtype=np.int64).reshape(-1, 2) * NS_PER_S
    return Spans(spans_ns[:, 0].copy(), spans_ns[:, 1].copy())


def _first_moment_s(day: date, minutes: int, zone: ZoneInfo) -> int:
    """The first moment (s since the epoch) at which the clocks show this hour of the day or a later one."""
    wall = datetime(day.year, day.month, day.day) + timedelta(minutes=minutes)  # noqa: DTZ001 - a wall's
    wall_s = (wall.replace(tzinfo=UTC) - _EPOCH) // _SECOND
    before_s, after_s = (_offset_s(wall.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    if before_s >= after_s:
        return wall_s - before_s
    # Skipped: the clocks go forward somewhere between, and show a later hour from that second on.
    lower, upper = wall_s - after_s, wall_s - before_s
    while lower < upper:
        middle = (lower + upper) // 2
        if _offset_s((_EPOCH + middle * _SECOND).astimezone(zone)) == before_s:
            lower = middle + 1
        else:
            upper = middle
    return lower


def _offset_s(moment: datetime) -> int:
    offset = moment.utcoffset()
    assert offset is not None, "the moment has a zone"
    return offset // _SECOND


def _years_of(time_ns: Int64s) -> list[int]:
    """The years whose days have sessions of these moments: two days are more than any zone and night take."""
    ends = [int(time_ns.min()) - _NEAR_NS, int(time_ns.max()) + _NEAR_NS]
    first, last = _years(np.array(ends)).tolist()
    if last - first < _YEARS_NEAR:
        return list(range(first, last + 1))
    # A row far from the others: the years between have no rows, and each takes some milliseconds.
    near = np.unique(_years(np.concatenate([time_ns - _NEAR_NS, time_ns + _NEAR_NS])))
    return [int(year) for year in near]


def _years(time_ns: Int64s) -> Int64s:
    return time_ns.view("datetime64[ns]").astype("datetime64[Y]").astype(np.int64) + 1970


def _hour(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
