"""Bars of bars: which time bars can be put together to longer ones, so that none of them is cut."""

from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from math import gcd
from typing import Final

from operators.bars.settings import BarSettings
from operators.sessions.daily import zone_of
from schemas.clocks import NS_PER_DAY, NS_PER_S
from schemas.durations import duration_text

OWN: Final = ("price", "size", "direction", "where")  # formulas of trades
PLAIN: Final = BarSettings(every="time")
YEARS: Final = range(1970, 2038)  # whose clocks are looked at


def of_bars(bars: BarSettings, fine: BarSettings) -> tuple[BarSettings, BarSettings]:
    """The settings of bars of bars: of each its close and its volume are read.

    Those behind see the second ones, which say whether the trades had sides.
    """
    own = replace(bars, price="close", size="volume", direction="", where="")
    return own, replace(own, direction=fine.direction)


def misfit(bars: BarSettings, fine: BarSettings, name: str) -> tuple[str, str] | None:
    """Why longer bars cannot be put together of those of a node, and which setting is wrong; else None."""
    if fine.every != "time":
        return "from", f"{name} has bars of {fine.describe()}: longer bars are put together of time bars"
    if not bars.is_timed:
        why = (
            f"the rows of {name} are bars: of them longer ones of time are made, or make these of the trades"
        )
        return f"every.{bars.every}", why
    if any(getattr(bars, setting) != getattr(PLAIN, setting) for setting in OWN):
        return "from", f"price, size, side and where are of trades, and the rows of {name} are bars"
    if bars.in_sessions and not fine.in_sessions:
        why = f"the bars of {name} go on over the ends of sessions: write close_at_session_end = false"
        return "from", why
    if bars.every == "day" and not bars.is_of_calendar:
        return None
    if bars.is_of_calendar:
        step_ns, origin, setting = _midnight_step_ns(bars.timezone), "utc", "calendar"
    else:
        step_ns, origin, setting = bars.step_ns, bars.origin, "time_ns"
    if fine.origin != origin:
        why = (
            f'the bars of {name} have origin = "{fine.origin}", and here their grid is to be that of {origin}'
        )
        return "from", why
    if step_ns % fine.step_ns:
        what = duration_text(step_ns) if setting == "time_ns" else f"the days of {bars.timezone}"
        return f"every.{setting}", f"bars of {duration_text(fine.step_ns)} do not divide {what}"
    return None


@lru_cache(maxsize=64)
def _midnight_step_ns(timezone: str) -> int:
    """The longest step of a grid from the epoch on that every midnight of a zone is on."""
    zone = zone_of(timezone)
    moments = [datetime(year, month, 1, tzinfo=zone) for year in YEARS for month in range(1, 13)]
    offsets = [moment.utcoffset() for moment in moments]
    seconds = [int(offset.total_seconds()) for offset in offsets if offset is not None]
    return gcd(NS_PER_DAY, *(NS_PER_S * second for second in seconds))
