"""The node of formulas: its rows are the rows of its input, with the features added to the columns."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.formula.features import Features
from operators.formula.history import STATEFUL, farthest
from operators.formula.types import Kind
from operators.node import Context, NodeStateError
from operators.nodes.decimals import digits_of
from operators.nodes.evaluate_kernel import TILE, Outputs
from operators.nodes.history import History
from operators.nodes.instructions import held
from operators.nodes.machine import Machine, new_outputs
from operators.nodes.program import Lines, Segment, Slot, lay_out, make_program
from operators.nodes.row_kernel import DOMAIN, NULL_IN, WARMING
from operators.rows.groups import Groups
from operators.sealed import Entries, RowKeys, Sealed, Snapshot, Statuses
from schemas import reasons

Values: TypeAlias = npt.NDArray[np.generic]

NOTHING: Final = Snapshot((), ())

# Which of the outputs holds a kind of feature.
BANKS: Final[Mapping[Kind, int]] = {
    "float64": Outputs._fields.index("floats"),
    "int64": Outputs._fields.index("ints"),
    "int8": Outputs._fields.index("bytes"),
    "bool": Outputs._fields.index("bits"),
}


# By the status of a register: the reason as rows have it.  A null that is both warming and of the domain
# counts as the latter.
REASON_OF: Final = np.zeros(8, np.uint8)
REASON_OF[[NULL_IN, WARMING, DOMAIN, DOMAIN | WARMING]] = (
    reasons.NULL_IN,
    reasons.WARMING,
    reasons.DOMAIN,
    reasons.DOMAIN,
)


class Nulls(NamedTuple):
    """Rows of a feature without a value: an input was null or not finite, the result is not defined, or the
    symbol has too few rows yet.
    """

    null_in: int = 0
    domain: int = 0
    warming: int = 0


class _Column(NamedTuple):
    """A column that is read: its place among the rows, how it lies there, and where it is copied to."""

    place: int
    dtype: np.dtype[np.generic] | None  # None for booleans, which are a bitmap, and for decimals
    target: Values
    row: int  # of the bitmaps, for booleans


class _Feature(NamedTuple):
    """A feature that is written: its field, which row of which output it is, and the place of its step."""

    field: pa.Field
    bank: int
    row: int
    step: int


class _Course(NamedTuple):
    """The segments of a program as they are run: a call costs microseconds, so the ends go with others.

    The first lines of rows go with the loads, the last ones with the stores.
    """

    first: Lines | None
    between: Sequence[Segment]
    last: Lines | None


class FormulaNode:
    """Computes features; what they remember of earlier rows is by symbol.

    `counts` has, by feature, the nulls among the rows of the last `take`.
    """

    def __init__(self, name: str, features: Features, groups: Groups | None = None) -> None:
        """`groups` number the symbols of the task; a node whose features hang on the row alone needs none."""
        self.name = name
        self.meaning = features.meaning
        self.layout = features.layout
        self.needs = Context(*farthest([features.reaches[column] for column in features.columns]))
        self.counts: Mapping[str, Nulls] = dict.fromkeys(features.columns, Nulls())
        self._slots = lay_out(features.steps, features.roots, features.columns)
        self._features = [
            _Feature(features.layout.field(slot.name), BANKS[slot.kind], slot.row, step)
            for slot, step in zip(self._slots.features, features.roots, strict=True)
        ]
        program = make_program(features.steps, features.roots, self._slots)
        self._program = program
        self._course = _course(program.segments)
        self._history: History | None = None
        if any(step.function in STATEFUL for step in features.steps):
            assert groups is not None, f"node {name} looks back: it has to be told the symbols"
            self._history = History(features.steps, program.segments, len(program.kept), groups)
        with np.errstate(all="ignore"):
            self._machine = Machine(features.steps, self._slots, program)
            if self._history is not None:  # no row has to wait for a kernel to be compiled
                self._history.warm()
                for segment in program.segments:
                    if segment.family >= 0:
                        self._machine.run_family(self._history.memory, segment, 0)
        self._columns = [self._column(slot) for slot in self._slots.columns]

    def take(self, upstream: tuple[Sealed, ...]) -> Sealed:
        """Return the rows with the features; each float is that of the formula evaluated row by row."""
        (sealed,) = upstream
        rows = sealed.rows
        if rows is None or rows.num_rows == 0:
            self.counts = dict.fromkeys(self.counts, Nulls())
            return sealed._replace(rows=None, reasons={}, available=None)
        assert rows.num_columns + len(self._features) == len(self.layout), "rows of another layout"
        outputs, statuses = self._evaluate(rows, sealed.keys)
        counts = outputs.counts.tolist()
        columns = rows.columns
        for number, (field, bank, row, _) in enumerate(self._features):
            nulls = sum(counts[number])
            valid = pa.py_buffer(outputs.valid[number]) if nulls else None
            data = pa.py_buffer(outputs[bank][row])
            columns.append(pa.Array.from_buffers(field.type, rows.num_rows, [valid, data], nulls))
        self.counts = dict(zip(self.counts, map(Nulls._make, counts), strict=True))
        return sealed._replace(
            rows=pa.RecordBatch.from_arrays(columns, schema=self.layout),
            reasons={**sealed.reasons, **statuses},
        )

    def snapshot(self) -> Snapshot:
        """Return what changed of what it remembers; nothing where each row hangs on itself alone."""
        return NOTHING if self._history is None else self._history.snapshot()

    def restore(self, entries: Entries) -> None:
        """Take back what snapshots held; raises NodeStateError where it is damaged."""
        if self._history is None:
            for key, _ in entries:
                raise NodeStateError(f"node {self.name} keeps no state, but there is an entry {key!r} of it")
            return
        groups = self._history.restore(self.name, entries)
        windows = self._history.windows
        for rows in self._history.kept_tiles(groups):
            with np.errstate(all="ignore"):
                for segment in windows:
                    self._machine.run_family(self._history.memory, segment, rows)

    def _evaluate(self, rows: pa.RecordBatch, keys: RowKeys | None) -> tuple[Outputs, Mapping[str, Statuses]]:
        """Run the program tile by tile: the registers stay in the processor's cache."""
        statuses: dict[str, Statuses] = {}
        outputs = new_outputs(self._slots, rows.num_rows)
        copies = self._copies(rows)
        history, program, machine = self._history, self._program, self._machine
        with np.errstate(all="ignore"):  # where kernels run as plain Python, numpy warns of every overflow
            for lower in range(0, rows.num_rows, TILE):
                count = min(TILE, rows.num_rows - lower)
                for target, values, each in copies:
                    first = lower // each
                    part = values[first : first + (count + each - 1) // each + (each > 1)]
                    target[: part.size] = part
                if history is None:
                    machine.run_rows(outputs, lower, count, program.loads, self._course.first, program.stores)
                    self._tell(outputs, statuses, lower, count)
                    continue
                assert keys is not None, f"node {self.name} looks back: its rows need keys"
                history.place(keys, lower, count)
                machine.run_rows(outputs, lower, count, program.loads, self._course.first)
                for segment in self._course.between:
                    if segment.family < 0:
                        machine.run_rows(outputs, lower, count, functions=segment.lines)
                    else:
                        machine.run_family(history.memory, segment, count)
                machine.run_rows(outputs, lower, count, functions=self._course.last, stores=program.stores)
                history.leave(count)
                self._tell(outputs, statuses, lower, count)
        return outputs, {name: one[: rows.num_rows] for name, one in statuses.items()}

    def _tell(self, outputs: Outputs, statuses: dict[str, Statuses], lower: int, count: int) -> None:
        """Copy the reasons of a tile of those features that have had a null so far."""
        if not outputs.counts.any():
            return
        for number in np.flatnonzero(outputs.counts.any(axis=1)).tolist():
            feature = self._features[number]
            own = statuses.setdefault(feature.field.name, np.zeros(outputs.valid.shape[1] * 8, np.uint8))
            own[lower : lower + count] = REASON_OF[self._machine.statuses(feature.step, count)]

    def _copies(self, rows: pa.RecordBatch) -> list[tuple[Values, Values, int]]:
        """What is to be copied for each tile: to where, from where, and how many rows one element has.

        Integers and floats widen on the way.
        """
        copies: list[tuple[Values, Values, int]] = []
        inputs = self._machine.inputs
        for number, column in enumerate(self._columns):
            array = rows.column(column.place)
            bitmap, data = array.buffers()
            offset, size = array.offset, len(array)
            if pa.types.is_decimal(array.type):
                copies.append((column.target, digits_of(array), 1))
            elif column.dtype is None:
                copies.append((column.target, _bitmap(data, offset, size), 8))
                inputs.shift[column.row] = offset % 8
            else:
                start = offset * column.dtype.itemsize
                copies.append((column.target, np.frombuffer(data, column.dtype, size, start), 1))
            inputs.valid_shift[number] = -1
            if array.null_count:
                copies.append((inputs.valid[number], _bitmap(bitmap, offset, size), 8))
                inputs.valid_shift[number] = offset % 8
        return copies

    def _column(self, slot: Slot) -> _Column:
        kind = held(slot.kind)
        place = self.layout.names.index(slot.name)
        if kind == "bool":
            return _Column(place, None, self._machine.inputs.bits[slot.row], slot.row)
        target: Values = self._machine.inputs.floats if kind == "float64" else self._machine.inputs.ints
        of_column = self.layout.field(place).type
        dtype = None if pa.types.is_decimal(of_column) else np.dtype(of_column.to_pandas_dtype())
        return _Column(place, dtype, target[slot.row], slot.row)


def _course(segments: Sequence[Segment]) -> _Course:
    between = list(segments)
    first = between.pop(0).lines if between and between[0].family < 0 else None
    last = between.pop().lines if between and between[-1].family < 0 else None
    return _Course(first, between, last)


def _bitmap(bits: pa.Buffer, offset: int, size: int) -> Values:
    """The bytes of a bitmap, from the one that has the first row on."""
    return np.frombuffer(bits, np.uint8, (offset % 8 + size + 7) // 8, offset // 8)
