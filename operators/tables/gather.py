"""The columns of the matched rows: every Arrow type comes out as it went in, null where there is no match."""

from functools import partial
from itertools import accumulate
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from operators.rows.views import Array, combined, offset_view, validity_bits
from operators.tables.fill import Column, Validity, ValueColumn, is_filled_by_value
from operators.tables.gather_kernel import gather_bytes, sum_sizes
from operators.tables.threads import ROWS_MULTIPLE, Workers
from operators.tables.walk import Matches, mark

WIDER: Final = pa.int32()  # the index of a dictionary whose words are too many for a narrower one
BYTES_MAX: Final = 2**31 - 1  # what a string array with int32 offsets can hold
LARGE: Final = {
    pa.string(): pa.large_string(),
    pa.binary(): pa.large_binary(),
    pa.string_view(): pa.large_string(),
    pa.binary_view(): pa.large_binary(),
}


def gather_column(column: pa.ChunkedArray, matches: Matches, workers: Workers) -> pa.ChunkedArray:
    """Return the value of each left row's match, in the column's own type.

    A dictionary whose pieces have more words than its index can number comes out with an index of 32 bits.
    """
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        storage = pa.chunked_array([piece.storage for piece in column.chunks], kind.storage_type)
        values = gather_column(storage, matches, workers)
        return pa.chunked_array(
            [pa.ExtensionArray.from_storage(kind, piece) for piece in values.chunks], kind
        )
    if kind in (pa.string_view(), pa.binary_view()):
        return gather_column(column.cast(LARGE[kind]), matches, workers).cast(kind)
    if pa.types.is_null(kind):
        return pa.chunked_array([pa.nulls(matches.positions.size)])
    if is_string(kind):
        return pa.chunked_array(gather_strings(string_source(column), kind, matches, workers), kind)
    if pa.types.is_run_end_encoded(kind):
        return encoded(gather_column(decoded(column), matches, workers), kind)
    source = one_dictionary(column) if pa.types.is_dictionary(kind) else combined(column)
    if is_filled_by_value(kind):
        array = filled(ValueColumn(source, matches.validity), matches, workers)
    else:
        array = take(source, matches)
    return pa.chunked_array([array], source.type)


def filled(column: Column, matches: Matches, workers: Workers) -> pa.Array:
    """Fill a column in all threads and return it."""
    positions = matches.positions
    workers.over(positions.size, lambda begin, end: column.fill(begin, end, positions[begin:end]))
    return column.array()


def one_dictionary(column: pa.ChunkedArray) -> pa.Array:
    """Return a dictionary column as one array, with a wider index where its words are too many together."""
    try:
        return combined(column)
    except pa.ArrowInvalid:
        if column.type.index_type.bit_width >= WIDER.bit_width:
            raise
        pieces = [
            pa.DictionaryArray.from_arrays(
                piece.indices.cast(WIDER), piece.dictionary, ordered=column.type.ordered
            )
            for piece in column.chunks
        ]
        return combined(pa.chunked_array(pieces))


def string_source(column: pa.ChunkedArray) -> pa.Array:
    """Return strings as one array, with wider offsets where several pieces are too long together."""
    if column.num_chunks > 1 and column.type in LARGE and column.nbytes > BYTES_MAX:
        return combined(column.cast(LARGE[column.type]))
    return combined(column)


def gather_strings(
    source: pa.Array, kind: pa.DataType, matches: Matches, workers: Workers, bytes_max: int = BYTES_MAX
) -> list[pa.Array]:
    """Gather strings: a pass for their sizes, then one that copies them.

    More than `bytes_max` bytes for offsets of 32 bits come out as several arrays.
    """
    validity = matches.validity
    bits = validity_bits(source)
    if bits is not None:
        validity = Validity(matches.positions.size, bits)
        mark(validity, matches.positions, workers)
    valid, count = validity.result()
    rows = matches.positions.size
    width = np.dtype(np.int64 if kind in LARGE.values() else np.int32)
    offsets, data = offset_view(source)
    arrays: list[pa.Array] = []
    pending = [(0, rows)]
    while pending:
        begin, end = pending.pop()
        positions = matches.positions[begin:end]
        sizes = range_sizes(offsets, positions, workers)
        if width == np.int32 and sum(sizes.values()) > bytes_max and end - begin > ROWS_MULTIPLE:
            middle = begin + -(-(end - begin) // (2 * ROWS_MULTIPLE)) * ROWS_MULTIPLE
            pending += [(middle, end), (begin, middle)]
            continue
        buffers = [None if valid is None else valid.slice(begin // 8)]
        buffers += copy_strings(offsets, data, positions, sizes, width, workers)
        nulls = rows - count if begin == 0 and end == rows else -1
        arrays.append(pa.Array.from_buffers(kind, end - begin, buffers, nulls))
    return arrays


def range_sizes(offsets: Array, positions: Array, workers: Workers) -> dict[int, int]:
    """Return how many bytes the matched strings of each thread's range hold, by the range's first row."""
    return dict(
        workers.over(positions.size, lambda begin, end: (begin, sum_sizes(offsets, positions, begin, end)))
    )


def copy_strings(
    offsets: Array,
    data: Array,
    positions: Array,
    sizes: dict[int, int],
    width: np.dtype[Any],
    workers: Workers,
) -> list[pa.Buffer]:
    """Return the offsets and bytes of the matched strings; `sizes` has the total of each thread's range."""
    ends = pa.allocate_buffer(width.itemsize * (positions.size + 1))
    chars = pa.allocate_buffer(sum(sizes.values()))
    out_ends, out = np.frombuffer(ends, width), np.frombuffer(chars, np.uint8)
    out_ends[0] = 0
    starts = dict(zip(sizes, accumulate(sizes.values(), initial=0), strict=False))
    gather = partial(gather_bytes, offsets, data, positions)
    workers.over(positions.size, lambda begin, end: gather(begin, end, starts[begin], out_ends, out))
    return [ends, chars]


def decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a run-end encoded column with one value per row, another one as it is."""
    if not pa.types.is_run_end_encoded(column.type):
        return column
    return pa.chunked_array([pc.run_end_decode(piece) for piece in column.chunks], column.type.value_type)


def encoded(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Return a column in runs again."""
    runs = [pc.run_end_encode(piece, run_end_type=kind.run_end_type) for piece in column.chunks]
    return pa.chunked_array(runs, kind)


def take(source: pa.Array, matches: Matches) -> pa.Array:
    """Gather any other type by Arrow's own means."""
    rows = matches.positions.size
    valid, count = matches.validity.result()
    indices = pa.Array.from_buffers(pa.int32(), rows, [valid, pa.py_buffer(matches.positions)], rows - count)
    return source.take(indices)


def is_string(kind: pa.DataType) -> bool:
    """Whether values are strings of bytes with offsets."""
    return kind in LARGE or kind in LARGE.values()
