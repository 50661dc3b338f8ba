"""Labels over time: the handbook's figures, and which arrays of times are taken."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from gpu_sink.errors import SampleError
from gpu_sink.samples import moments
from gpu_sink.samples.moments import time_uniqueness

START, END = [0, 100, 300], [400, 200, 600]
UNIQUENESS = [0.75, 0.5, 0.8333333333]


def test_uniqueness_is_that_of_the_handbook() -> None:
    assert time_uniqueness(START, END) == pytest.approx(UNIQUENESS, abs=1e-10)


def test_a_label_of_no_length_has_all_of_itself_and_takes_nothing() -> None:
    assert time_uniqueness([0, 5, 5], [10, 5, 5]).tolist() == [1.0, 1.0, 1.0]
    none = np.empty(0, np.int64)
    assert time_uniqueness(none, none).tolist() == []


def test_labels_are_laid_out_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    start = np.arange(50) * 7 % 31
    whole = time_uniqueness(start, start + 13)
    monkeypatch.setattr(moments, "STRETCHES_MAX", 5)
    assert time_uniqueness(start, start + 13).tolist() == whole.tolist()


@pytest.mark.parametrize(
    "of",
    [
        lambda ns: np.array(ns, "datetime64[ns]"),
        lambda ns: pa.array(ns, pa.timestamp("ns", "UTC")),
        lambda ns: pa.chunked_array([pa.array(ns[:1], pa.int64()), pa.array(ns[1:], pa.int64())]),
        lambda ns: pd.Series(pd.to_datetime(ns, utc=True)),
        lambda ns: pd.Series(pd.to_datetime(ns)),
        lambda ns: pl.Series(ns, dtype=pl.Datetime("ns", "UTC")),
        lambda ns: pl.Series(ns),
    ],
)
def test_times_come_as_whatever_frames_are_read_into(of: object) -> None:
    assert callable(of)
    assert time_uniqueness(of(START), of(END)) == pytest.approx(UNIQUENESS, abs=1e-10)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ([0.0], "start_ns is float64 of shape"),
        (["a"], "start_ns is <U1"),
        ([None], "start_ns holds objects|start_ns.0. is null"),
        (pa.array([None], pa.timestamp("ns")), r"start_ns\[0\] is null, one of 1"),
        (np.array([1], np.uint64), "start_ns is uint64"),
        ([2**62], "no row has that time"),
        ([9], r"end_ns\[0\] is 8, before start_ns\[0\], 9"),
    ],
)
def test_times_that_are_none_are_refused(start: object, words: str) -> None:
    with pytest.raises(SampleError, match=words):
        time_uniqueness(start, [8])
