"""Keys get one number each, for the life of a task."""

import numpy as np
import pyarrow as pa

from operators.rows.groups import Groups


def binary(*keys: bytes) -> pa.BinaryArray:
    return pa.array(keys, pa.binary())


def test_a_key_has_the_same_number_in_every_batch() -> None:
    groups = Groups()
    assert groups.codes(binary(b"A", b"B"), np.array([1, 0, -1], np.int32)).tolist() == [1, 0, -1]
    assert groups.codes(binary(b"C", b"B"), np.array([0, 1], np.int32)).tolist() == [2, 1]
    assert len(groups) == 3
    assert groups.key(2) == b"C"


def test_a_null_key_is_no_group() -> None:
    groups = Groups()
    assert groups.codes(binary(), np.array([-1, -1], np.int32)).tolist() == [-1, -1]
    assert groups.keys(np.array([-1], np.int32)).to_pylist() == [None]


def test_numbers_turn_back_into_keys() -> None:
    groups = Groups()
    groups.codes(binary(b"A", b"B"), np.array([0], np.int32))
    assert groups.keys(np.array([1, -1, 0, 1], np.int32)).to_pylist() == [b"B", None, b"A", b"B"]
