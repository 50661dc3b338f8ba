"""A hash of rows that no order, cut or file changes: the sum of the hashes of rows, in 64 bits.

The hash of two parts together is the sum of theirs, so what a compaction wrote is held against what it read.
A null adds nothing: a column that came later changes no hash of the rows before it.
"""

import hashlib
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

UInt64s: TypeAlias = npt.NDArray[np.uint64]

_ALL: Final = (1 << 64) - 1
_ODD: Final = np.uint64(0x9E3779B97F4A7C15)
_ODD_TOO: Final = np.uint64(0xC2B2AE3D27D4EB4F)
_HALF: Final = np.uint64(32)
_ROWS: Final = 16_384  # hashed at once: their arrays stay in the processor's cache
_WIDTHS: Final = {8: pa.uint8(), 16: pa.uint16(), 32: pa.uint32(), 64: pa.uint64()}


def content_hash(rows: pa.RecordBatch) -> int:
    """Return the hash of stored rows, 0 to 2**64 - 1; that of no row is 0."""
    total = 0
    for start in range(0, rows.num_rows, _ROWS):
        total += int(row_hashes(rows.slice(start, _ROWS)).sum(dtype=np.uint64))
    return total & _ALL


def combined(*hashes: int) -> int:
    """The hash of all the rows of these hashes together."""
    return sum(hashes) & _ALL


def row_hashes(rows: pa.RecordBatch) -> UInt64s:
    """Return the hash of each row, uint64."""
    total = np.zeros(rows.num_rows, np.uint64)
    for name, column in zip(rows.schema.names, rows.columns, strict=True):
        values = _mixed(_bits(column) + _seed(name))
        if column.null_count:
            values[column.is_null().to_numpy(zero_copy_only=False)] = 0
        total += values
    return _mixed(total)


def _mixed(values: UInt64s) -> UInt64s:
    """The values, each bit of them spread over all others; `values` is overwritten."""
    values *= _ODD
    values ^= values >> _HALF
    values *= _ODD_TOO
    values ^= values >> _HALF
    return values


def _bits(column: pa.Array) -> UInt64s:
    """64 bits for each value, equal for equal values; what stands for a null does not count."""
    kind = column.type
    if pa.types.is_boolean(kind):
        return _numbers(column.cast(pa.uint8()))
    if pa.types.is_floating(kind):  # every NaN is one value
        column = pc.if_else(pc.is_nan(column), pa.scalar(float("nan"), kind), column)
        return _numbers(column.view(_WIDTHS[kind.bit_width]))
    if pa.types.is_integer(kind) or pa.types.is_date32(kind):
        return _numbers(column.view(_WIDTHS[kind.bit_width]))
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        words = column.cast(pa.binary()).dictionary_encode()
        hashes = [_of_bytes(word) for word in words.dictionary.to_pylist()]
        return np.array([*hashes, 0], np.uint64)[_numbers(words.indices).astype(np.int64)]
    values = column.to_pylist()  # decimals and nested values: few streams have any
    return np.array([0 if value is None else _of_bytes(repr(value).encode()) for value in values], np.uint64)


def _numbers(column: pa.Array) -> UInt64s:
    if column.null_count:
        column = pc.fill_null(column, 0)
    return np.asarray(column.to_numpy(zero_copy_only=False)).astype(np.uint64)


def _seed(name: str) -> np.uint64:
    return np.uint64(_of_bytes(name.encode()))


def _of_bytes(value: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(value, digest_size=8).digest(), "little")
