"""Times in any form against an oracle of Python's own decimals, dates and zones."""

import json
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from topics.times import TimeForm, TimeFormError, require_form, to_ns

UNITS = {"ns": 0, "us": 3, "ms": 6, "s": 9}
NS_MAX = 2**63 - 1
WALL = datetime.fromisoformat  # of no zone
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

numbers = st.one_of(
    st.integers(-(10**25), 10**25).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-1e14, max_value=1e14).map(
        lambda number: f"{number:f}"
    ),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.from_regex(r"-?(0|[1-9][0-9]{0,22})(\.[0-9]{1,22})?([eE][+-]?[0-9]{1,2})?", fullmatch=True),
)
garbage = st.text(st.sampled_from("0123456789-+.:TZ eE,"), max_size=32)


def read(values: list[Any], form: TimeForm, kind: pa.DataType | None = None) -> list[int | str | None]:
    """The time of each value, None for a null, or why it is none."""
    column = pa.array(values, kind)
    require_form("at", column.type, form)
    times = to_ns(column, form)
    assert not (times.valid & times.wrong).any()
    told: list[int | str | None] = []
    for row, ns in enumerate(times.ns.tolist()):
        told.append(ns if times.valid[row] else times.reason(row) if times.wrong[row] else None)
    return told


def exact(text: str, digits: int) -> int | None:
    """The nanoseconds of a number in text, None beyond int64."""
    ns = int((Decimal(text).scaleb(digits)).to_integral_value(ROUND_FLOOR))
    return ns if -NS_MAX - 1 <= ns <= NS_MAX else None


@given(numbers, st.sampled_from(sorted(UNITS)))
@example("1705311000123.4567891", "ms")
@example("-0.0000000001", "s")
@example("1e-400", "s")
@example("9223372036854775807", "ns")
@example("9223372036.854775808", "s")
@example("1.7053e18", "ns")
def test_a_number_in_text_is_cut_off_at_the_nanosecond(text: str, unit: Any) -> None:
    (told,) = read([text], TimeForm(form=unit))
    wanted = exact(text, UNITS[unit])
    if wanted is None or wanted == -NS_MAX - 1:
        assert isinstance(told, str)
        assert "beyond what int64 nanoseconds can say" in told
    else:
        assert told == wanted


@given(garbage, st.sampled_from(sorted(UNITS)))
def test_what_is_no_number_is_no_time(text: str, unit: Any) -> None:
    (told,) = read([text], TimeForm(form=unit))
    try:
        # Python's int() reads more than JSON has: "+1", "01", " 1", "1_0".
        number = json.loads(text, parse_int=str, parse_float=str) if text.strip() == text else None
    except ValueError:
        number = None
    if isinstance(number, str):
        assert not (isinstance(told, str) and told.endswith("is no time"))
    else:
        assert told == f"{text!r} is no time"


@given(
    st.datetimes(WALL("1678-01-01"), WALL("2261-12-31")),
    st.integers(0, 999),
    st.sampled_from(["Z", "z", "+00:00", "-05:00", "+0530", "+14", "-0330"]),
    st.integers(0, 12),
    st.sampled_from("Tt "),
    st.sampled_from(".,"),
)
def test_iso_text_is_read_to_the_nanosecond(
    moment: datetime, nanos: int, offset: str, digits: int, between: str, point: str
) -> None:
    fraction = f"{moment.microsecond:06d}{nanos:03d}777"[:digits]
    text = f"{moment:%Y-%m-%d}{between}{moment:%H:%M:%S}{point + fraction if digits else ''}{offset}"
    east = datetime.fromisoformat(f"2000-01-01T00:00:00{offset.upper()}").utcoffset()
    assert east is not None
    whole = (moment.replace(microsecond=0, tzinfo=UTC) - east - EPOCH) // timedelta(seconds=1)
    assert read([text], TimeForm(form="iso")) == [whole * 10**9 + int(f"{fraction:0<9}"[:9])]


@given(
    garbage | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?", fullmatch=True)
)
@example("2024-02-30T00:00Z")
@example("2023-02-29T00:00Z")
@example("2024-02-29T24:00Z")
@example("2024-02-29T23:60Z")
@example("2024-02-29T23:59:60Z")
@example("2024-02-29T23:59:59.Z")
@example("2024-02-29T23:59:59+24:00")
@example("2024-02-29T23:59+1")
@example("2024-02-29T23:59:5")
@example("2024-02-29")
def test_iso_text_is_read_where_python_reads_it(text: str) -> None:
    (told,) = read([text], TimeForm(form="iso", zone="UTC"))
    try:
        moment = datetime.fromisoformat(text.replace(",", "."))
    except ValueError:
        assert told == f"{text!r} is no time"
        return
    if isinstance(told, str):  # forms of Python's that are not of ours: a date alone, weeks, no signs
        assert told == f"{text!r} is no time" or "beyond" in told
        assert not (len(text) == 16 and text[4] == "-" and text[10] in "T " and 1678 < moment.year < 2262)
        return
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    assert told is not None
    assert told // 1_000 == (moment - EPOCH) // timedelta(microseconds=1)


