"""Which session each moment is of: what all kinds of sessions have in common, and the days of UTC."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np

from operators.sessions.meaning import digest
from schemas.batch import Int64s
from schemas.clocks import NS_PER_DAY

DAYS_BACK: Final = 400  # more than any market has been closed
OUTSIDE: Final = -1  # the id of no session: all begin on whole seconds


class CalendarError(ValueError):
    """Sessions that cannot be, or that nobody knows for the time of a row; the message says which."""


class Sessions(Protocol):
    """Sessions of a venue: never overlapping, each from a moment on until before another.

    The id of a session is the moment at which it begins (int64, UTC ns): it goes up with time, and hangs on
    no other session, so that days added to either end of a calendar number nothing anew.
    """

    @property
    def meaning(self) -> str:
        """16 hex digits that are equal where the sessions are the same."""

    def describe(self) -> str:
        """The sessions in a few words, as a person would name them."""

    def ids(self, time_ns: Int64s) -> Int64s:
        """The id of each moment's session (int64, as many), `OUTSIDE` where it is of none.

        Raises CalendarError for moments of which nobody knows.
        """

    def ends(self, time_ns: Int64s) -> Int64s:
        """The end of each moment's session (int64 ns, exclusive), `OUTSIDE` where it is of none.

        Raises CalendarError for moments of which nobody knows.
        """


class Spans(NamedTuple):
    """Sessions in order of time, none overlapping another: int64 UTC ns, `end_ns` exclusive."""

    start_ns: Int64s
    end_ns: Int64s

    def ids(self, time_ns: Int64s) -> Int64s:
        """The id of each moment's session, `OUTSIDE` for one in none of these."""
        return self._of(time_ns, self.start_ns)

    def ends(self, time_ns: Int64s) -> Int64s:
        """The end of each moment's session, `OUTSIDE` for one in none of these."""
        return self._of(time_ns, self.end_ns)

    def _of(self, time_ns: Int64s, values: Int64s) -> Int64s:
        """The value of each moment's session."""
        if not time_ns.size or not self.start_ns.size:
            return np.full(time_ns.size, OUTSIDE, dtype=np.int64)
        ends = np.array([time_ns.min(), time_ns.max()])
        first, last = (np.searchsorted(self.start_ns, ends, side="right") - 1).tolist()
        if first == last >= 0:  # a batch mostly lies in one session, and needs no search for each row
            return np.where(time_ns < self.end_ns[first], values[first], OUTSIDE)
        near = slice(max(first, 0), last + 1)
        start_ns, end_ns, values = self.start_ns[near], self.end_ns[near], values[near]
        if not start_ns.size:  # all before the first session
            return np.full(time_ns.size, OUTSIDE, dtype=np.int64)
        place = np.searchsorted(start_ns, time_ns, side="right") - 1
        inside = (place >= 0) & (time_ns < end_ns[place])
        return np.where(inside, values[place], OUTSIDE)


@dataclass(frozen=True, slots=True)
class UtcDays:
    """A session a day of UTC, without end: of a market that never closes, and of a graph that names none."""

    @property
    def meaning(self) -> str:
        """As of `Sessions`."""
        return digest("days of UTC")

    def describe(self) -> str:
        """As of `Sessions`."""
        return "days of UTC"

    def ids(self, time_ns: Int64s) -> Int64s:
        """As of `Sessions`; no moment is outside."""
        if time_ns.size:  # a batch mostly lies in one day, and needs no division for each row
            first, last = (int(moment) // NS_PER_DAY for moment in (time_ns.min(), time_ns.max()))
            if first == last:
                return np.full(time_ns.size, first * NS_PER_DAY, dtype=np.int64)
        return time_ns - time_ns % NS_PER_DAY

    def ends(self, time_ns: Int64s) -> Int64s:
        """As of `Sessions`."""
        return self.ids(time_ns) + NS_PER_DAY


DAYS_OF_UTC: Final = UtcDays()


def ids_if_known(ids: Callable[[Int64s], Int64s], time_ns: Int64s) -> Int64s:
    """The id of each moment's session (int64), `OUTSIDE` too for a moment of which nobody knows.

    `ids` is that of `Sessions`.  For moments that no row came with, such as the end of a bar or of a label.
    """
    try:
        return ids(time_ns)
    except CalendarError:
        moments, places = np.unique(time_ns, return_inverse=True)
        return np.array([_id_if_known(ids, moment) for moment in moments], np.int64)[places]


def _id_if_known(ids: Callable[[Int64s], Int64s], moment_ns: np.int64) -> int:
    try:
        return int(ids(np.array([moment_ns]))[0])
    except CalendarError:
        return OUTSIDE


def started_by(sessions: Sessions, time_ns: int) -> int:
    """The start of the last session that began by a time, or that of an earlier one.

    Sessions shorter than an hour may be passed over.  Where none is known within `DAYS_BACK`, or back to
    where the calendar begins, it is the earliest time that was asked for.
    """
    moment_ns = time_ns
    for moment_ns in range(time_ns, time_ns - DAYS_BACK * NS_PER_DAY, -NS_PER_DAY // 24):
        try:
            session = int(sessions.ids(np.array([moment_ns], np.int64))[0])
        except CalendarError:
            return moment_ns
        if session != OUTSIDE:
            return session
    return moment_ns
