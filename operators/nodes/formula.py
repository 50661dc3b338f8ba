"""The node of formulas: its rows are the rows of its input, with the features added to the columns."""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.formula.features import Features
from operators.formula.types import ARROW_TYPES, Kind
from operators.node import Context, Entries, NodeStateError, Sealed
from operators.nodes.evaluate_kernel import TILE, Outputs, evaluate
from operators.nodes.program import (
    Lines,
    Slot,
    held,
    lay_out,
    make_program,
    new_inputs,
    new_outputs,
    new_registers,
)
from operators.operator import Snapshot

Values: TypeAlias = npt.NDArray[np.generic]

NOTHING: Final = Snapshot((), ())

# Which of the outputs holds a kind of feature.
BANKS: Final[Mapping[Kind, Callable[[Outputs], Values]]] = {
    "float64": attrgetter("floats"),
    "int64": attrgetter("ints"),
    "int8": attrgetter("bytes"),
    "bool": attrgetter("bits"),
}


class Nulls(NamedTuple):
    """Rows of a feature without a value: an input was null or not finite, or the result is not defined."""

    null_in: int
    domain: int


class _Column(NamedTuple):
    """A column that is read: where it stands among the rows, how it lies there, where it is copied to."""

    place: int
    dtype: np.dtype[np.generic] | None  # None for booleans, a bitmap
    target: Values
    row: int


class FormulaNode:
    """Computes row features; it has no state, and each row hangs on itself alone.

    `counts` has, by feature, the nulls among the rows of the last `take`.
    """

    def __init__(self, name: str, features: Features) -> None:
        self.name = name
        self.meaning = features.meaning
        self.layout = features.layout
        self.needs = Context()
        self.counts: Mapping[str, Nulls] = dict.fromkeys(features.columns, Nulls(0, 0))
        self._slots = lay_out(features.steps, features.roots, features.columns)
        self._fields = [features.layout.field(name) for name in features.columns]
        self._registers = new_registers(features.steps)
        self._inputs = new_inputs(self._slots)
        self._columns = [self._column(slot) for slot in self._slots.columns]
        program = make_program(features.steps, features.roots, self._slots)
        self._program = program.loads, program.functions, program.stores
        self._run((program.loads[:0], program.once, program.stores[:0]), new_outputs(self._slots, 0), 0, TILE)

    def take(self, upstream: tuple[Sealed, ...]) -> Sealed:
        """Return the rows with the features; each float is that of the formula evaluated row by row."""
        (sealed,) = upstream
        rows = sealed.rows
        if rows is None or rows.num_rows == 0:
            self.counts = dict.fromkeys(self.counts, Nulls(0, 0))
            return sealed._replace(rows=None)
        count = rows.num_rows
        outputs = self._evaluate(rows)
        nulls = [Nulls(null_in, domain) for null_in, domain in outputs.counts.tolist()]
        for number, slot in enumerate(self._slots.features):
            valid = pa.py_buffer(outputs.valid[number]) if any(nulls[number]) else None
            data = pa.py_buffer(BANKS[slot.kind](outputs)[slot.row])
            feature = pa.Array.from_buffers(ARROW_TYPES[slot.kind], count, [valid, data], sum(nulls[number]))
            rows = rows.append_column(self._fields[number], feature)
        self.counts = dict(zip(self.counts, nulls, strict=True))
        return sealed._replace(rows=rows)

    def snapshot(self) -> Snapshot:
        """Nothing: a row needs no other row."""
        return NOTHING

    def restore(self, entries: Entries) -> None:
        """There is nothing to take back; raises NodeStateError where there is an entry."""
        for key, _ in entries:
            raise NodeStateError(f"node {self.name} keeps no state, but there is an entry {key!r} of it")

    def _evaluate(self, rows: pa.RecordBatch) -> Outputs:
        """Run the program tile by tile: the registers stay in the processor's cache."""
        inputs = self._inputs
        outputs = new_outputs(self._slots, rows.num_rows)
        arrays = [rows.column(column.place) for column in self._columns]
        for lower in range(0, rows.num_rows, TILE):
            count = min(TILE, rows.num_rows - lower)
            for number, (array, column) in enumerate(zip(arrays, self._columns, strict=True)):
                bitmap, data = array.buffers()
                first = array.offset + lower
                if column.dtype is None:
                    inputs.shift[column.row] = _copy_bits(data, first, count, column.target)
                else:
                    size = first * column.dtype.itemsize
                    column.target[:count] = np.frombuffer(data, column.dtype, count, size)
                nulls = bitmap is not None and array.null_count > 0
                shift = _copy_bits(bitmap, first, count, inputs.valid[number]) if nulls else -1
                inputs.valid_shift[number] = shift
            self._run(self._program, outputs, lower, count)
        return outputs

    def _run(self, program: tuple[Lines, Lines, Lines], outputs: Outputs, lower: int, count: int) -> None:
        evaluate(*program, *self._registers, *self._inputs, *outputs, lower, count)

    def _column(self, slot: Slot) -> _Column:
        kind = held(slot.kind)
        place = self.layout.names.index(slot.name)
        if kind == "bool":
            return _Column(place, None, self._inputs.bits[slot.row], slot.row)
        target: Values = self._inputs.floats if kind == "float64" else self._inputs.ints
        dtype = np.dtype(self.layout.field(place).type.to_pandas_dtype())
        return _Column(place, dtype, target[slot.row], slot.row)


def _copy_bits(bits: pa.Buffer, first: int, count: int, target: Values) -> int:
    """Copy a bitmap from bit `first` on, by whole bytes; returns at which bit of the first one it begins."""
    size = (first % 8 + count + 7) // 8
    target[:size] = np.frombuffer(bits, np.uint8, size, first // 8)
    return first % 8
