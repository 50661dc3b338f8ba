"""Marks in the log of an input: from which offset on its rows of a time lie, without looking at the log.

A restart by another rule may need older rows than any commit asked for.  Rows do not come in the order of
their times, and a topic's record times need not be those of the rows; these marks are right whatever comes.
"""

from typing import Final, TypeAlias

from schemas.clocks import BEGINNING_NS, END_NS, NS_PER_MS, NS_PER_S

# (newest_ns, offset): no row that was taken from below the offset has a time beyond `newest_ns`.
Mark: TypeAlias = tuple[int, int]

MARKS_MAX: Final = (
    16  # from a tenth of a second to a year, each about three times as far back as the one before
)
_SPACING_NS: Final = 100 * NS_PER_MS
# An earlier version committed no marks; its rows are at most this much beyond watermark and grace.
_UNMARKED_NS: Final = 3_600 * NS_PER_S


class Marks:
    """A few marks, dense where the log is new and sparse where it is old; O(1) for each batch."""

    def __init__(self) -> None:
        self._marks: list[Mark] = []
        self._newest_ns = BEGINNING_NS

    def see(self, newest_ns: int, offset: int) -> None:
        """Rows up to `newest_ns` were taken, and no row at `offset` or beyond before them."""
        self._newest_ns = max(self._newest_ns, newest_ns)
        if not self._marks or self._newest_ns - self._marks[-1][0] >= _SPACING_NS:
            self._marks.append((self._newest_ns, offset))
            if len(self._marks) > MARKS_MAX:
                del self._marks[self._dispensable()]

    def committed(self, next_offset: int) -> tuple[Mark, ...]:
        """All marks, oldest first, the last of them at the end of what was read."""
        if self._newest_ns == BEGINNING_NS:
            return ()
        return (*self._marks[-MARKS_MAX + 1 :], (self._newest_ns, next_offset))

    def resume(self, marks: tuple[Mark, ...], newest_ns: int, next_offset: int) -> None:
        """Take up what was committed; `newest_ns` is an estimate of the newest time, for a commit without."""
        if not marks and next_offset > 0 and newest_ns > BEGINNING_NS:
            marks = ((min(newest_ns + _UNMARKED_NS, END_NS), next_offset),)
        self._marks = list(marks)
        self._newest_ns = marks[-1][0] if marks else BEGINNING_NS

    def _dispensable(self) -> int:
        """The mark between two others that lie closest together, as seen from the newest time."""
        marks, newest_ns = self._marks, self._newest_ns

        def ratio(at: int) -> float:
            return (newest_ns - marks[at - 1][0]) / (newest_ns - marks[at + 1][0] + _SPACING_NS)

        return min(range(1, len(marks) - 1), key=ratio)


def offset_before(marks: tuple[Mark, ...], oldest_ns: int) -> int | None:
    """The offset from which on every row of `oldest_ns` or newer lies; None where no mark says so."""
    return max((offset for newest_ns, offset in marks if newest_ns < oldest_ns), default=None)
