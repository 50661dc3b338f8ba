from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.durations import DurationError, duration_ns, duration_text


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2s", 2_000_000_000),
        ("500ms", 500_000_000),
        ("250us", 250_000),
        ("250\u00b5s", 250_000),
        ("250\u03bcs", 250_000),
        ("10ns", 10),
        ("1.5s", 1_500_000_000),
        ("0.1s", 100_000_000),
        ("1.000000001s", 1_000_000_001),
        ("0.000001ms", 1),
        ("2m", 120_000_000_000),
        ("2min", 120_000_000_000),
        ("1h", 3_600_000_000_000),
        ("1d", 86_400_000_000_000),
        (" 2 s ", 2_000_000_000),
        ("2_000_000_000", 2_000_000_000),
        ("0", 0),
        ("9223372036854775807ns", 2**63 - 1),
    ],
)
def test_a_duration_in_text_is_exact(text: str, ns: int) -> None:
    assert duration_ns(text) == ns


@pytest.mark.parametrize(
    ("value", "ns"),
    [
        (7, 7),
        (np.int32(7), 7),
        (timedelta(days=1, microseconds=3), 86_400_000_003_000),
        (pd.Timedelta("1D 2s 3ns"), 86_402_000_000_003),
        (pd.Timedelta(2, "s").as_unit("s"), 2_000_000_000),
        (np.timedelta64(2, "s"), 2_000_000_000),
        (np.timedelta64(3, ("us", 25)), 75_000),
    ],
)
def test_what_other_libraries_call_a_duration_is_one(value: object, ns: int) -> None:
    assert duration_ns(value) == ns


@pytest.mark.parametrize(
    "wrong",
    [
        *("", "s", "2x", "2 s 3", "1.5", "1_", "1__0s", "1e9", "2S", "1,5s", "two", "2..5s", "nan s"),
        *("1" * 41 + "s", b"2s", 2e9, True, None, pd.NaT),
        *(np.timedelta64("NaT", "s"), np.timedelta64(1, "M"), np.timedelta64(1)),
    ],
)
def test_what_is_no_duration_is_told_what_one_looks_like(wrong: object) -> None:
    with pytest.raises(DurationError, match=r'expected a duration such as "2s", "500ms", "250us" or whole'):
        duration_ns(wrong)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("-2s", "0 or more"),
        (-1, "0 or more"),
        (timedelta(microseconds=-1), "0 or more"),
        ("0.5ns", "a fraction of one"),
        ("1.0000000001s", "a fraction of one"),
        ("9223372036854775808", "at most 292 years"),
        ("300000d", "at most 292 years"),
    ],
)
def test_a_duration_that_cannot_be_kept_says_why(wrong: object, told: str) -> None:
    with pytest.raises(DurationError, match=told):
        duration_ns(wrong)


@given(st.integers(0, 2**63 - 1))
def test_text_of_a_duration_reads_back(ns: int) -> None:
    assert duration_ns(duration_text(ns)) == ns
