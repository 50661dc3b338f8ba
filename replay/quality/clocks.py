"""How far the clocks of rows lie apart, and how long nothing came: counted, in bounded memory."""

from collections import Counter
from itertools import accumulate
from typing import Final

import numpy as np

from replay.quality.trailing import Trailing, medians
from schemas.batch import Int64s
from schemas.clocks import BEGINNING_NS, NS_PER_S

DIGITS: Final = 8  # binary digits of a distance that are kept: it is under 1 in 128 nearer to 0 than it was
GAP_ROWS: Final = 50
GAPS_MIN: Final = 10
SILENCE_GAPS_MAX: Final = 100.0  # times the usual gap
SILENCE_NS_MIN: Final = 60 * NS_PER_S


class Distances:
    """Distances of two clocks by their leading binary digits: some thousands of counts, whatever the rows."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.negative = 0

    def add(self, distances_ns: Int64s) -> None:
        """Count more of them."""
        self.negative += int(np.count_nonzero(distances_ns < 0))
        values, counts = np.unique(rounded(distances_ns), return_counts=True)
        self._counts.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))

    @property
    def count(self) -> int:
        """How many there were."""
        return self._counts.total()

    def quantile_ns(self, share: float) -> int:
        """The least distance that a share of all, which are one or more, does not exceed."""
        values = sorted(self._counts)
        passed = accumulate(self._counts[value] for value in values)
        wanted = share * self.count
        return next(value for value, count in zip(values, passed, strict=True) if count >= wanted)


def rounded(distances_ns: Int64s) -> Int64s:
    """Return distances with all but their leading binary digits set to 0, so nearer to 0."""
    size = np.abs(distances_ns)
    _, length = np.frexp(size.astype(np.float64))
    shift = np.maximum(length - DIGITS, 0)
    kept: Int64s = np.sign(distances_ns) * ((size >> shift) << shift)
    return kept


class Silences:
    """Counts stretches without a row that are far longer than the group's usual gap before them.

    A silence is longer than a minute and than 100 times the median of the last 50 gaps, of which there must
    be 10; it is one when it ends, so nothing that comes later is asked.
    """

    def __init__(self) -> None:
        self._last_ns = np.empty(0, np.int64)
        self._gaps = Trailing(GAP_ROWS)
        self.count = 0
        self.longest_ns = 0

    def add(self, groups: Int64s, times_ns: Int64s) -> None:
        """Take the next rows, whose times do not fall."""
        if groups.size == 0:
            return
        gaps_ns, known = self._gaps_of(groups, times_ns)
        of_known, groups = gaps_ns[known], groups[known]
        long = of_known > SILENCE_NS_MIN
        for rows, windows in self._gaps.windows(groups, of_known.astype(np.float64), long):
            usual, counts = medians(windows)
            silent = (of_known[rows] > SILENCE_GAPS_MAX * usual) & (counts >= GAPS_MIN)
            self.count += int(np.count_nonzero(silent))
            self.longest_ns = max(self.longest_ns, int(of_known[rows[silent]].max(initial=0)))

    def _gaps_of(self, groups: Int64s, times_ns: Int64s) -> tuple[Int64s, Int64s]:
        """The time since the group's row before, and the numbers of rows that have one."""
        missing = int(groups.max()) + 1 - self._last_ns.size
        if missing > 0:
            self._last_ns = np.append(self._last_ns, np.full(missing, BEGINNING_NS))
        order = np.argsort(groups, kind="stable")
        own, ordered = groups[order], times_ns[order]
        first = np.append(True, np.diff(own) != 0)
        before = np.append(BEGINNING_NS, ordered[:-1])
        before[first] = self._last_ns[own[first]]
        self._last_ns[own[np.append(first[1:], True)]] = ordered[np.append(first[1:], True)]
        there = before != BEGINNING_NS
        gaps_ns = np.zeros(groups.size, np.int64)
        gaps_ns[order[there]] = ordered[there] - before[there]
        return gaps_ns, np.sort(order[there])
