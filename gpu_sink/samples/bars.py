"""Labels over bars: how many share each bar, and what a label weighs for that."""

import math
from typing import Any

import numpy as np

from gpu_sink.errors import SampleError
from gpu_sink.samples.arguments import Float64s, Int64s, numbers, places, same_length, spans
from gpu_sink.samples.ragged import stretch_sums


def bar_concurrency(first_bar: Any, last_bar: Any, bars: int) -> Int64s:
    """How many labels span each bar: int64 [bars] (L10 of the formulas' handbook).

    `first_bar`, `last_bar`  [labels]: the bars that each label spans, both among them, counted from 0.
    `bars`                   how many bars there are.

    Raises SampleError for a label that ends before it begins or lies outside of the bars.
    """
    return _concurrency(*_bar_spans(first_bar, last_bar, bars), bars)


def bar_uniqueness(first_bar: Any, last_bar: Any) -> Float64s:
    """How much of each label is its own: the mean over its bars of 1 / concurrency, float64 [labels] (L10).

    `first_bar`, `last_bar`  [labels]: the bars that each label spans, both among them, counted from 0.

    The quotients are added in four lanes, in order of time, and divided by their number.  Raises SampleError
    for a label that ends before it begins.
    """
    last = places("last_bar", last_bar)
    bars = int(last.max(initial=-1)) + 1
    first, last = _bar_spans(first_bar, last, bars)
    lengths = last - first + 1
    with np.errstate(divide="ignore"):  # a bar that no label spans is in no sum
        shares = 1.0 / _concurrency(first, last, bars)
    return stretch_sums(shares, first, lengths) / lengths


def return_weights(returns: Any, first_bar: Any, last_bar: Any) -> Float64s:
    """What each label weighs by the returns that are its own, float64 [labels] with mean 1 (L12).

    `returns`                [bars]: the log return of each bar, against the bar before it.
    `first_bar`, `last_bar`  [labels]: the bars that each label spans, both among them, counted from 0.

    The weight is the absolute sum over its bars of return / concurrency, in four lanes in order of time.
    Raises SampleError for a bar without a return that a label spans, and where all weights would be 0.
    """
    of_bars = np.asarray(returns)
    if of_bars.ndim != 1 or of_bars.dtype.kind not in "iuf":
        raise SampleError(f"returns is {of_bars.dtype} of shape {of_bars.shape}: give one for each bar")
    first, last = _bar_spans(first_bar, last_bar, len(of_bars))
    concurrency = _concurrency(first, last, len(of_bars))
    spanned = concurrency > 0
    shares = np.zeros(len(of_bars))
    shares[spanned] = of_bars[spanned].astype(np.float64) / concurrency[spanned]
    bad = np.flatnonzero(~np.isfinite(shares))
    if bad.size:
        raise SampleError(
            f"returns[{bad[0]}] is {of_bars[bad[0]]}, and a label spans that bar: the first bar of a history"
            " has no return, leave out labels that begin with it"
        )
    weights = np.abs(stretch_sums(shares, first, last - first + 1))
    if not len(weights):
        return weights
    mean = math.fsum(weights) / len(weights)
    if mean == 0.0:
        raise SampleError("the returns of every label add up to 0: there is nothing to weigh them by")
    return weights / mean


def time_decay(uniqueness: Any, oldest: float) -> Float64s:
    """What each label weighs for its age, float64 [labels]: 1 for the newest, falling linearly (L13).

    `uniqueness`  [labels]: in order of time; age is the uniqueness that came since.
    `oldest`      from 0 to 1: the weight at the beginning, 1 for no decay; from -1 to 0, -1 not among them:
                  that share of all uniqueness, at the beginning, weighs nothing.

    Raises SampleError for another `oldest`, a negative uniqueness, and where all of it is 0.
    """
    if not -1.0 < oldest <= 1.0:
        raise SampleError(f"oldest is {oldest}: give more than -1, and 1 at most")
    shares = numbers("uniqueness", uniqueness)
    negative = np.flatnonzero(shares < 0)
    if negative.size:
        raise SampleError(f"uniqueness[{negative[0]}] is {shares[negative[0]]}: it lies from 0 to 1")
    if not len(shares):
        return shares
    passed = np.cumsum(shares)  # one after another, in order of time
    if passed[-1] == 0.0:
        raise SampleError("all uniqueness is 0: there is no age to weigh by")
    left = 1.0 - passed / passed[-1]
    weights: Float64s = 1.0 - (1.0 - oldest) * left
    return weights if oldest >= 0 else np.maximum(0.0, 1.0 - left / (1.0 + oldest))


def _bar_spans(first_bar: Any, last_bar: Any, bars: int) -> tuple[Int64s, Int64s]:
    first, last = places("first_bar", first_bar), places("last_bar", last_bar)
    same_length({"first_bar": first, "last_bar": last})
    spans(("first_bar", "last_bar"), first, last)
    outside = np.flatnonzero((first < 0) | (last >= bars))
    if outside.size:
        row = outside[0]
        raise SampleError(
            f"label {row} spans bars {first[row]:,} to {last[row]:,}, and there are bars 0 to {bars - 1:,}"
        )
    return first, last


def _concurrency(first: Int64s, last: Int64s, bars: int) -> Int64s:
    changes = np.bincount(first, minlength=bars + 1)[: bars + 1].astype(np.int64)
    changes -= np.bincount(last + 1, minlength=bars + 1)[: bars + 1]
    return np.cumsum(changes)[:bars]
