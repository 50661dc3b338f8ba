"""Purged folds: the handbook's split, how scikit-learn calls them, and what is refused."""

import copy
from typing import Any

import numpy as np
import pytest

from gpu_sink.errors import SampleError
from gpu_sink.samples.folds import PurgedKFold, purged

START = np.arange(1, 9)
X = np.zeros((8, 1))


def trained(folds: PurgedKFold, rows: Any = X) -> list[list[int]]:
    """What trains beside each fold, by the start of its samples."""
    return [folds.start_ns[train].tolist() for train, _ in folds.split(rows)]


def test_the_split_is_that_of_the_handbook() -> None:
    folds = PurgedKFold(4, START, START + 2, embargo_ns=1)
    assert trained(folds) == [[6, 7, 8], [8], [1, 2], [1, 2, 3, 4]]
    assert [test.tolist() for _, test in folds.split(X)] == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_without_an_embargo_what_starts_right_after_the_fold_trains() -> None:
    assert trained(PurgedKFold(4, START, START + 2)) == [[5, 6, 7, 8], [7, 8], [1, 2], [1, 2, 3, 4]]


def test_an_embargo_in_rows_leaves_out_the_first_ones_behind_the_fold_and_others_of_that_time() -> None:
    assert trained(PurgedKFold(4, START, START + 2, embargo_rows=1)) == [
        [6, 7, 8],
        [8],
        [1, 2],
        [1, 2, 3, 4],
    ]
    start = np.array([1, 5, 5, 6])
    assert purged(start, start, [0], embargo_rows=1).tolist() == [False, False, False, True]


def test_the_first_folds_are_one_larger_and_samples_of_one_time_stay_together() -> None:
    start = np.array([3, 1, 1, 1, 2, 4, 4])  # in no order: three folds of 3, 2, 2
    tests = [test.tolist() for _, test in PurgedKFold(3, start, start).split(np.zeros(7))]
    assert tests == [[1, 2, 3], [0, 4], [5, 6]]
    tied = np.array([1, 1, 1, 2, 2, 2])  # cut at 3; with a fourth 1 it would move
    assert [test.tolist() for _, test in PurgedKFold(2, tied, tied).split(tied)] == [[0, 1, 2], [3, 4, 5]]
    moved = np.array([1, 1, 1, 1, 2, 2])
    assert [test.tolist() for _, test in PurgedKFold(2, moved, moved).split(moved)] == [[0, 1, 2, 3], [4, 5]]


def test_scikit_learn_asks_as_it_asks_any_splitter_and_copies_it() -> None:
    folds = copy.deepcopy(PurgedKFold(4, START, START + 2))
    assert folds.get_n_splits(X, START, None) == 4
    assert len(list(folds.split(X, START, None))) == 4
    assert trained(folds, X.tolist()) == trained(folds)
    for train, test in folds.split(X):
        assert train.dtype == test.dtype == np.intp


def test_a_label_that_touches_the_fold_overlaps_it() -> None:
    assert purged([0, 5, 9, 11], [4, 6, 10, 12], [1]).tolist() == [True, False, True, True]
    assert purged([0, 5, 6, 7], [5, 6, 10, 12], [1]).tolist() == [False, False, False, True]


def test_a_fold_is_named_by_places_or_by_a_mask() -> None:
    mask = np.array([False, True, False, False])
    assert purged([0, 5, 9, 11], [4, 6, 10, 12], mask).tolist() == [True, False, True, True]


def test_an_embargo_may_reach_beyond_all_time() -> None:
    assert purged([0, 5], [0, 5], [0], embargo_ns=2**63).tolist() == [False, False]
    assert purged([0, 5], [0, 5], [0], embargo_rows=9).tolist() == [False, False]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"n_splits": 1}, "n_splits is 1: give 2 folds at least"),
        ({"n_splits": 9}, "fold 8 of 9 has no sample: there are 8"),
        ({"start_ns": [1] * 8}, "fold 1 of 4 has no sample"),
        ({"info_end_ns": START - 1}, r"info_end_ns\[0\] is 0, before start_ns\[0\], 1"),
        ({"info_end_ns": START[1:]}, "start_ns has 8, info_end_ns has 7"),
        ({"embargo_ns": -1}, "embargo_ns is -1"),
        ({"embargo_rows": 1.5}, "embargo_rows is 1.5"),
        ({"embargo_ns": 1, "embargo_rows": 1}, "two ways to say one thing"),
    ],
)
def test_what_cannot_be_split_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SampleError, match=words):
        PurgedKFold(**{"n_splits": 4, "start_ns": START, "info_end_ns": START + 2, **settings})


def test_rows_of_another_number_and_folds_without_training_are_refused() -> None:
    with pytest.raises(SampleError, match="X has 7 rows, start_ns has 8"):
        next(PurgedKFold(4, START, START + 2).split(X[1:]))
    with pytest.raises(SampleError, match="nothing trains beside fold 0"):
        next(PurgedKFold(2, START, START + 9).split(X))


@pytest.mark.parametrize("test", [[8], [-1], ["a"], [0.0]])
def test_a_fold_of_no_samples_is_refused(test: list[Any]) -> None:
    with pytest.raises(SampleError, match="test names samples 0 to 7"):
        purged(START, START, test)
    with pytest.raises(SampleError, match="test has no sample"):
        purged(START, START, [])
    with pytest.raises(SampleError, match="test has 1, start_ns has 8"):
        purged(START, START, [True])
