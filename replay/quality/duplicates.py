"""Rows whose id was there shortly before: a venue's second report of one trade (formulas.md D3).

The first in order is kept.  A row without an id is never a duplicate: equal rows are real trades.
"""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from replay.errors import HistoryError
from replay.order import as_array, as_int64s
from schemas.batch import Bools, Int64s
from schemas.clocks import NS_PER_S

DEDUP_NS: Final = 10 * NS_PER_S


class Duplicates:
    """Follows the ids of each source for `dedup_ns` after the row that was kept, which counts as within.

    Remembers ids of that span alone; any cut of the rows into batches gives the same answers.
    """

    def __init__(self, kind: pa.DataType, dedup_ns: int = DEDUP_NS) -> None:
        """`kind` is the type of the ids: text or whole numbers, else HistoryError is raised."""
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)):
            raise HistoryError(f"ids are {kind}, and only text and whole numbers can tell duplicates")
        if dedup_ns < 0:
            raise HistoryError(f"the span of duplicates, {dedup_ns} ns, must be 0 or more")
        self._dedup_ns = dedup_ns
        self._sources = np.empty(0, np.int64)
        self._ids = pa.array([], kind)
        self._times_ns = np.empty(0, np.int64)

    def take(self, sources: Int64s, ids: pa.Array, times_ns: Int64s) -> Bools:
        """Return which of the next rows are duplicates.

        `sources` numbers who gave each id, and times do not fall.
        """
        duplicate = np.zeros(times_ns.size, np.bool_)
        there = np.flatnonzero(as_array(ids.is_valid()).astype(np.bool_))
        held = self._times_ns.size
        source = np.concatenate([self._sources, sources[there]])
        name = pa.concat_arrays([self._ids, ids.take(pa.array(there))])
        time_ns = np.concatenate([self._times_ns, times_ns[there]])
        if time_ns.size == 0:
            return duplicate
        codes = as_int64s(name.dictionary_encode().indices.cast(pa.int64()))
        order = np.lexsort([codes, source])  # equal ids of a source in the order in which they came
        kept = self._kept(source[order], codes[order], time_ns[order])
        keeps = np.empty(time_ns.size, np.bool_)
        keeps[order] = kept
        duplicate[there[~keeps[held:]]] = True
        last = np.append((np.diff(source[order]) != 0) | (np.diff(codes[order]) != 0), True)
        newest = self._newest(order, kept, last)
        newest = newest[time_ns[newest] >= times_ns[-1] - self._dedup_ns] if times_ns.size else newest
        self._sources, self._times_ns = source[newest], time_ns[newest]
        self._ids = name.take(pa.array(newest))
        return duplicate

    def _kept(self, source: Int64s, codes: Int64s, time_ns: Int64s) -> Bools:
        """Which rows are kept, of rows by source and id, each id's in order."""
        begins = (np.diff(source) != 0) | (np.diff(codes) != 0) | (np.diff(time_ns) > self._dedup_ns)
        # A row that comes so long after the one before it is kept, whichever of those was.
        starts = np.flatnonzero(np.append(True, begins))
        kept = np.zeros(time_ns.size, np.bool_)
        kept[starts] = True
        ends = np.append(starts[1:], time_ns.size)
        for start, end in zip(
            starts[ends - starts > 1].tolist(), ends[ends - starts > 1].tolist(), strict=True
        ):
            place = start
            while place < end:
                kept[place] = True
                step = np.searchsorted(time_ns[place:end], time_ns[place] + self._dedup_ns, side="right")
                place += int(step)
        return kept

    @staticmethod
    def _newest(order: Int64s, kept: Bools, last: Bools) -> Int64s:
        """The last kept row of each id, as numbers of rows before they were put in order."""
        places = np.where(kept, np.arange(order.size), -1)
        return np.sort(order[np.maximum.accumulate(places)[last]])


def ids_of(column: pa.Array) -> pa.Array:
    """Return a column of ids without a dictionary, an empty text as none."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column)
    return column
