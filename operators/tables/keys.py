"""Group columns to group codes: one int32 per row, equal where all group columns are, in all tables.

Right keys are numbered, left keys looked up.  A null in any group column gives -1, and so does a left key
that no right table has: neither can match.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from operators.rows.key_kernel import blank_nulls, direct_codes, mapped_codes, paired_codes
from operators.rows.key_table import KeyTable
from operators.rows.views import Array, frozen, validity_bits, value_view
from operators.tables.key_types import as_key_values, key_values_type, readable
from operators.tables.threads import Workers
from schemas.key_types import is_whole, plain

Int32s = npt.NDArray[np.int32]

ROWS_PER_PIECE: Final = 1 << 18  # rows converted at a time, where keys are not read as they are
ROWS_ENTERED: Final = 1 << 15  # rows whose keys enter the table before the others are looked up
DIRECT_SPAN_MIN: Final = 1 << 16  # whole numbers this close together need no table
NO_CODES: Final = frozen(np.empty(0, np.int32))


@dataclass(frozen=True, slots=True)
class Codes:
    """Group codes of one left table and any number of right ones.

    All int32, from 0 up to `group_count`, exclusive, or anything else for a row that cannot match.
    """

    left: Int32s
    rights: dict[str, Int32s]
    group_count: int


@dataclass(frozen=True, slots=True)
class KeyColumns:
    """One group column of every table, and the type whose values are compared."""

    left: pa.ChunkedArray
    rights: dict[str, pa.ChunkedArray]
    values: pa.DataType


def encode_keys(
    left: pa.Table, rights: dict[str, pa.Table], by: Sequence[str], workers: Workers
) -> Codes | None:
    """Return the group codes of all tables, None without group columns.

    Raises AsofError where key types cannot be compared.
    """
    codes = None
    for name in by:
        types = {stream: right.column(name).type for stream, right in rights.items()}
        values = key_values_type(name, left.column(name).type, types)
        columns = KeyColumns(
            readable(left.column(name)),
            {stream: readable(right.column(name)) for stream, right in rights.items()},
            values,
        )
        further = encode_column(columns, workers)
        codes = further if codes is None else pair(codes, further, workers)
    if codes is None:
        return None
    frozen_rights = {stream: frozen(right) for stream, right in codes.rights.items()}
    return Codes(frozen(codes.left), frozen_rights, codes.group_count)


def encode_column(columns: KeyColumns, workers: Workers) -> Codes:
    """Return the codes of one group column."""
    every = (columns.left, *columns.rights.values())
    if pa.types.is_null(columns.values):
        blank_rights = {stream: blanks(right) for stream, right in columns.rights.items()}
        return Codes(blanks(columns.left), blank_rights, 1)
    if all(is_whole(column.type) for column in every):
        span = span_of(list(columns.rights.values()), workers)
        if span is not None:
            return encode_directly(columns, *span, workers)
    table = KeyTable(strings=not pa.types.is_int64(columns.values))
    rights = {
        stream: encode_by_table(right, columns.values, table, True, workers)
        for stream, right in columns.rights.items()
    }
    left = encode_by_table(columns.left, columns.values, table, False, workers)
    return Codes(left, rights, max(1, table.count))


def blanks(column: pa.ChunkedArray) -> Int32s:
    """Return codes that match nothing."""
    return np.full(len(column), -1, np.int32)


def span_of(rights: Sequence[pa.ChunkedArray], workers: Workers) -> tuple[int, int] | None:
    """Return the lowest right value and how many up to the highest, or None when they lie too far apart."""
    bounds = [bound for right in rights for bound in bounds_of(right, workers)]
    lowest = [bound["min"].as_py() for bound in bounds if bound["min"].is_valid]
    highest = [bound["max"].as_py() for bound in bounds if bound["max"].is_valid]
    if not lowest:
        return 0, 1
    lower, upper = min(lowest), max(highest)
    if upper >= 2**63 or upper - lower >= max(DIRECT_SPAN_MIN, sum(len(right) for right in rights)):
        return None
    return lower, upper - lower + 1


def bounds_of(column: pa.ChunkedArray, workers: Workers) -> list[pa.StructScalar]:
    """Return the lowest and the highest value of each thread's range."""
    return workers.over(len(column), lambda begin, end: pc.min_max(column.slice(begin, end - begin)))


def encode_directly(columns: KeyColumns, lower: int, span: int, workers: Workers) -> Codes:
    """Return whole numbers less the lowest as codes; int32 columns from 0 up are their own codes."""
    every = (columns.left, *columns.rights.values())
    if all(is_own_code(column) for column in every) and 0 <= lower <= max(DIRECT_SPAN_MIN, span):
        own = {stream: value_view(right.chunk(0), np.int32) for stream, right in columns.rights.items()}
        return Codes(value_view(columns.left.chunk(0), np.int32), own, lower + span)

    def encode(column: pa.ChunkedArray) -> Int32s:
        out = np.empty(len(column), np.int32)

        def encode_range(begin: int, end: int) -> None:
            for start, piece in pieces(column, begin, end):
                target = out[start : start + len(piece)]
                direct_codes(whole_view(piece), lower, span, target)
                blank(piece, target)

        workers.over(len(column), encode_range)
        return out

    return Codes(encode(columns.left), {s: encode(right) for s, right in columns.rights.items()}, span)


