"""The hashes of the rows of one layout, batch after batch: those of `sealed_hashes`, at less cost a batch.

To wrap a column and to call a kernel for it costs more than what it computes of a batch of a hundred rows.
"""

import ctypes
from itertools import groupby
from typing import Any, Final

import numpy as np
import pyarrow as pa
from pyarrow import types

from operators.hashing.batch_kernel import BITS, BYTES, COMPILED, FLOATS, LEFT_OUT, WORDS, fold_columns
from operators.hashing.row_hash import WHOLE_WORDS, fold, new_hashes
from operators.hashing.row_hash_kernel import UInt64s, scatter_bits

OTHER: Final = -1  # a column that is folded by itself

_address_of: Final = ctypes.pythonapi.PyCapsule_GetPointer
_address_of.restype = ctypes.c_void_p
_address_of.argtypes = (ctypes.py_object, ctypes.c_char_p)


class BatchHashes:
    """Hashes rows of a schema over all of its columns but those `without`."""

    def __init__(self, schema: pa.Schema, without: tuple[str, ...] = ()) -> None:
        self._schema = schema
        kinds = [LEFT_OUT if field.name in without else _kind(field.type) for field in schema]
        if not COMPILED:
            kinds = [OTHER if kind != LEFT_OUT else kind for kind in kinds]
        self._kinds = np.array(kinds, np.int64)
        # The columns in order: those that one call folds together, and each of the others.
        self._runs: list[tuple[int, int, bool]] = []
        for plain, places in groupby(range(len(kinds)), lambda place: kinds[place] != OTHER):
            run = list(places)
            self._runs += [(run[0], run[-1] + 1, True)] if plain else [(at, at + 1, False) for at in run]

    def of(self, rows: pa.RecordBatch) -> UInt64s:
        """One hash per row, uint64; the rows are of the schema."""
        assert rows.schema.equals(self._schema), "rows of another layout"
        hashes = new_hashes(rows.num_rows)
        capsules: Any = rows.__arrow_c_array__() if COMPILED else None  # they hold what the address leads to
        address = _address_of(capsules[1], b"arrow_array") if COMPILED else 0
        with np.errstate(over="ignore"):  # as in `row_hashes`
            for first, behind, plain in self._runs if rows.num_rows else ():
                if not plain:
                    fold(rows.column(first), hashes)
                elif COMPILED:
                    fold_columns(address, self._kinds, first, behind, rows.num_rows, hashes)
            scatter_bits(hashes)
        return hashes


def _kind(of_column: pa.DataType) -> int:
    """How a kernel reads a column; `OTHER` where it does not."""
    if types.is_boolean(of_column):
        return BITS
    if of_column.id in WHOLE_WORDS:
        return WORDS[of_column.bit_width // 8]
    if types.is_floating(of_column):
        return FLOATS.get(of_column.bit_width // 8, OTHER)
    if types.is_string(of_column) or types.is_binary(of_column):
        return BYTES[4]
    if types.is_large_string(of_column) or types.is_large_binary(of_column):
        return BYTES[8]
    return OTHER
