"""Weights and splits of overlapping labels are those of the slow definitions, and a split never leaks."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gpu_sink.errors import SampleError
from gpu_sink.samples.bars import bar_concurrency, bar_uniqueness, return_weights, time_decay
from gpu_sink.samples.folds import PurgedKFold, purged
from gpu_sink.samples.leaks import require_no_leak
from gpu_sink.samples.moments import time_uniqueness
from tests.oracles.samples import (
    folds_slowly,
    labels_of_bars,
    own_returns,
    trains_slowly,
    uniqueness_of_bars,
    uniqueness_of_time,
)

Spans = list[tuple[int, int]]
Array = npt.NDArray[Any]
spans = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 12)).map(lambda one: (one[0], one[0] + one[1])),
    min_size=1,
    max_size=25,
)


def sides(of: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    return [start for start, _ in of], [end for _, end in of]


@given(spans, st.integers(0, 5))
def test_labels_over_bars_have_the_bits_of_the_definition(of: Spans, more: int) -> None:
    first, last = sides(of)
    bars = max(last) + 1 + more
    assert bar_concurrency(first, last, bars).tolist() == labels_of_bars(of, bars)
    assert bar_uniqueness(first, last).tolist() == uniqueness_of_bars(of)


@given(spans)
def test_labels_over_time_have_the_bits_of_the_definition(of: Spans) -> None:
    assert time_uniqueness(*sides(of)).tolist() == uniqueness_of_time(of)


@given(spans, st.data())
def test_return_weights_are_the_own_returns_with_mean_one(of: Spans, data: st.DataObject) -> None:
    first, last = sides(of)
    bars = max(last) + 1
    returns = data.draw(st.lists(st.floats(-0.1, 0.1), min_size=bars, max_size=bars))
    own = own_returns(returns, of)
    assume(math.fsum(own) > 1e-300)
    mean = math.fsum(own) / len(own)
    assert return_weights(returns, first, last).tolist() == [weight / mean for weight in own]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(-0.99, 1))
def test_decay_rises_to_one(uniqueness: list[float], oldest: float) -> None:
    assume(math.fsum(uniqueness) > 0)
    weights = time_decay(uniqueness, oldest)
    assert weights[-1] == 1.0
    assert (np.diff(weights) >= 0).all()
    assert weights.min() >= max(oldest, 0.0) - 1e-12


@given(spans, st.integers(2, 6), st.integers(0, 6), st.integers(0, 4))
def test_folds_and_what_trains_are_those_of_the_definition(
    of: Spans, n_splits: int, embargo_ns: int, embargo_rows: int
) -> None:
    start, end = sides(of)
    embargo = {"embargo_ns": embargo_ns} if embargo_ns else {"embargo_rows": embargo_rows}
    expected = folds_slowly(start, n_splits)
    if not all(expected):
        with pytest.raises(SampleError, match="has no sample"):
            PurgedKFold(n_splits, start, end, **embargo)
        return
    folds = PurgedKFold(n_splits, start, end, **embargo)
    splits = folds.split(start)
    for fold in expected:
        trains = trains_slowly(of, fold, embargo_ns, 0 if embargo_ns else embargo_rows)
        assert np.flatnonzero(purged(start, end, fold, **embargo)).tolist() == trains
        if not trains:
            with pytest.raises(SampleError, match="nothing trains"):
                next(splits)
            return
        train, test = next(splits)
        assert (train.tolist(), test.tolist()) == (trains, sorted(fold))
    assert next(splits, None) is None


LENGTH, LOOK_BACK, HORIZON = 120, 5, 7
scenes = st.tuples(
    st.lists(st.integers(LOOK_BACK, LENGTH - HORIZON - 1), min_size=20, max_size=60),
    st.integers(2, 5),
    st.integers(0, 2**32),
)


def features_and_labels(prices: Array, start: Array, length: Array) -> Array:
    """Of each sample: the mean of prices over (t - LOOK_BACK, t], and the return over its own horizon."""
    looked_back = [prices[t - LOOK_BACK + 1 : t + 1].mean() for t in start]
    looked_ahead = [prices[t + h] / prices[t] for t, h in zip(start, length, strict=True)]
    return np.array([looked_back, looked_ahead])


def leaks(splits: Iterator[tuple[Array, Array]], starts: list[int], seed: int) -> bool:
    """Whether other prices over what a fold's labels hang on change anything of what trains beside it."""
    draw = np.random.default_rng(seed)
    start = np.array(starts)
    length = draw.integers(0, HORIZON + 1, len(start))
    prices = draw.uniform(90, 110, LENGTH)
    clean = features_and_labels(prices, start, length)
    for train, test in splits:
        poisoned = prices.copy()
        hull = slice(start[test].min(), (start[test] + length[test]).max() + 1)
        poisoned[hull] = draw.uniform(900, 1100, len(poisoned[hull]))
        if (features_and_labels(poisoned, start, length)[:, train] != clean[:, train]).any():
            return True
    return False


def purged_splits(
    starts: list[int], n_splits: int, seed: int, embargo_ns: int
) -> Iterator[tuple[Array, Array]]:
    start = np.array(starts)
    np_draw = np.random.default_rng(seed)
    end = start + np_draw.integers(0, HORIZON + 1, len(start))
    try:
        yield from PurgedKFold(n_splits, start, end, embargo_ns=embargo_ns).split(start)
    except SampleError:  # no fold, or nothing beside one: nothing leaks
        return


@given(scenes)
def test_a_split_never_leaks(scene: tuple[list[int], int, int]) -> None:
    starts, n_splits, seed = scene
    assert not leaks(purged_splits(starts, n_splits, seed, embargo_ns=LOOK_BACK), starts, seed)


def test_a_split_that_leaks_is_seen() -> None:
    starts = list(range(LOOK_BACK, LENGTH - HORIZON))
    places = np.arange(len(starts))
    folds = np.array_split(places, 4)
    plain = ((np.setdiff1d(places, fold), fold) for fold in folds)
    assert leaks(plain, starts, seed=1)
    assert leaks(purged_splits(starts, 4, seed=1, embargo_ns=0), starts, seed=1)  # features look back


@given(spans, st.data(), st.integers(0, 3))
def test_a_split_is_refused_where_poison_over_what_is_tested_reaches_what_trains(
    of: Spans, data: st.DataObject, embargo_ns: int
) -> None:
    start, end = sides(of)
    sides_of = data.draw(
        st.lists(st.sampled_from(["train", "test", "none"]), min_size=len(of), max_size=len(of))
    )
    train, test = ([n for n, side in enumerate(sides_of) if side == name] for name in ("train", "test"))
    assume(train and test)
    prices = np.zeros(max(end) + embargo_ns + 1)
    for n in test:
        prices[start[n] : end[n] + embargo_ns + 1] = math.nan
    hit = [n for n in train if np.isnan(prices[start[n] : end[n] + 1]).any()]
    if not hit:
        assert require_no_leak([(train, test)], start, end, embargo_ns=embargo_ns) == 1
        return
    with pytest.raises(
        SampleError, match=f"split 0 leaks: sample {hit[0]} trains .* {len(hit)} of {len(train)} "
    ):
        require_no_leak([(train, test)], start, end, embargo_ns=embargo_ns)
