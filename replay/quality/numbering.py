"""Numbers that a source counts its rows by: what is missing, came twice, or came after all (D1)."""

from bisect import bisect_right, insort
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from schemas.batch import Int64s

RANGES_MAX: Final = 1_024  # missing ranges remembered of each group; beyond it the oldest is given up


class NumberGap(NamedTuple):
    """Numbers of a group that were passed over, first to last, and the row that showed it."""

    group: int
    first: int
    last: int
    row: int


@dataclass(slots=True)
class NumberCounts:
    """What the numbers of a stream say.

    `missing` are numbers passed over and not come since, `filled` those that came after all, `duplicates`
    rows whose number had been there, `given_up` ranges that were too many to remember, whose late rows count
    as duplicates.
    """

    gaps: int = 0
    missing: int = 0
    filled: int = 0
    duplicates: int = 0
    given_up: int = 0


class Numbering:
    """Follows the numbers of each group, which go up by one from its first row on."""

    def __init__(self, ranges_max: int = RANGES_MAX) -> None:
        self._ranges_max = ranges_max
        self._highest: dict[int, int] = {}
        self._missing: dict[int, list[tuple[int, int]]] = {}  # first and last, in order
        self.counts = NumberCounts()

    def take(self, groups: Int64s, numbers: Int64s) -> list[NumberGap]:
        """Take the next rows, and return the gaps they show; rows are numbered within these."""
        gaps: list[NumberGap] = []
        if groups.size == 0:
            return gaps
        order = np.argsort(groups, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
            group, own = int(groups[rows[0]]), numbers[rows]
            before = self._highest.get(group, int(own[0]) - 1)
            steps = np.diff(own, prepend=before)
            wrong = np.flatnonzero(steps != 1)
            good = own.size if wrong.size == 0 else int(wrong[0])
            self._highest[group] = before + good
            for row, number in zip(rows[good:].tolist(), own[good:].tolist(), strict=True):
                self._take_one(group, number, row, gaps)
        gaps.sort(key=lambda gap: gap.row)
        return gaps

    def _take_one(self, group: int, number: int, row: int, gaps: list[NumberGap]) -> None:
        expected = self._highest[group] + 1
        if number < expected:
            self._fill(group, number)
            return
        self._highest[group] = number
        if number > expected:
            gap = NumberGap(group, expected, number - 1, row)
            gaps.append(gap)
            self.counts.gaps += 1
            self.counts.missing += number - expected
            ranges = self._missing.setdefault(group, [])
            ranges.append((gap.first, gap.last))
            self._bound(ranges)

    def _fill(self, group: int, number: int) -> None:
        """Take a number that is not above the highest: one that was missing, or one that was there."""
        ranges = self._missing.get(group, [])
        place = bisect_right(ranges, number, key=lambda span: span[0]) - 1
        if place < 0 or ranges[place][1] < number:
            self.counts.duplicates += 1
            return
        first, last = ranges.pop(place)
        for span in ((first, number - 1), (number + 1, last)):
            if span[0] <= span[1]:
                insort(ranges, span)
        self._bound(ranges)
        self.counts.filled += 1
        self.counts.missing -= 1

    def _bound(self, ranges: list[tuple[int, int]]) -> None:
        if len(ranges) > self._ranges_max:
            del ranges[0]
            self.counts.given_up += 1
