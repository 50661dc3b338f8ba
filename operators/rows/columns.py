"""A growing column of one Arrow type: append arrays, gather any rows back as an array."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from operators.rows.buffers import (
    byte_spans,
    bytes_array,
    fixed_array,
    fixed_dtype,
    fixed_values,
    is_bytes,
    is_fixed,
    valid_of,
)
from operators.rows.bytes_kernel import copy_spans, move_down
from schemas.batch import Bools, Int64s

CAPACITY_MIN = 1024  # rows
ROOM_MAX = 4  # times the room that is wanted


class Column(Protocol):
    """Rows are named by their place, from 0 in the order of arrival."""

    @property
    def size(self) -> int:
        """Bytes of the rows held."""
        ...

    def append(self, array: pa.Array) -> None: ...

    def gather(self, rows: Int64s, present: Bools | None) -> pa.Array:
        """The values of `rows`; null where `present` (bool per row, None for all) is false."""
        ...

    def has_value(self, rows: Int64s) -> Bools:
        """Which of `rows` are not null."""
        ...

    def keep(self, rows: Int64s) -> None:
        """Forget all but `rows`, which ascend and become the rows 0, 1, ..."""
        ...


def make_column(kind: pa.DataType) -> Column:
    """The fastest column that can hold `kind`; every type has one."""
    if is_fixed(kind):
        return FixedColumn(kind)
    if is_bytes(kind):
        return BytesColumn(kind)
    if types.is_dictionary(kind) and (is_bytes(kind.value_type) or types.is_integer(kind.value_type)):
        return DictionaryColumn(kind)
    return ArrowColumn(kind)


def new_room(dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An array without rows yet, with room for a few."""
    return np.empty(CAPACITY_MIN, dtype)


def with_room(values: npt.NDArray[np.generic], used: int, more: int) -> npt.NDArray[np.generic]:
    """`values`, or a copy of `values[:used]` with room for `more`; doubles, so appending is O(1)."""
    if used + more <= values.size:
        return values
    grown = np.empty(max(CAPACITY_MIN, 2 * values.size, used + more), values.dtype)
    grown[:used] = values[:used]
    return grown


def kept(values: npt.NDArray[np.generic], rows: Int64s) -> npt.NDArray[np.generic]:
    """The values of `rows`, which ascend, in front of room for as many more.

    They move in place: fresh memory costs more than the copy.  Only an array that has become far too large
    is given back.
    """
    room = max(CAPACITY_MIN, 2 * rows.size)
    if values.size > ROOM_MAX * room or values.dtype.kind == "V":
        moved = np.empty(room, values.dtype)
        moved[: rows.size] = values[rows]
        return moved
    move_down(values, rows)
    return with_room(values, rows.size, rows.size)


def pick(values: npt.NDArray[np.generic], rows: Int64s) -> npt.NDArray[np.generic]:
    """`values[rows]`, where a row of -1 reads row 0."""
    return values.take(rows, mode="clip")


class Validity:
    """One bool per row, held only from the first null on."""

    def __init__(self) -> None:
        self._bits: Bools | None = None

    @property
    def any_null(self) -> bool:
        """Whether a null may be among the rows."""
        return self._bits is not None

    def append(self, valid: Bools | None, used: int, more: int) -> None:
        """Add `more` rows behind `used`; `valid` None means no nulls among them."""
        if valid is None and self._bits is None:
            return
        bits = self._bits if self._bits is not None else np.ones(used, np.bool_)
        bits = with_room(bits, used, more).view(np.bool_)
        bits[used : used + more] = True if valid is None else valid
        self._bits = bits

    def gather(self, rows: Int64s, present: Bools | None) -> Bools | None:
        """Which of `rows` are present and not null; None where all are."""
        if self._bits is None:
            return None if present is None or present.all() else present
        valid = self._bits.take(rows, mode="clip")
        if present is not None:
            valid &= present
        return None if valid.all() else valid

    def keep(self, rows: Int64s) -> None:
        """Forget all but `rows`."""
        if self._bits is not None:
            bits = self._bits[rows]
            self._bits = None if bits.all() else bits


