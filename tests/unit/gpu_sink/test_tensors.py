"""The laws of columns as tensors."""

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from gpu_sink.errors import TensorError
from gpu_sink.tensors import to_tensors

torch = pytest.importorskip("torch", reason="PyTorch is not installed (TORCH=0)")


def column(type_: pa.DataType, values: list[Any], *, nullable: bool = True) -> pa.RecordBatch:
    """One column named x."""
    schema = pa.schema([pa.field("x", type_, nullable=nullable)])
    return pa.RecordBatch.from_pydict({"x": values}, schema)


@pytest.mark.parametrize(
    ("type_", "dtype", "values"),
    [
        (pa.int8(), torch.int8, [-128, 127]),
        (pa.int32(), torch.int32, [-(2**31), 2**31 - 1]),
        (pa.int64(), torch.int64, [-(2**63), 2**63 - 1]),
        (pa.uint8(), torch.uint8, [0, 255]),
        (pa.uint64(), torch.uint64, [0, 2**64 - 1]),
        (pa.float32(), torch.float32, [0.5, -0.25]),
        (pa.float64(), torch.float64, [0.1, 1e300]),
        (pa.bool_(), torch.bool, [True, False]),
        (pa.decimal128(18, 4), torch.float64, [Decimal("1.2500"), Decimal("-3.5000")]),
        (pa.timestamp("ns"), torch.int64, [1_700_000_000_000_000_001, 0]),
    ],
)
def test_a_value_keeps_its_type_and_itself(type_: pa.DataType, dtype: Any, values: list[Any]) -> None:
    if pa.types.is_timestamp(type_):
        rows = pa.RecordBatch.from_arrays([pa.array(values, pa.int64()).cast(type_)], ["x"])
    else:
        rows = column(type_, values)
    tensor = to_tensors(rows).tensors["x"]
    assert tensor.dtype == dtype
    assert tensor.tolist() == [float(v) if isinstance(v, Decimal) else v for v in values]


def test_coarser_timestamps_become_nanoseconds() -> None:
    rows = pa.RecordBatch.from_arrays([pa.array([1, 2], pa.int64()).cast(pa.timestamp("ms", "UTC"))], ["x"])
    assert to_tensors(rows).tensors["x"].tolist() == [1_000_000, 2_000_000]


def test_nulls_are_masked_and_large_integers_beside_them_stay_exact() -> None:
    tensors = to_tensors(column(pa.int64(), [2**62 + 1, None])).tensors
    assert tensors["x"].tolist() == [2**62 + 1, 0]
    assert tensors["x_valid"].tolist() == [True, False]


def test_a_null_float_is_nan_so_that_a_forgotten_mask_shows() -> None:
    tensors = to_tensors(column(pa.float64(), [1.5, None])).tensors
    assert tensors["x"][0] == 1.5
    assert tensors["x"][1].isnan()


def test_a_nullable_column_has_a_mask_though_nothing_is_null() -> None:
    assert to_tensors(column(pa.int64(), [1, 2])).tensors["x_valid"].tolist() == [True, True]


def test_a_column_that_is_never_null_has_no_mask() -> None:
    assert list(to_tensors(column(pa.int64(), [1], nullable=False)).tensors) == ["x"]


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
def test_text_becomes_codes_with_their_dictionary(type_: pa.DataType) -> None:
    batch = to_tensors(column(type_, ["ES", "NQ", None, "ES"]))
    codes = batch.tensors["x"]
    assert codes.dtype == torch.int32
    words = batch.dictionaries["x"].to_pylist()
    assert [words[code] if code >= 0 else None for code in codes.tolist()] == ["ES", "NQ", None, "ES"]
    assert batch.tensors["x_valid"].tolist() == [True, True, False, True]


def test_a_slice_gives_the_rows_of_the_slice() -> None:
    rows = column(pa.float64(), [0.0, 1.0, None, 3.0]).slice(1, 2)
    tensors = to_tensors(rows).tensors
    assert tensors["x"][0] == 1.0
    assert tensors["x_valid"].tolist() == [True, False]


def test_writing_into_a_tensor_leaves_the_rows_alone() -> None:
    rows = column(pa.float64(), [1.0, 2.0])
    to_tensors(rows).tensors["x"].zero_()
    assert rows.column("x").to_pylist() == [1.0, 2.0]


def test_tensors_and_masks_lie_on_the_device_asked_for() -> None:
    tensors = to_tensors(column(pa.float64(), [1.0, None]), device="meta").tensors
    assert {tensor.device.type for tensor in tensors.values()} == {"meta"}


def test_no_rows_give_empty_tensors() -> None:
    assert to_tensors(column(pa.string(), [])).tensors["x"].shape == (0,)


def test_a_nested_column_is_refused_by_name_and_can_be_left_out() -> None:
    rows = pa.RecordBatch.from_pydict({"price": [1.0], "levels": [[1, 2]]})
    with pytest.raises(TensorError, match=r"column levels is list.*columns="):
        to_tensors(rows)
    assert to_tensors(rows, columns=["price"]).tensors["price"].tolist() == [1.0]


def test_an_unknown_column_is_refused_with_those_there_are() -> None:
    with pytest.raises(TensorError, match="no column bid; there are x"):
        to_tensors(column(pa.int8(), [1]), columns=["bid"])


def test_a_column_named_like_a_mask_is_refused() -> None:
    rows = pa.RecordBatch.from_pydict({"x": [1], "x_valid": [2]})
    with pytest.raises(TensorError, match="column x_valid has the name of the mask of x"):
        to_tensors(rows)
