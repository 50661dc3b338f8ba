"""One 64-bit hash per row over any columns: equal for equal values, however Arrow holds them.

The hash is part of what lies on the wire (`schemas.frame.PARITY`), so it never changes.  Columns count in
their order, not by name or width; a null is no value, and what lies under it does not count.  A dictionary
hashes as its values do.  -0.0 is 0.0 and every NaN the same, as in any comparison of rows.
"""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from operators.hashing.row_hash_kernel import (
    UInt64s,
    fold_floats,
    fold_words,
    hash_lists,
    hash_spans,
    scatter_bits,
)
from operators.rows.buffers import byte_spans, fixed_dtype, fixed_values, is_bytes, is_fixed, valid_of
from schemas.batch import Bools, Int64s

SEED: Final = 0x27D4EB2F165667C5
NO_NULLS: Final = np.empty(0, np.bool_)
# By the number of a type, its words: of the numbers and times that are met most.
WHOLE_WORDS: Final = {
    kind.id: fixed_dtype(kind)
    for kind in (
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.date32(), pa.date64(), pa.time32("s"), pa.time64("ns"), pa.timestamp("ns"), pa.duration("ns")),
    )
}
# Sign and infinity of a float, by its width in bits.
FLOAT_BITS: Final = {
    16: (np.uint64(1 << 15), np.uint64(0x7C00)),
    32: (np.uint64(1 << 31), np.uint64(0x7F800000)),
    64: (np.uint64(1 << 63), np.uint64(0x7FF0000000000000)),
}


def row_hashes(columns: list[pa.Array], rows: int) -> UInt64s:
    """The hash of each of `rows` rows of `columns`, uint64."""
    hashes = new_hashes(rows)
    with np.errstate(over="ignore"):  # the arithmetic wraps; only kernels run as plain Python would say so
        for column in columns:
            fold(column, hashes)
        scatter_bits(hashes)
    return hashes


def new_hashes(rows: int) -> UInt64s:
    """Hashes of so many rows before any column is folded into them."""
    hashes = np.empty(rows, np.uint64)
    hashes.fill(SEED)
    return hashes


def fold(array: pa.Array, hashes: UInt64s) -> None:
    """Fold one value per row into `hashes`."""
    if (dtype := WHOLE_WORDS.get(array.type.id)) is not None:
        validity = valid_of(array)
        fold_words(fixed_values(array, dtype), NO_NULLS if validity is None else validity, hashes)
        return
    array = _plain(array)
    kind = array.type
    if types.is_dictionary(kind):
        words, valid = _dictionary_words(array)
        fold_words(words, valid, hashes)
        return
    validity = NO_NULLS if types.is_null(kind) else valid_of(array)
    valid = NO_NULLS if validity is None else validity
    if types.is_null(kind):
        fold_words(np.zeros(len(array), np.uint64), np.zeros(len(array), np.bool_), hashes)
    elif types.is_floating(kind):
        sign, infinity = FLOAT_BITS[kind.bit_width]
        fold_floats(fixed_values(array, fixed_dtype(kind)), sign, infinity, valid, hashes)
    elif is_fixed(kind) and fixed_dtype(kind).kind == "u":
        fold_words(fixed_values(array, fixed_dtype(kind)), valid, hashes)
    else:
        fold_words(_value_words(array), valid, hashes)


def _value_words(array: pa.Array) -> UInt64s:
    """One word per value that is no plain number: the hash of what it holds; arbitrary at a null."""
    kind = array.type
    words = np.empty(len(array), np.uint64)
    if is_bytes(kind):
        data, bounds = byte_spans(array)
        hash_spans(data, bounds, words)
    elif is_fixed(kind):
        data = fixed_values(array, fixed_dtype(kind)).view(np.uint8)
        size = kind.bit_width // 8
        hash_spans(data, np.arange(0, size * len(array) + 1, size, dtype=np.int64), words)
    elif types.is_struct(kind):
        return row_hashes([array.field(i) for i in range(kind.num_fields)], len(array))
    elif types.is_list(kind) or types.is_large_list(kind):
        hash_lists(_int64s(array.offsets), row_hashes([array.values], len(array.values)), words)
    elif types.is_fixed_size_list(kind):
        bounds = (array.offset + np.arange(len(array) + 1, dtype=np.int64)) * kind.list_size
        hash_lists(bounds, row_hashes([array.values], len(array.values)), words)
    else:  # maps, unions, list views: none of them comes from a flat record, so being slow is no harm
        texts = pa.array([repr(value).encode() for value in array.to_pylist()], pa.large_binary())
        return _value_words(texts)
    return words


def _dictionary_words(array: pa.DictionaryArray) -> tuple[UInt64s, Bools]:
    """A word per row and which rows have a value, so that the fold is that of the decoded array."""
    dictionary = _plain(array.dictionary)
    valid = np.asarray(array.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)
    if len(dictionary) == 0:
        return np.zeros(len(array), np.uint64), valid
    code = _int64s(array.indices.fill_null(0))
    valid = valid & np.asarray(dictionary.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)[code]
    if is_fixed(dictionary.type) and fixed_dtype(dictionary.type).kind == "u":
        words = fixed_values(dictionary, fixed_dtype(dictionary.type)).astype(np.uint64)
        if types.is_floating(dictionary.type):
            words = _canonical(words, dictionary.type.bit_width)
    else:
        words = _value_words(dictionary)
    return words[code], valid


def _canonical(bits: UInt64s, width: int) -> UInt64s:
    sign, infinity = FLOAT_BITS[width]
    magnitude = bits & ~sign
    return np.where(
        magnitude == 0, np.uint64(0), np.where(magnitude > infinity, sign | infinity | np.uint64(1), bits)
    )


def _plain(array: pa.Array) -> pa.Array:
    """The array without what is only a way to hold it."""
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(array.storage)
    if types.is_run_end_encoded(kind):
        return _plain(pc.run_end_decode(array))
    if types.is_string_view(kind) or types.is_binary_view(kind):
        return array.cast(pa.large_binary())
    return array


def _int64s(array: pa.Array) -> Int64s:
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.int64)