@given(
    st.datetimes(WALL("1971-01-01"), WALL("2037-01-01")),
    st.sampled_from(["America/New_York", "Asia/Tokyo"]),
)
@example(WALL("2024-03-10T02:30"), "America/New_York")
@example(WALL("2024-11-03T01:30"), "America/New_York")
def test_a_time_without_a_zone_stands_on_the_wall_of_the_zone(wall: datetime, zone: str) -> None:
    wall = wall.replace(microsecond=0)
    naive_us = (wall.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
    early, late = (wall.replace(tzinfo=ZoneInfo(zone), fold=fold) for fold in (0, 1))
    (text,) = read([wall.isoformat()], TimeForm(form="iso", zone=zone))
    (stamp,) = read([naive_us], TimeForm(zone=zone), pa.timestamp("us"))
    if early.utcoffset() != late.utcoffset():
        assert isinstance(text, str)
        assert text.endswith("is no single moment: clocks are changed then")
        assert isinstance(stamp, str)
    else:
        assert text == stamp == (early - EPOCH) // timedelta(seconds=1) * 10**9


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=5), st.sampled_from(sorted(UNITS)))
def test_integers_are_scaled_or_refused(values: list[int | None], unit: Any) -> None:
    told = read(values, TimeForm(form=unit), pa.int64())
    for value, ns in zip(values, told, strict=True):
        wanted = None if value is None else value * 10 ** UNITS[unit]
        if wanted is None or -NS_MAX <= wanted <= NS_MAX:
            assert ns == wanted
        else:
            assert isinstance(ns, str)


@given(st.floats(), st.sampled_from(sorted(UNITS)))
@example(1705311000.1234567, "s")
@example(float("nan"), "s")
def test_a_float_is_rounded_to_the_nanosecond(value: float, unit: Any) -> None:
    (told,) = read([value], TimeForm(form=unit), pa.float64())
    if not np.isfinite(value):
        assert isinstance(told, str)
        assert told.endswith("is no time")
        return
    wanted = round(Decimal(value).scaleb(UNITS[unit]))
    if isinstance(told, str):
        assert abs(wanted) >= NS_MAX - 10**9
    else:
        assert told is not None
        # The part below a whole unit is itself a float, of 53 bits.
        assert abs(told - wanted) <= 1


@pytest.mark.parametrize(
    ("kind", "form", "words"),
    [
        (pa.string(), TimeForm(), "ns, us, ms, s or iso"),
        (pa.int64(), TimeForm(), "say in which form"),
        (pa.int64(), TimeForm(form="iso"), 'form = "iso" is for text'),
        (pa.int64(), TimeForm(form="ms", zone="UTC"), "have no zone"),
        (pa.timestamp("ms", "UTC"), TimeForm(form="ms"), "leave the form out"),
        (pa.bool_(), TimeForm(form="ms"), "holds no times"),
        (pa.string(), TimeForm(form="iso", zone="Mars"), "'Mars' is not a time zone"),
    ],
)
def test_a_form_that_does_not_fit_the_column_is_refused(
    kind: pa.DataType, form: TimeForm, words: str
) -> None:
    with pytest.raises(TimeFormError, match=words):
        require_form("at", kind, form)


def test_a_timestamp_says_its_own_form() -> None:
    stamps = [datetime(2024, 1, 15, 9, 30, tzinfo=UTC), None]
    assert read(stamps, TimeForm(), pa.timestamp("ms", "America/New_York")) == [1705311000 * 10**9, None]
    assert read([2**62], TimeForm(), pa.timestamp("s", "UTC"))[0] != 2**62
    (told,) = read([WALL("2024-01-15")], TimeForm(), pa.timestamp("us"))
    assert isinstance(told, str)
    assert told.endswith("has no zone: say which in `zone`")


def test_a_zero_that_may_be_an_absent_field_is_no_time() -> None:
    form = TimeForm(form="ms", zero_is_none=True)
    assert read([0, 5, None], form, pa.int64()) == [None, 5 * 10**6, None]
    assert read([0.0, 0.5], form, pa.float64()) == [None, 500_000]
    assert read([0], TimeForm(form="ms"), pa.int64()) == [0]


def test_unsigned_and_decimal_numbers_are_times_too() -> None:
    assert read([2**64 - 1], TimeForm(form="ns"), pa.uint64())[0] != 2**64 - 1
    assert read([1705311000123], TimeForm(form="ms"), pa.uint64()) == [1705311000123 * 10**6]
    assert read([Decimal("1705311000.123456789")], TimeForm(form="s"), pa.decimal128(20, 9)) == [
        1705311000123456789
    ]


@pytest.mark.parametrize("value", [9_223_372_036.9, 9_223_372_036.855])
def test_a_float_in_the_last_second_of_int64_is_beyond(value: float) -> None:
    times = to_ns(pa.array([value, value - 1.0]), TimeForm(form="s"))
    assert times.wrong.tolist() == [True, False]
    assert "is beyond what int64" in times.reason(0)


@pytest.mark.parametrize(
    ("text", "zone"),
    [("2262-04-11T20:00:00", "America/New_York"), ("1677-09-21T02:00:00", "Asia/Kolkata")],
)
def test_a_wall_clock_at_an_end_of_int64_is_beyond(text: str, zone: str) -> None:
    column = pa.array([text, "2024-01-15T09:30:00"])
    times = to_ns(column, TimeForm(form="iso", zone=zone))
    assert times.wrong.tolist() == [True, False]
    assert "is beyond what int64" in times.reason(0)
