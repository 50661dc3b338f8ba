"""Rows that wait, in order: as they came, to be given out, and as the tables that kernels work on."""

from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from operators.labels import places as at
from operators.labels.event_kernel import count_decided, gather
from operators.labels.halt_kernel import count_ready
from operators.labels.label_kernel import pass_time, take_rows
from operators.labels.slot_kernel import enter_rows
from operators.sealed import RowKeys
from schemas.clocks import BEGINNING_NS

ROWS_MIN: Final = 1024  # a power of two, as all sizes of these tables are
SYMBOLS_MIN: Final = 16
SLOTS: Final = 1024  # at first


class Inputs(NamedTuple):
    """The rows of one call: `rows`, `flags` and `inputs` of `places.py`."""

    keys: at.Whole
    flags: at.Whole
    real: at.Real


class Decided(NamedTuple):
    """Rows, why they have no label, and what came of them: int64 (`RETURN`, rows) of `facts`, and float64."""

    keys: RowKeys
    reasons: at.Reasons
    whole: at.Whole
    real: at.Real


class HeldRows:
    """The rows from ordinal `base` to before `end`."""

    def __init__(self, schema: pa.Schema, settings: at.Settings, levels: at.Levels) -> None:
        self.base = 0
        self.end = 0
        self._timed = 0  # the first event that may wait for its time
        self._settings = settings.copy()  # with how large the tables are
        self._settings[at.MASK] = ROWS_MIN - 1
        self._levels = levels
        self._rows: at.Whole = np.zeros((at.ROW_FIELDS, ROWS_MIN), np.int64)
        self._facts: at.Whole = np.zeros((ROWS_MIN, at.LINE), np.int64)
        self._reasons: at.Reasons = np.zeros(ROWS_MIN, np.int8)
        self._symbols = Symbols()
        self._schema = schema
        self._batches: deque[pa.RecordBatch] = deque()  # from the base on
        keys, flags = np.empty((at.ROW_FIELDS, 0), np.int64), np.empty((at.FLAGS, 0), np.int64)
        self._decide(Inputs(keys, flags, np.empty((at.INPUTS, 0))), 0)
        self.pass_time(BEGINNING_NS)
        self.outcome(0, self.decided)  # no row has to wait for a kernel to be compiled

    def begin(self, ordinal: int) -> None:
        """Be empty, with the first row to come at an ordinal."""
        assert self.base == self.end == 0, "there were rows already"
        self.base = self.end = self._timed = ordinal

    def take(self, rows: pa.RecordBatch, inputs: Inputs, symbols: int) -> None:
        """Take rows, whose symbols have numbers below `symbols`; decide what can be with them."""
        self._batches.append(rows)
        needed = self.end + rows.num_rows - self.base
        if needed > self._reasons.size:
            self._make_room(needed)
        self._decide(inputs, symbols)
        self.end += rows.num_rows

    def _decide(self, inputs: Inputs, symbols: int) -> None:
        settings = self._settings, self._levels
        tables = self._rows, self._reasons, self._facts
        self._symbols.take(tables, inputs, settings, self.end, symbols)

    def pass_time(self, time_ns: int) -> None:
        """Decide the events whose time is over at a moment, and at that of the last row."""
        if self.end > self.base:
            time_ns = max(time_ns, self._time_ns(self.end - 1))
        symbols = self._symbols
        self._timed = pass_time(
            self._rows,
            self._reasons,
            self._facts,
            self._facts.view(np.float64),
            symbols.symbols,
            symbols.slots,
            symbols.slots.view(np.float64),
            symbols.real,
            self._settings,
            max(self._timed, self.base),
            self.end,
            time_ns,
        )

    @property
    def decided(self) -> int:
        """How many rows are decided, up to the first that is not."""
        return int(count_decided(self._reasons, self.base, self.end))

    def decided_before(self, time_ns: int) -> int:
        """How many rows are decided and end before a time, where they have a label, up to the first other."""
        return int(count_ready(self._reasons, self._facts, self.base, self.end, time_ns))

    @property
    def oldest_ns(self) -> int:
        """The time of the first row; there is one."""
        return self._time_ns(self.base)

    def _time_ns(self, row: int) -> int:
        return int(self._rows[at.TIME_NS, row % self._rows.shape[1]])

    def outcome(self, first: int, end: int) -> Decided:
        """Rows, and what came of those that are decided."""
        keys = np.empty((at.ROW_FIELDS, end - first), np.int64)
        whole = np.empty((at.RETURN, end - first), np.int64)
        real = np.empty((at.OUTCOME_FIELDS - at.RETURN, end - first))
        gather(self._rows, self._facts, self._facts.view(np.float64), first, keys, whole, real)
        group, time_ns, session = keys
        reasons = np.take(self._reasons, np.arange(first, end), mode="wrap")
        return Decided(RowKeys(group.astype(np.int32), time_ns, session), reasons, whole, real)

    def rows(self, first: int, end: int) -> pa.RecordBatch:
        """Rows as they came, in one batch."""
        pieces, begin = [], self.base
        for batch in self._batches:
            lower, upper = max(first, begin), min(end, begin + batch.num_rows)
            if lower < upper:
                pieces.append(batch.slice(lower - begin, upper - lower))
            begin += batch.num_rows
            if begin >= end:
                break
        return _joined(self._schema, pieces)

    def drop(self, count: int) -> None:
        """Forget the first rows."""
        self.base += count
        while count:
            batch = self._batches.popleft()
            if batch.num_rows > count:
                self._batches.appendleft(batch.slice(count))
                return
            count -= batch.num_rows

    def _make_room(self, needed: int) -> None:
        """Have tables of so many rows, at least."""
        size = 1 << (needed - 1).bit_length()
        rows, facts, reasons = self._rows, self._facts, self._reasons
        self._rows = np.zeros((at.ROW_FIELDS, size), np.int64)
        self._settings[at.MASK] = size - 1
        self._facts, self._reasons = np.zeros((size, at.LINE), np.int64), np.zeros(size, np.int8)
        kept = np.arange(self.base, self.end)
        self._rows[:, kept % size] = rows[:, kept % rows.shape[1]]
        self._facts[kept % size] = facts[kept % facts.shape[0]]
        self._reasons[kept % size] = reasons[kept % reasons.size]


