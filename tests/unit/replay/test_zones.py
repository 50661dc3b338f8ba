"""The laws of calendar days in a zone."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from replay.errors import HistoryError
from replay.zones import day_end_ns, require_zone, wall_instants_ns

# Half hours, quarter hours, clocks changed at midnight itself, and a day that was left out.
DAYS = [
    ("UTC", date(2024, 1, 15)),
    ("Asia/Tokyo", date(2024, 1, 15)),
    ("America/New_York", date(2024, 3, 10)),
    ("America/New_York", date(2024, 11, 3)),
    ("Asia/Kathmandu", date(2024, 1, 15)),
    ("Asia/Kolkata", date(1971, 6, 1)),
    ("Australia/Lord_Howe", date(2024, 4, 7)),
    ("America/Havana", date(2024, 3, 9)),
    ("America/Havana", date(2024, 11, 2)),
    ("Africa/Cairo", date(2024, 4, 25)),
    ("Asia/Beirut", date(2024, 10, 26)),
    ("America/St_Johns", date(2010, 11, 6)),
    ("Pacific/Apia", date(2011, 12, 29)),
    ("Pacific/Apia", date(2011, 12, 30)),
    ("Pacific/Kiritimati", date(2024, 1, 15)),
]


def local_date(moment: datetime, zone: str) -> date:
    return moment.astimezone(ZoneInfo(zone)).date()


@pytest.mark.parametrize(("zone", "day"), DAYS)
def test_a_day_ends_at_the_first_moment_of_a_later_one(zone: str, day: date) -> None:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    minutes = [noon + timedelta(minutes=number) for number in range(-36 * 60, 36 * 60)]
    end = next(minute for minute in minutes if local_date(minute, zone) > day)
    assert day_end_ns(day, zone) == int(end.timestamp()) * 10**9
    assert local_date(end - timedelta(microseconds=1), zone) <= day


def test_wall_times_that_are_no_single_moment_are_told_from_those_that_are() -> None:
    walls = ["2024-01-15T12:00", "2024-03-10T02:30", "2024-11-03T01:30"]
    wall_ns = np.array(walls, dtype="datetime64[ns]").astype(np.int64) + 7
    instants, none = wall_instants_ns(wall_ns, "America/New_York")
    assert (none.tolist(), int(instants[0])) == ([1, 2], 1_705_338_000_000_000_007)


def test_what_is_no_zone_is_refused() -> None:
    require_zone("Europe/Paris")
    with pytest.raises(HistoryError, match="'Paris' is not a time zone"):
        require_zone("Paris")
