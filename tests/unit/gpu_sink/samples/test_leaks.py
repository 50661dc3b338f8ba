"""Splits that leak are named with both samples; purged ones pass, and so does what touches nothing."""

from typing import Any

import numpy as np
import pytest

from gpu_sink.errors import SampleError
from gpu_sink.samples.folds import PurgedKFold
from gpu_sink.samples.leaks import require_no_leak

START = np.arange(1, 9)
X = np.zeros((8, 1))
FOLDS = [[0, 1], [2, 3], [4, 5], [6, 7]]
# As KFold and TimeSeriesSplit of scikit-learn cut them: without looking at how far labels reach.
K_FOLD = [([place for place in range(8) if place not in fold], fold) for fold in FOLDS]
BACKWARD = [(list(range(fold[0])), fold) for fold in FOLDS[1:]]


def test_purged_folds_pass_with_the_embargo_they_were_made_with() -> None:
    folds = PurgedKFold(4, START, START + 2, embargo_ns=1)
    assert require_no_leak(folds.split(X), START, START + 2, embargo_ns=1) == 4


def test_a_planted_split_without_purging_is_named_with_both_samples() -> None:
    with pytest.raises(SampleError) as raised:
        require_no_leak(K_FOLD, START, START + 2)
    told = str(raised.value)
    assert told.startswith("split 0 leaks: sample 2 trains with a label of 3 to 5 ns, and sample 1 is tested")
    assert "2 of 6 that train overlap" in told


def test_a_planted_split_that_only_looks_back_leaks_where_labels_reach_into_its_test() -> None:
    with pytest.raises(SampleError, match="split 0 leaks: sample 0 trains"):
        require_no_leak(BACKWARD, START, START + 2)
    assert require_no_leak(BACKWARD, START, START) == 3


def test_a_planted_split_without_its_embargo_is_named() -> None:
    folds = PurgedKFold(4, START, START + 2)
    with pytest.raises(SampleError, match=r"split 0 leaks: sample 4 .* and the embargo of 1 ns"):
        require_no_leak(folds.split(X), START, START + 2, embargo_ns=1)


def test_a_sample_on_both_sides_and_one_that_touches_leak() -> None:
    with pytest.raises(SampleError, match=r"sample 0 trains .* sample 0 is tested"):
        require_no_leak([([0], [0, 1])], START, START)
    with pytest.raises(SampleError, match="sample 0 trains"):
        require_no_leak([([0], [1])], [1, 3], [3, 4])
    assert require_no_leak([([True, False], [False, True])], [1, 4], [3, 4]) == 1


@pytest.mark.parametrize(
    ("splits", "options", "message"),
    [
        ([([0], [9])], {}, "what is tested are places of samples 0 to 7"),
        ([([True], [False])], {}, "one value for each sample"),
        ([([], [1])], {}, "split 0 has nothing that trains"),
        ([([1], [])], {}, "split 0 has nothing that is tested"),
        ([], {"embargo_ns": -1}, "embargo_ns is -1"),
    ],
)
def test_what_is_no_split_is_refused(splits: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SampleError, match=message):
        require_no_leak(splits, START, START + 2, **options)
