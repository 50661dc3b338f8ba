"""Splits of samples whose labels look ahead: what trains hangs on nothing of what is tested."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from gpu_sink.errors import SampleError
from gpu_sink.samples.arguments import Int64s, moments, same_length, spans

Places = npt.NDArray[np.intp]


def purged(
    start_ns: Any, info_end_ns: Any, test: Any, *, embargo_ns: int = 0, embargo_rows: int = 0
) -> npt.NDArray[np.bool_]:
    """Which samples may train beside a test fold, bool [samples] (L14, L15 of the formulas' handbook).

    `start_ns`      [samples]: the moment of each sample's event.
    `info_end_ns`   [samples]: the last moment that its label hangs on.
    `test`          the fold: bool [samples], or the places of its samples.
    `embargo_ns`    how long after the fold no sample trains: as long as features look back.
    `embargo_rows`  instead of that, how many samples after it do not, with all others of the last one's time.

    The fold reaches from its first start to its last end.  A sample trains that ends before it, or starts
    after it and the embargo; both ends belong to the fold.  Raises SampleError.
    """
    start, info_end = _samples(start_ns, info_end_ns)
    _refuse_embargo(embargo_ns, embargo_rows)
    fold = np.zeros(len(start), np.bool_)
    chosen = np.asarray(test)
    if chosen.dtype.kind == "b":
        same_length({"test": chosen, "start_ns": start})
    elif chosen.size and (chosen.dtype.kind not in "iu" or chosen.min() < 0 or chosen.max() >= len(start)):
        raise SampleError(f"test names samples 0 to {len(start) - 1:,} by their places, or is a mask of them")
    fold[chosen if chosen.size else []] = True
    if not fold.any():
        raise SampleError("test has no sample")
    return _kept(start, info_end, fold, embargo_ns, embargo_rows)


class PurgedKFold:
    """Folds in order of time, each tested once by what ends before it or starts well after it (L16).

    What scikit-learn takes as `cv`, `cross_val_score(model, X, y, cv=PurgedKFold(...))`: row i of X is
    sample i, in any order.  Samples of several symbols share one axis of time.
    """

    def __init__(
        self,
        n_splits: int,
        start_ns: Any,
        info_end_ns: Any,
        *,
        embargo_ns: int = 0,
        embargo_rows: int = 0,
    ) -> None:
        """`n_splits` folds, 2 at least, over samples as `purged` takes them.

        The samples are cut, in order of time, into folds of equal size, the first ones one larger; a cut
        between samples of one time moves behind them.  Raises SampleError, also where a fold would be empty.
        """
        self.n_splits = n_splits
        self.start_ns, self.info_end_ns = _samples(start_ns, info_end_ns)
        _refuse_embargo(embargo_ns, embargo_rows)
        self.embargo_ns, self.embargo_rows = embargo_ns, embargo_rows
        self._folds = _folds(self.start_ns, n_splits)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: N803 (its callers')
        """How many folds; the arguments count for nothing, since scikit-learn hands them in."""
        return self.n_splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Places, Places]]:  # noqa: N803
        """Yield the places of what trains and of what is tested, each ascending, fold after fold.

        `y` and `groups` count for nothing.  Raises SampleError where X has another number of rows, and where
        nothing is left to train beside a fold.
        """
        rows = X.shape[0] if hasattr(X, "shape") else len(X)
        if rows != len(self.start_ns):
            raise SampleError(
                f"X has {rows:,} rows, start_ns has {len(self.start_ns):,}: row i of X is sample i"
            )
        for number, test in enumerate(self._folds):
            fold = np.zeros(rows, np.bool_)
            fold[test] = True
            kept = _kept(self.start_ns, self.info_end_ns, fold, self.embargo_ns, self.embargo_rows)
            if not kept.any():
                raise SampleError(
                    f"nothing trains beside fold {number}: every other label overlaps it or lies in its"
                    " embargo; take fewer folds, shorter labels or a shorter embargo"
                )
            yield np.flatnonzero(kept), np.flatnonzero(fold)


def _samples(start_ns: Any, info_end_ns: Any) -> tuple[Int64s, Int64s]:
    start, info_end = moments("start_ns", start_ns), moments("info_end_ns", info_end_ns)
    spans(("start_ns", "info_end_ns"), start, info_end)
    return start, info_end


def _refuse_embargo(embargo_ns: Any, embargo_rows: Any) -> None:
    for name, value in (("embargo_ns", embargo_ns), ("embargo_rows", embargo_rows)):
        if not isinstance(value, int | np.integer) or value < 0:
            raise SampleError(f"{name} is {value!r}: give a whole number, 0 for none")
    if embargo_ns and embargo_rows:
        raise SampleError("embargo_ns and embargo_rows are two ways to say one thing: give one of them")


def _folds(start: Int64s, n_splits: Any) -> list[Places]:
    """The places of each fold's samples, in order of time."""
    if not isinstance(n_splits, int | np.integer) or n_splits < 2:
        raise SampleError(f"n_splits is {n_splits!r}: give 2 folds at least")
    order = np.argsort(start, kind="stable")
    sorted_ns = start[order]
    size, larger = divmod(len(start), n_splits)
    cuts = np.cumsum([size + (number < larger) for number in range(n_splits)])[:-1]
    moved = [int(np.searchsorted(sorted_ns, sorted_ns[cut - 1], side="right")) if cut else 0 for cut in cuts]
    folds = np.split(order, moved)
    for number, fold in enumerate(folds):
        if not len(fold):
            raise SampleError(
                f"fold {number} of {n_splits} has no sample: there are {len(start):,}, and those of one time"
                " stay together; take fewer folds"
            )
    return folds


def _kept(
    start: Int64s, info_end: Int64s, fold: npt.NDArray[np.bool_], embargo_ns: int, embargo_rows: int
) -> npt.NDArray[np.bool_]:
    lower, upper = int(start[fold].min()), int(info_end[fold].max())
    upper = min(upper + int(embargo_ns), int(np.iinfo(np.int64).max))
    if embargo_rows:
        after = np.sort(start[start > upper])
        if len(after):
            upper = int(after[min(int(embargo_rows), len(after)) - 1])
    kept: npt.NDArray[np.bool_] = (info_end < lower) | (start > upper)
    return kept