class FixedColumn:
    """Values of one width in one buffer."""

    def __init__(self, kind: pa.DataType) -> None:
        self._kind = kind
        self._rows = 0
        self._values: npt.NDArray[np.generic] = new_room(fixed_dtype(kind))
        self._valid = Validity()

    @property
    def size(self) -> int:
        """Bytes of the rows held, a byte per row for validity where there are nulls."""
        return self._rows * (self._values.itemsize + self._valid.any_null)

    def append(self, array: pa.Array) -> None:
        """Add the rows of `array`."""
        more = len(array)
        self._values = with_room(self._values, self._rows, more)
        self._values[self._rows : self._rows + more] = fixed_values(array, self._values.dtype)
        self._valid.append(valid_of(array), self._rows, more)
        self._rows += more

    def gather(self, rows: Int64s, present: Bools | None) -> pa.Array:
        """The values of `rows`, zero bytes under a null."""
        values = pick(self._values, rows)
        valid = self._valid.gather(rows, present)
        if valid is not None:
            values[~valid] = np.zeros(1, values.dtype)
        return fixed_array(self._kind, values, valid)

    def has_value(self, rows: Int64s) -> Bools:
        """Which of `rows` are not null."""
        valid = self._valid.gather(rows, None)
        return np.ones(rows.size, np.bool_) if valid is None else valid

    def keep(self, rows: Int64s) -> None:
        """Forget all but `rows`."""
        self._values = kept(self._values, rows)
        self._valid.keep(rows)
        self._rows = rows.size


class BytesColumn:
    """Strings or binary values: all bytes in one buffer, where each row's begin and how many they are."""

    def __init__(self, kind: pa.DataType) -> None:
        self._kind = kind
        self._rows = 0
        self._used = 0
        self._data = new_room(np.uint8)
        self._first = new_room(np.int64)
        self._count = new_room(np.int64)
        self._valid = Validity()

    @property
    def size(self) -> int:
        """Bytes of the rows held, 16 more per row for where they are."""
        return self._used + 16 * self._rows

    def append(self, array: pa.Array) -> None:
        """Add the rows of `array`."""
        data, bounds = byte_spans(array)
        valid = valid_of(array)
        stop = self._rows + len(array)
        self._data = with_room(self._data, self._used, data.size).view(np.uint8)
        self._first = with_room(self._first, self._rows, len(array)).view(np.int64)
        self._count = with_room(self._count, self._rows, len(array)).view(np.int64)
        self._data[self._used : self._used + data.size] = data
        self._first[self._rows : stop] = self._used + bounds[:-1]
        self._count[self._rows : stop] = bounds[1:] - bounds[:-1]
        if valid is not None:
            self._count[self._rows : stop][~valid] = 0
        self._valid.append(valid, self._rows, len(array))
        self._used += data.size
        self._rows = stop

    def gather(self, rows: Int64s, present: Bools | None) -> pa.Array:
        """The values of `rows`, no bytes under a null."""
        valid = self._valid.gather(rows, present)
        data, bounds = self._copy(rows, valid)
        return bytes_array(self._kind, data, bounds, valid)

    def has_value(self, rows: Int64s) -> Bools:
        """Which of `rows` are not null."""
        valid = self._valid.gather(rows, None)
        return np.ones(rows.size, np.bool_) if valid is None else valid

    def keep(self, rows: Int64s) -> None:
        """Forget all but `rows`."""
        data, bounds = self._copy(rows, None)
        self._data = np.empty(max(CAPACITY_MIN, 2 * data.size), np.uint8)
        self._data[: data.size] = data
        self._first = np.empty(max(CAPACITY_MIN, 2 * rows.size), np.int64)
        self._count = np.empty_like(self._first)
        self._first[: rows.size] = bounds[:-1]
        self._count[: rows.size] = bounds[1:] - bounds[:-1]
        self._valid.keep(rows)
        self._used = data.size
        self._rows = rows.size

    def _copy(self, rows: Int64s, valid: Bools | None) -> tuple[npt.NDArray[np.uint8], Int64s]:
        bounds = np.zeros(rows.size + 1, np.int64)
        counts = self._count.take(rows, mode="clip")
        if valid is not None:
            counts[~valid] = 0
        np.cumsum(counts, out=bounds[1:])
        data = np.empty(int(bounds[-1]), np.uint8)
        copy_spans(self._data, self._first, np.ascontiguousarray(rows), bounds, data)
        return data, bounds


