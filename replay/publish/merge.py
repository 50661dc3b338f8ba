"""k streams in time order: how far each comes when the next so many rows of them all are taken."""

from collections.abc import Sequence

import numpy as np

from schemas.batch import Int64s


def merge_upto(
    times_ns: Sequence[Int64s], starts: Sequence[int], rows_max: int, below_ns: int | None = None
) -> list[int]:
    """Return where each stream stands after the next `rows_max` rows of the merged sequence.

    `times_ns` holds each stream's times, never falling; `starts` where each stands now.  Rows of equal time
    come in the streams' order, and inside a stream in its own.  With `below_ns`, rows at or beyond it wait.
    Only the next `rows_max` times of each stream are looked at: a day is never sorted as a whole.
    """
    assert rows_max > 0
    nexts = []
    for times, start in zip(times_ns, starts, strict=True):
        following = times[start : start + rows_max]
        if below_ns is not None:
            following = following[: np.searchsorted(following, below_ns)]
        nexts.append(following)
    sizes = [following.size for following in nexts]
    if sum(sizes) <= rows_max:
        taken = sizes
    else:
        source = np.repeat(np.arange(len(nexts)), sizes)
        first = np.argsort(np.concatenate(nexts), kind="stable")[:rows_max]
        taken = np.bincount(source[first], minlength=len(nexts)).tolist()
    return [start + count for start, count in zip(starts, taken, strict=True)]
