"""Labels over bars: the handbook's figures, and what is refused."""

import math

import numpy as np
import pytest

from gpu_sink.errors import SampleError
from gpu_sink.samples.bars import bar_concurrency, bar_uniqueness, return_weights, time_decay
from tests.oracles.features.handbook import F2

FIRST, LAST = [1, 2, 4, 6], [4, 3, 6, 7]
UNIQUENESS = [0.625, 0.5, 0.6666666667, 0.75]
RETURNS = [math.nan, *np.diff(np.log([price / 100 for price in F2.columns["price"] if price])).tolist()]


def test_bars_are_counted_as_the_handbook_does() -> None:
    assert bar_concurrency(FIRST, LAST, 8).tolist() == [0, 1, 2, 2, 2, 1, 2, 1]


def test_uniqueness_is_that_of_the_handbook() -> None:
    assert bar_uniqueness(FIRST, LAST) == pytest.approx(UNIQUENESS, abs=1e-10)


def test_return_weights_are_those_of_the_handbook() -> None:
    weights = return_weights(RETURNS, FIRST, LAST)
    assert weights == pytest.approx([0.85731017, 0.28575101, 1.4286408, 1.4282981], rel=1e-7)
    assert weights.mean() == pytest.approx(1.0)


def test_decay_is_that_of_the_handbook() -> None:
    half = time_decay(UNIQUENESS, 0.5)
    assert half == pytest.approx([0.6229508197, 0.7213114754, 0.8524590164, 1.0], abs=1e-10)
    assert time_decay(UNIQUENESS, -0.5) == pytest.approx([0.0, 0.0, 0.4098360656, 1.0], abs=1e-10)
    assert time_decay(UNIQUENESS, 1).tolist() == [1.0] * 4


def test_nothing_weighs_nothing() -> None:
    none = np.empty(0, np.int64)
    assert bar_concurrency(none, none, 2).tolist() == [0, 0]
    assert bar_uniqueness(none, none).tolist() == []
    assert return_weights([], none, none).tolist() == []
    assert time_decay([], 0.5).tolist() == []


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        ([2], [1], r"last_bar\[0\] is 1, before first_bar\[0\], 2"),
        ([0, 1], [1], "first_bar has 2, last_bar has 1"),
        ([-1], [1], "label 0 spans bars -1 to 1, and there are bars 0 to 3"),
        ([0], [4], "label 0 spans bars 0 to 4, and there are bars 0 to 3"),
        ([0.0], [1.0], "first_bar is float64"),
        ([[0]], [[1]], "first_bar is int64 of shape"),
    ],
)
def test_spans_that_are_none_are_refused(first: list[int], last: list[int], words: str) -> None:
    with pytest.raises(SampleError, match=words):
        bar_concurrency(first, last, 4)


def test_a_bar_without_a_return_is_refused_where_a_label_spans_it() -> None:
    with pytest.raises(SampleError, match=r"returns\[0\] is nan, and a label spans that bar"):
        return_weights(RETURNS, [0], [3])
    with pytest.raises(SampleError, match="add up to 0"):
        return_weights([0.0, 0.0], [0], [1])
    with pytest.raises(SampleError, match="give one for each bar"):
        return_weights(["a"], [0], [0])


@pytest.mark.parametrize("oldest", [-1.0, 1.5, math.nan])
def test_a_decay_that_is_none_is_refused(oldest: float) -> None:
    with pytest.raises(SampleError, match="oldest is"):
        time_decay([1.0], oldest)


def test_uniqueness_that_is_none_is_refused() -> None:
    with pytest.raises(SampleError, match=r"uniqueness\[1\] is -0.5"):
        time_decay([1.0, -0.5], 0.5)
    with pytest.raises(SampleError, match=r"uniqueness\[0\] is nan, one of 1"):
        time_decay([math.nan], 0.5)
    with pytest.raises(SampleError, match="all uniqueness is 0"):
        time_decay([0.0], 0.5)