class DictionaryColumn:
    """Words of text, bytes or whole numbers, each held once, and a number per row that says which one it has.

    Batches come with dictionaries of their own.  Words that no row held has any more are forgotten once they
    are the greater part, however many batches bring new ones.
    """

    def __init__(self, kind: pa.DictionaryType) -> None:
        self._kind = kind
        self._codes = FixedColumn(pa.int32())
        self._words = pa.array([], kind.value_type)

    @property
    def size(self) -> int:
        """Bytes of the rows held, and of the words."""
        return self._codes.size + int(self._words.nbytes)

    def append(self, array: pa.DictionaryArray) -> None:
        """Add the rows of `array`."""
        if array.dictionary.equals(self._words):
            self._codes.append(array.indices.cast(pa.int32()))
        else:
            self._codes.append(self._numbered(array.dictionary).take(array.indices))

    def gather(self, rows: Int64s, present: Bools | None) -> pa.Array:
        """The values of `rows`, over a dictionary of all words held."""
        codes = self._codes.gather(rows, present).cast(self._kind.index_type)
        return pa.DictionaryArray.from_arrays(codes, self._words, ordered=self._kind.ordered)

    def has_value(self, rows: Int64s) -> Bools:
        """Which of `rows` are not null."""
        return self._codes.has_value(rows)

    def keep(self, rows: Int64s) -> None:
        """Forget all but `rows`, and the words that none of them has where most are of that kind."""
        self._codes.keep(rows)
        if len(self._words) <= max(CAPACITY_MIN, 2 * rows.size):
            return
        codes = self._codes.gather(np.arange(rows.size), None)
        used = codes.drop_null().unique()
        self._words = self._words.take(used)
        self._codes = FixedColumn(pa.int32())
        self._codes.append(pc.index_in(codes, value_set=used))

    def _numbered(self, words: pa.Array) -> pa.Array:
        """The place of each of these words among those held, which get the new ones; null for a null."""
        known = pc.index_in(words, value_set=self._words)
        fresh = words.filter(pc.and_(known.is_null(), words.is_valid()))
        if len(fresh):
            self._words = pa.concat_arrays([self._words, fresh.unique()])
            known = pc.index_in(words, value_set=self._words)
        return known


class ArrowColumn:
    """Any other type (lists, structs, other dictionaries): Arrow's own arrays, joined before they are read.

    Reading costs a copy of all rows held when rows came since; the plain columns pay for what they read only.
    """

    def __init__(self, kind: pa.DataType) -> None:
        self._kind = kind
        self._pieces: list[pa.Array] = [pa.array([], kind)]

    @property
    def size(self) -> int:
        """Bytes of the rows held, as Arrow counts them."""
        return sum(piece.nbytes for piece in self._pieces)

    def append(self, array: pa.Array) -> None:
        """Add the rows of `array`."""
        self._pieces.append(array)

    def gather(self, rows: Int64s, present: Bools | None) -> pa.Array:
        """The values of `rows`."""
        missing = None if present is None else ~present
        return self._joined().take(pa.array(rows, mask=missing))

    def has_value(self, rows: Int64s) -> Bools:
        """Which of `rows` are not null."""
        valid = self.gather(rows, None).is_valid()
        return np.asarray(valid.to_numpy(zero_copy_only=False), np.bool_)

    def keep(self, rows: Int64s) -> None:
        """Forget all but `rows`."""
        self._pieces = [self._joined().take(pa.array(rows))]

    def _joined(self) -> pa.Array:
        if len(self._pieces) > 1:
            self._pieces = [pa.concat_arrays(self._pieces)]
        return self._pieces[0]
