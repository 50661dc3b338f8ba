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
    return int(row_hashes(rows).sum(dtype=np.uint64))


def combined(*hashes: int) -> int:
    """The hash of all the rows of these hashes together."""
    return sum(hashes) & _ALL


def row_hashes(rows: pa.RecordBatch) -> UInt64s:
    """Return the hash of each row, uint64."""
    total = np.zeros(rows.num_rows, np.uint64)
    columns = [
        (_seed(name), column, _bits_of_texts(column) if _is_text(column.type) else None)
        for name, column in zip(rows.schema.names, rows.columns, strict=True)
    ]
    values, shifted = np.empty((2, min(rows.num_rows, _ROWS)), np.uint64)
    for start in range(0, rows.num_rows, _ROWS):
        sums = total[start : start + _ROWS]
        values, shifted = values[: sums.size], shifted[: sums.size]
        for seed, column, texts in columns:
            own = column.slice(start, _ROWS)
            np.add(_bits(own) if texts is None else texts[start : start + _ROWS], seed, out=values)
            _mix(values, shifted)
            if own.null_count:
                values[own.is_null().to_numpy(zero_copy_only=False)] = 0
            sums += values
        _mix(sums, shifted)
    return total


def _mix(values: UInt64s, shifted: UInt64s) -> None:
    """Spread each bit of the values over all others, in place; `shifted` is room for as many."""
    for odd in (_ODD, _ODD_TOO):
        np.multiply(values, odd, out=values)
        np.right_shift(values, _HALF, out=shifted)
        np.bitwise_xor(values, shifted, out=values)


def _bits(column: pa.Array) -> UInt64s:
    """64 bits for each value, equal for equal values; what stands for a null does not count."""
    kind = column.type
    if pa.types.is_boolean(kind):
        return _numbers(column.cast(pa.uint8()))
    if pa.types.is_floating(kind):  # every NaN is one value
        nan = pc.is_nan(column)
        if pc.any(nan).as_py():
            column = pc.if_else(nan, pa.scalar(float("nan"), kind), column)
        return _numbers(column.view(_WIDTHS[kind.bit_width]))
    if pa.types.is_integer(kind) or pa.types.is_date32(kind):
        return _numbers(column.view(_WIDTHS[kind.bit_width]))
    values = column.to_pylist()  # decimals and nested values: few streams have any
    return np.array([0 if value is None else _of_bytes(repr(value).encode()) for value in values], np.uint64)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind))


def _bits_of_texts(column: pa.Array) -> UInt64s:
    """The bits of a whole column of texts: each text that it has is hashed once."""
    words = column.cast(pa.binary()).dictionary_encode()
    hashes = np.array([*map(_of_bytes, words.dictionary.to_pylist()), 0], np.uint64)
    bits: UInt64s = hashes[pc.fill_null(words.indices, 0).to_numpy(zero_copy_only=False)]
    return bits


def _numbers(column: pa.Array) -> UInt64s:
    if column.null_count:
        column = pc.fill_null(column, 0)
    return np.asarray(column.to_numpy(zero_copy_only=False)).astype(np.uint64, copy=False)


def _seed(name: str) -> np.uint64:
    return np.uint64(_of_bytes(name.encode()))


def _of_bytes(value: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(value, digest_size=8).digest(), "little")
