"""The laws of Arrow columns in the places of a slot."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gpu_sink.columns.columns import ColumnWriter, fields_of, plan_columns, word_type
from gpu_sink.columns.layout import Columns, SlotLayout, page_aligned
from gpu_sink.columns.words import Dictionary
from gpu_sink.errors import ColumnError


def column(type_: pa.DataType, values: list[Any], *, nullable: bool = True) -> pa.RecordBatch:
    """One column named x."""
    schema = pa.schema([pa.field("x", type_, nullable=nullable)])
    return pa.RecordBatch.from_arrays([pa.array(values, type_)], schema=schema)


def written(
    rows: pa.RecordBatch,
    dtypes: dict[str, str] | None = None,
    lower: int = 0,
    count: int | None = None,
    at: int = 0,
) -> tuple[Columns, dict[str, Dictionary]]:
    """The rows as they lie in a slot of 64 rows, and the dictionaries their codes are of."""
    plans = plan_columns(rows.schema, None, dtypes or {})
    types = {plan.name: word_type(plan.type) for plan in plans}
    dictionaries = {name: Dictionary(name, type_) for name, type_ in types.items() if type_ is not None}
    layout = SlotLayout.of(fields_of(plans), 64)
    columns = layout.views(page_aligned(layout.size))
    size = rows.num_rows - lower if count is None else count
    ColumnWriter(plans, dictionaries, 64).write(rows, lower, size, columns, at)
    return {name: values[at : at + size] for name, values in columns.items()}, dictionaries


@pytest.mark.parametrize(
    ("type_", "dtype", "values"),
    [
        (pa.int8(), np.int8, [-128, 127]),
        (pa.int32(), np.int32, [-(2**31), 2**31 - 1]),
        (pa.int64(), np.int64, [-(2**63), 2**63 - 1]),
        (pa.uint8(), np.uint8, [0, 255]),
        (pa.uint64(), np.uint64, [0, 2**64 - 1]),
        (pa.float32(), np.float32, [0.5, -0.25]),
        (pa.float64(), np.float64, [0.1, 1e300]),
        (pa.bool_(), np.bool_, [True, False]),
        (pa.decimal128(18, 4), np.float64, [Decimal("1.2500"), Decimal("-3.5000")]),
        (pa.timestamp("ns"), np.int64, [1_700_000_000_000_000_001, 0]),
    ],
)
def test_a_value_keeps_its_type_and_itself(type_: pa.DataType, dtype: Any, values: list[Any]) -> None:
    columns, _ = written(column(type_, values))
    assert columns["x"].dtype == dtype
    assert columns["x"].tolist() == [float(v) if isinstance(v, Decimal) else v for v in values]


def test_coarser_timestamps_become_nanoseconds() -> None:
    assert written(column(pa.timestamp("ms", "UTC"), [1, 2]))[0]["x"].tolist() == [1_000_000, 2_000_000]


def test_a_timestamp_beyond_nanoseconds_is_refused_by_column() -> None:
    with pytest.raises(ColumnError, match=r"column x: .*out of bounds"):
        written(column(pa.timestamp("s"), [2**40]))


def test_nulls_are_masked_and_large_integers_beside_them_stay_exact() -> None:
    columns, _ = written(column(pa.int64(), [2**62 + 1, None]))
    assert columns["x"].tolist() == [2**62 + 1, 0]
    assert columns["x_valid"].tolist() == [True, False]


def test_a_null_float_is_nan_so_that_a_forgotten_mask_shows() -> None:
    values = written(column(pa.float64(), [1.5, None]))[0]["x"]
    assert values[0] == 1.5
    assert np.isnan(values[1])


def test_a_null_integer_read_as_a_float_is_nan() -> None:
    assert np.isnan(written(column(pa.int32(), [None]), {"x": "float32"})[0]["x"]).all()


def test_a_nullable_column_has_a_mask_though_nothing_is_null() -> None:
    assert written(column(pa.int64(), [1, 2]))[0]["x_valid"].tolist() == [True, True]


def test_a_column_that_is_never_null_has_no_mask() -> None:
    assert list(written(column(pa.int64(), [1], nullable=False))[0]) == ["x"]


@pytest.mark.parametrize("type_", [pa.bool_(), pa.int16(), pa.float64(), pa.string()])
@pytest.mark.parametrize("sliced", [0, 1, 7, 8, 13])
def test_any_rows_of_any_slice_are_found_bit_for_bit(type_: pa.DataType, sliced: int) -> None:
    drawn = [None if n % 3 == 0 else n % 5 > 1 for n in range(40)]
    to: dict[Any, Any] = {pa.bool_(): bool, pa.int16(): int, pa.float64(): float, pa.string(): str}
    values = [None if value is None else to[type_](value) for value in drawn]
    rows = column(type_, values).slice(sliced)
    for lower, count, at in ((0, 5, 0), (3, 9, 2), (8, 19, 31)):
        columns, dictionaries = written(rows, lower=lower, count=count, at=at)
        expected = values[sliced + lower : sliced + lower + count]
        found = columns["x"].tolist()
        if dictionaries:
            found = [dictionaries["x"].words[code] if code >= 0 else None for code in found]
        valid = columns["x_valid"].tolist()
        assert [value if there else None for value, there in zip(found, valid, strict=True)] == expected


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
def test_text_becomes_codes_with_their_dictionary(type_: pa.DataType) -> None:
    columns, dictionaries = written(column(type_, ["ES", "NQ", None, "ES"]))
    assert columns["x"].dtype == np.int32
    words = dictionaries["x"].words
    assert [words[code] if code >= 0 else None for code in columns["x"]] == ["ES", "NQ", None, "ES"]
    assert columns["x_valid"].tolist() == [True, True, False, True]


def test_a_null_where_the_layout_says_none_is_refused() -> None:
    with pytest.raises(ColumnError, match="column x has a null, and its layout says that it has none"):
        written(column(pa.int64(), [1, None], nullable=False))


def test_a_text_column_of_nulls_alone_has_the_null_code() -> None:
    for type_ in (pa.string(), pa.dictionary(pa.int32(), pa.string())):
        assert written(column(type_, [None, None]))[0]["x"].tolist() == [-1, -1]


def test_a_chosen_type_holds_the_values() -> None:
    assert written(column(pa.float64(), [0.5]), {"x": "float32"})[0]["x"].dtype == np.float32
    assert written(column(pa.int64(), [7, None]), {"x": "int16"})[0]["x"].tolist() == [7, 0]


def test_a_value_beyond_the_chosen_type_is_refused_with_the_value() -> None:
    with pytest.raises(ColumnError, match="column x: 40000 does not fit int16"):
        written(column(pa.int64(), [1, 40_000, None]), {"x": "int16"})


@pytest.mark.parametrize(
    ("type_", "asked", "reason"),
    [
        (pa.float64(), "int32", "which int32 does not hold"),
        (pa.string(), "int64", "its codes are int32"),
        (pa.int64(), "money", "'money' is not a NumPy dtype"),
        (pa.int64(), "S8", "does not hold"),
    ],
)
def test_a_type_that_cannot_hold_a_column_is_refused(type_: pa.DataType, asked: str, reason: str) -> None:
    with pytest.raises(ColumnError, match=f"column x.*{reason}"):
        plan_columns(pa.schema([pa.field("x", type_)]), None, {"x": asked})


def test_a_nested_column_is_refused_by_name_and_can_be_left_out() -> None:
    schema = pa.RecordBatch.from_pydict({"price": [1.0], "levels": [[1, 2]]}).schema
    with pytest.raises(ColumnError, match=r"column levels is list.*columns="):
        plan_columns(schema, None, {})
    assert [plan.name for plan in plan_columns(schema, ["price"], {})] == ["price"]


def test_an_unknown_column_is_refused_with_those_there_are() -> None:
    for columns, dtypes in ((["bid"], {}), (None, {"bid": "float32"})):
        with pytest.raises(ColumnError, match="no column bid; there are x"):
            plan_columns(column(pa.int8(), [1]).schema, columns, dtypes)


def test_a_column_named_like_a_mask_is_refused() -> None:
    schema = pa.RecordBatch.from_pydict({"x": [1], "x_valid": [2]}).schema
    with pytest.raises(ColumnError, match="column x_valid has the name of the mask of x"):
        plan_columns(schema, None, {})


def test_columns_lie_at_multiples_of_256_bytes_of_a_page() -> None:
    rows = pa.RecordBatch.from_pydict({"a": [True], "b": [1.5], "c": ["x"]})
    layout = SlotLayout.of(fields_of(plan_columns(rows.schema, None, {})), 37)
    block = page_aligned(layout.size)
    assert block.ctypes.data % 4_096 == 0
    assert all(values.ctypes.data % 256 == 0 for values in layout.views(block).values())
    ends = [(place.offset, place.offset + place.size) for place in layout.places]
    assert all(end <= start for (_, end), (start, _) in pairwise(ends))
