"""What the parity of a partition promises whoever compares a day with its replay."""

from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from operators.hashing.parity import Parity, sealed_hashes
from operators.hashing.row_hash import row_hashes
from tests.golden.frames import golden_rows
from tests.oracles.row_hash import row_hash


def hash_of(value: object, kind: pa.DataType) -> int:
    return int(row_hashes([pa.array([value], kind)], 1)[0])


def test_the_parity_of_the_golden_frame_is_the_same_on_every_version_and_machine() -> None:
    assert str(Parity().roll(sealed_hashes(golden_rows()))) == "3-c5699003f55be68075b0b3263b90a7eb"


def test_where_a_left_row_stood_does_not_count() -> None:
    rows = golden_rows()
    at = rows.schema.get_field_index("left_offset")
    moved = rows.set_column(at, rows.schema.field(at), pa.array([1, 2, 3], pa.int64()))
    assert sealed_hashes(moved).tolist() == sealed_hashes(rows).tolist()


def test_the_order_of_rows_counts() -> None:
    hashes = sealed_hashes(golden_rows())
    assert Parity().roll(hashes) != Parity().roll(hashes[::-1].copy())


def test_the_order_of_columns_counts() -> None:
    one, other = pa.array([1]), pa.array([2])
    assert row_hashes([one, other], 1)[0] != row_hashes([other, one], 1)[0]


def test_zeros_are_one_number_and_so_are_nans() -> None:
    nan = np.frombuffer(np.array([0x7FF8000000000123], np.uint64), np.float64)
    assert hash_of(-0.0, pa.float64()) == hash_of(0.0, pa.float64())
    assert int(row_hashes([pa.array(nan)], 1)[0]) == hash_of(float("nan"), pa.float64())
    assert hash_of(float("inf"), pa.float32()) != hash_of(float("nan"), pa.float32())


def test_what_lies_under_a_null_does_not_count() -> None:
    validity = pa.py_buffer(b"\x02")
    one, other = (
        pa.Array.from_buffers(pa.float64(), 2, [validity, pa.array(v, pa.float64()).buffers()[1]])
        for v in ([5.0, 1.0], [6.0, 1.0])
    )
    assert row_hashes([one], 2).tolist() == row_hashes([other], 2).tolist()


def test_a_null_of_a_dictionary_is_a_null() -> None:
    plain = pa.array(["a", None, None, "b"])
    held = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 2]), pa.array(["a", None, "b"]))
    assert row_hashes([held], 4).tolist() == row_hashes([plain], 4).tolist()


def test_the_bits_of_a_hash_are_even() -> None:
    hashes = row_hashes([pa.array(np.arange(20_000))], 20_000)
    shares = [float(np.mean((hashes >> np.uint64(bit)) & np.uint64(1))) for bit in range(64)]
    assert min(shares) > 0.48
    assert max(shares) < 0.52
    assert np.unique(hashes).size == hashes.size


@pytest.mark.parametrize(
    ("kind", "value", "held"),
    [
        (pa.decimal128(20, 2), Decimal("7.25"), (725).to_bytes(16, "little")),
        (pa.timestamp("us", "UTC"), datetime(2024, 1, 15, 9, 30, tzinfo=UTC), 1_705_311_000_000_000),
        (pa.date32(), date(2024, 1, 15), 19_737),
        (pa.float32(), 0.5, 0x3F00_0000),
        (pa.map_(pa.int8(), pa.int8()), [(1, 2)], b"[(1, 2)]"),
    ],
)
def test_a_type_that_is_no_plain_number_hashes_as_the_whole_number_or_the_bytes_that_hold_it(
    kind: pa.DataType, value: object, held: int | bytes
) -> None:
    assert hash_of(value, kind) == row_hash([held])
    assert hash_of(None, kind) == row_hash([None])


@pytest.mark.parametrize("text", ["", "7", "-" + "0" * 32, "7-xyz", "٣-" + "0" * 32, "7-" + "g" * 32])
def test_text_that_is_no_parity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"parity|invalid literal"):
        Parity.parse(text)
