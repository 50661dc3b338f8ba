"""The last values of each group before every row: what a check may know of the past, and nothing more."""

from collections.abc import Iterator
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from schemas.batch import Bools, Int64s

Float64s: TypeAlias = npt.NDArray[np.float64]
ELEMENTS_MAX: Final = 2**20  # values looked at together: 8 MiB, twice with what is made of them


class Trailing:
    """Remembers the last `length` values of each group; any cut into batches gives the same windows."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._tails = np.full((0, length), np.nan)

    def windows(
        self, groups: Int64s, values: Float64s, wanted: Bools | None = None
    ) -> Iterator[tuple[Int64s, Float64s]]:
        """Take the next rows, and yield row numbers with a window for each: the values before that row.

        `values` have no NaN.  A window has `length` columns, oldest value first, NaN on the left where the
        group has had fewer.  Only rows that are `wanted` get one, and all must be read.
        """
        if groups.size == 0:
            return
        self._grow(int(groups.max()) + 1)
        order = np.argsort(groups, kind="stable")
        first = np.append(True, np.diff(groups[order]) != 0)
        number = np.cumsum(first) - 1  # of the group among those that are here
        present = groups[order][first]
        # Each group's remembered values stand before its new ones, in one long line.
        place = np.arange(groups.size) + (number + 1) * self._length
        line = np.empty(groups.size + present.size * self._length)
        line[place] = values[order]
        heads = place[first][:, None] + np.arange(-self._length, 0)
        line[heads] = self._tails[present]
        last = place[np.append(first[1:], True)]
        kept = np.arange(order.size) if wanted is None else np.flatnonzero(wanted[order])
        views = np.lib.stride_tricks.sliding_window_view(line, self._length)
        self._tails[present] = views[last - self._length + 1]
        step = max(ELEMENTS_MAX // self._length, 1)
        for lower in range(0, kept.size, step):
            some = kept[lower : lower + step]
            yield order[some], views[place[some] - self._length]

    def _grow(self, groups: int) -> None:
        if groups > len(self._tails):
            more = np.full((max(groups, 2 * len(self._tails)) - len(self._tails), self._length), np.nan)
            self._tails = np.concatenate([self._tails, more])


def medians(windows: Float64s) -> tuple[Float64s, Int64s]:
    """Return the median of each row of values and how many there are; NaN is no value, and none has NaN.

    Between two middle values it is the lower one and half of the difference (R36).
    """
    ordered = np.sort(windows, axis=1)  # NaN comes last
    counts = np.count_nonzero(~np.isnan(windows), axis=1)
    rows = np.arange(len(windows))
    lower = ordered[rows, np.maximum(counts - 1, 0) // 2]
    upper = ordered[rows, counts // 2]
    return np.where(counts % 2 == 1, lower, lower + (upper - lower) * 0.5), counts


def trimmed_moments(windows: Float64s, cut_one_in: int) -> tuple[Float64s, Float64s, Int64s]:
    """Return mean and standard deviation of each row of values without its ends, and how many there were.

    One value in `cut_one_in`, rounded down, goes at each end.  The deviation is that of n - 1, NaN below two
    values.  Whole numbers, such as ticks, are added up without an error.
    """
    ordered = np.sort(windows, axis=1)  # NaN comes last
    counts = np.count_nonzero(~np.isnan(windows), axis=1)
    cut = counts // cut_one_in
    size = (counts - 2 * cut).astype(np.float64)
    middle = ordered[np.arange(len(windows)), np.maximum(counts - 1, 0) // 2]
    total, squares = np.zeros(len(windows)), np.zeros(len(windows))
    for place in range(windows.shape[1]):  # one order of adding, however many rows there are
        inside = (place >= cut) & (place < counts - cut)
        value = np.where(inside, ordered[:, place] - middle, 0.0)
        total += value
        squares += value * value
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = middle + total / size
        deviation = np.sqrt(np.maximum(size * squares - total * total, 0.0) / (size * (size - 1.0)))
    return mean, deviation, counts