class Symbols:
    """The slots of all symbols, with the rows of each from its oldest undecided event on."""

    def __init__(self) -> None:
        self.symbols: at.Whole = np.zeros((SYMBOLS_MIN, at.SYMBOL_FIELDS), np.int64)
        self.slots: at.Whole = np.zeros((SLOTS, at.SLOT_FIELDS), np.int64)
        self.real: at.Real = np.zeros((at.REAL_FIELDS, SLOTS))
        self._reach: at.Real = np.zeros((SYMBOLS_MIN, 2))
        self._blocks: at.Real = np.zeros((SLOTS // at.BLOCK, 2))
        self._counts: at.Whole = np.zeros(SYMBOLS_MIN, np.int64)  # 0 but within a call
        self._used = 0  # slots

    def take(
        self,
        tables: tuple[at.Whole, at.Reasons, at.Whole],
        inputs: Inputs,
        settings: tuple[at.Settings, at.Levels],
        first: int,
        symbols: int,
    ) -> None:
        """Take rows from an ordinal on, whose symbols have numbers below `symbols`.

        `tables` are `rows`, `reasons` and `facts`.
        """
        rows, reasons, facts = tables
        count = inputs.keys.shape[1]
        if symbols > self._counts.size:
            self._grow(symbols + symbols // 2)
        places, taken = np.empty(count, np.int64), np.empty((count, at.TAKEN_FIELDS), np.int64)
        floats = taken.view(np.float64)
        count = enter_rows(rows, reasons, *inputs, first, self._counts, places, taken, floats)
        done = 0
        while True:
            settings[0][at.ROOM] = self.slots.shape[0]
            done, self._used = take_rows(
                reasons,
                facts,
                facts.view(np.float64),
                self.symbols,
                self.slots,
                self.slots.view(np.float64),
                self.real,
                self._reach,
                self._blocks,
                taken,
                floats,
                *settings,
                done,
                count,
                self._used,
            )
            if done == count:
                return
            self._add_slots()

    def _grow(self, symbols: int) -> None:
        more = symbols - self._counts.size
        self.symbols = np.concatenate([self.symbols, np.zeros((more, at.SYMBOL_FIELDS), np.int64)])
        self._reach = np.concatenate([self._reach, np.zeros((more, 2))])
        self._counts = np.zeros(symbols, np.int64)

    def _add_slots(self) -> None:
        """Have twice as many slots, of which no symbol has more than it needs four times."""
        self.slots = np.concatenate([self.slots, np.zeros_like(self.slots)])
        self.real = np.concatenate([self.real, np.zeros_like(self.real)], axis=1)
        self._blocks = np.concatenate([self._blocks, np.zeros_like(self._blocks)])


def _joined(schema: pa.Schema, pieces: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(pieces) == 1:
        return pieces[0]
    (batch,) = pa.Table.from_batches(pieces, schema).combine_chunks().to_batches()
    return batch


def pieces_of(lower: int, upper: int, size: int) -> Iterator[tuple[int, int, int]]:
    """The blocks of so many ordinals that a range lies in: number, and which of the range is in it."""
    if lower >= upper:
        return
    for block in range(lower // size, -(-upper // size)):
        yield block, max(lower, block * size), min(upper, (block + 1) * size)