def encode_by_table(
    column: pa.ChunkedArray, values: pa.DataType, table: KeyTable, insert: bool, workers: Workers
) -> Int32s:
    """Return a column's codes; with `insert` new keys enter the table."""
    if pa.types.is_null(plain(column.type)):
        return blanks(column)
    if pa.types.is_dictionary(column.type):
        return encode_dictionary(column, values, table, insert)
    out = np.empty(len(column), np.int32)

    def encode(begin: int, end: int, enter: bool) -> bool:
        known = True
        for start, piece in pieces(column, begin, end):
            target = out[start : start + len(piece)]
            table.codes(as_key_values(piece, values), insert=enter, out=target)
            known = known and (enter or int(target.min(initial=0)) >= 0)
            blank(piece, target)
        return known

    share(len(column), encode, insert, workers)
    return out


def share(rows: int, encode: Callable[[int, int, bool], bool], insert: bool, workers: Workers) -> None:
    """Encode all rows, looking keys up in many threads; `encode` says whether it found all of them.

    Only one thread can enter new keys.  The first rows tend to hold nearly all keys there are, so the others
    are looked up first, and entered only where some were not found.
    """
    entered = min(rows, ROWS_ENTERED) if insert else 0
    if insert:
        encode(0, entered, True)
    known = workers.over(rows - entered, lambda begin, end: encode(entered + begin, entered + end, False))
    if insert and not all(known):
        encode(entered, rows, True)


def encode_dictionary(column: pa.ChunkedArray, values: pa.DataType, table: KeyTable, insert: bool) -> Int32s:
    """Return a dictionary column's codes: its few values go through the table, its indices are mapped.

    When the mapping changes nothing, int32 indices are the codes and nothing is written.
    """
    out = NO_CODES
    mapping = NO_CODES
    row = 0
    for place, piece in enumerate(column.chunks):
        if place == 0 or not piece.dictionary.equals(column.chunk(place - 1).dictionary):
            mapping = np.empty(len(piece.dictionary), np.int32)
            table.codes(as_key_values(piece.dictionary, values), insert=insert, out=mapping)
            blank(piece.dictionary, mapping)
            frozen(mapping)
        if is_own_code(column) and np.array_equal(mapping, np.arange(mapping.size)):
            return value_view(piece, np.int32)
        if out.size == 0:
            out = np.empty(len(column), np.int32)
        target = out[row : row + len(piece)]
        mapped_codes(value_view(piece, piece.type.index_type.to_pandas_dtype()), mapping, target)
        if piece.indices.null_count > 0:
            blank(piece, target)
        row += len(piece)
    return out


def pair(first: Codes, second: Codes, workers: Workers) -> Codes:
    """Return the codes of the pairs of two columns' codes, numbered anew when there could be too many."""
    product = first.group_count * second.group_count
    table = None
    if product > max(DIRECT_SPAN_MIN, sum(right.size for right in first.rights.values())):
        table = KeyTable(strings=False)
    rights = {
        stream: pair_side(mine, second.rights[stream], first, second, table, True, workers)
        for stream, mine in first.rights.items()
    }
    left = pair_side(first.left, second.left, first, second, table, False, workers)
    return Codes(left, rights, product if table is None else max(1, table.count))


def pair_side(
    mine: Int32s,
    other: Int32s,
    first: Codes,
    second: Codes,
    table: KeyTable | None,
    insert: bool,
    workers: Workers,
) -> Int32s:
    """Return one table's paired codes."""
    out = np.empty(mine.size, np.int32)

    def encode(begin: int, end: int, enter: bool) -> bool:
        known = True
        for start in range(begin, end, ROWS_PER_PIECE):
            rows = slice(start, min(start + ROWS_PER_PIECE, end))
            pairs = np.empty(rows.stop - rows.start, np.int64)
            paired_codes(
                frozen(mine[rows]), frozen(other[rows]), first.group_count, second.group_count, pairs
            )
            if table is None:
                out[rows] = pairs
            else:
                table.codes(pa.array(pairs), insert=enter, out=out[rows])
                known = known and (enter or int(out[rows].min(initial=0)) >= 0)
                out[rows][pairs < 0] = -1
        return known

    share(mine.size, encode, insert, workers)
    return out


def pieces(column: pa.ChunkedArray, begin: int, end: int) -> Iterator[tuple[int, pa.Array]]:
    """Yield the rows [begin, end) of a column as arrays of bounded length, each with its first row."""
    start = 0
    for array in column.chunks:
        stop = start + len(array)
        for first in range(max(start, begin), min(stop, end), ROWS_PER_PIECE):
            yield first, array.slice(first - start, min(ROWS_PER_PIECE, stop - first, end - first))
        start = stop


def blank(piece: pa.Array, codes: Int32s) -> None:
    """Set the codes of null rows to -1."""
    bits = validity_bits(piece)
    if bits is not None:
        blank_nulls(*bits, codes)


def whole_view(piece: pa.Array) -> Array:
    """Return whole numbers of any width; the span has been found to lie within int64."""
    return value_view(piece, piece.type.to_pandas_dtype())


def is_own_code(column: pa.ChunkedArray) -> bool:
    """Whether a column's 32-bit values or indices could serve as codes where they lie."""
    kind = column.type.index_type if pa.types.is_dictionary(column.type) else column.type
    if kind not in (pa.int32(), pa.uint32()) or column.num_chunks != 1:
        return False
    return validity_bits(column.chunk(0)) is None
