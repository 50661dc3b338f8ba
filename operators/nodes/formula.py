"""The node of formulas: its rows are the rows of its input, with the features added to the columns."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.formula.features import Features
from operators.formula.history import STATEFUL, farthest
from operators.formula.steps import Texts
from operators.formula.types import Kind
from operators.node import Context, NodeStateError
from operators.nodes.decimals import digits_of
from operators.nodes.evaluate_kernel import BATCH, Memory, Outputs
from operators.nodes.history import History, new_memory, new_pool
from operators.nodes.instructions import held
from operators.nodes.machine import Machine, new_outputs
from operators.nodes.program import Layout, Slot, lay_out, make_program
from operators.nodes.texts import compare_texts
from operators.rows.groups import NO_GROUP, Groups
from operators.sealed import Entries, RowKeys, Sealed, Snapshot, Statuses
from schemas.reasons import OK, TRUNCATED, WARMING

Values: TypeAlias = npt.NDArray[np.generic]

NOTHING: Final = Snapshot((), ())
NO_COUNTS: Final = np.zeros((0, 3), np.int64)

# Which of the outputs holds a kind of feature.
BANKS: Final[Mapping[Kind, int]] = {
    "float64": Outputs._fields.index("floats"),
    "int64": Outputs._fields.index("ints"),
    "int8": Outputs._fields.index("bytes"),
    "bool": Outputs._fields.index("bits"),
}


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
    """A feature that is written: its type, and which row of which output it is.

    `cut`  the row of the bitmaps that says where a window of it was cut, None where none can be.
    """

    name: str
    type: pa.DataType
    bank: int
    row: int
    cut: int | None


class FormulaNode:
    """Computes features; what they remember of earlier rows is by symbol.

    `history` is what it remembers, None where each row hangs on itself alone.
    """

    def __init__(self, name: str, features: Features, groups: Groups | None = None) -> None:
        """`groups` number the symbols of the task; a node whose features hang on the row alone needs none."""
        self.name = name
        self.meaning = features.meaning
        self.layout = features.layout
        self.needs = Context(*farthest([features.reaches[column] for column in features.columns]))
        assert len(features.cuts) == len(features.columns), "features that were not read as formulas"
        self._counts = NO_COUNTS
        self._regular_hours = features.regular_hours
        cuts = list(dict.fromkeys(cut for cut in features.cuts if cut is not None))
        roots, names = [*features.roots, *cuts], [*features.columns, *(f"cut {cut}" for cut in cuts)]
        self._slots = lay_out(features.steps, roots, names)
        rows_of_cuts = {slot.name: slot.row for slot in self._slots.features[len(features.columns) :]}
        self._features = [
            _Feature(
                slot.name,
                features.layout.field(slot.name).type,
                BANKS[slot.kind],
                slot.row,
                rows_of_cuts.get(f"cut {cut}"),
            )
            for slot, cut in zip(self._slots.features, features.cuts, strict=False)
        ]
        program = make_program(features.steps, roots, self._slots)
        self.history: History | None = None
        if any(step.function in STATEFUL for step in features.steps):
            assert groups is not None, f"node {name} looks back: it has to be told the symbols"
            self.history = History(features.steps, program.segments, len(program.kept), groups)
        with np.errstate(all="ignore"):
            self._nothing = new_memory(0, 0, new_pool(2, 0, 0))
            if self.history is not None:  # no row has to wait for a kernel to be compiled
                self.history.warm()
            self._machine = Machine(features.steps, self._slots, program, self._memory)
        self._columns = [self._column(slot) for slot in self._slots.columns]

    def take(self, upstream: tuple[Sealed, ...]) -> Sealed:
        """Return the rows with the features; each float is that of the formula evaluated row by row."""
        (sealed,) = upstream
        rows = sealed.rows
        if rows is None or rows.num_rows == 0:
            self._counts = NO_COUNTS
            return sealed._replace(rows=None, reasons={}, available=None)
        assert rows.num_columns + len(self._features) == len(self.layout), "rows of another layout"
        columns, count = rows.columns, rows.num_rows  # a column of a batch costs a microsecond each time
        outputs = self._evaluate(columns, count, self._seen(sealed.keys))
        banks = [pa.py_buffer(values) for values in outputs[: len(BANKS)]]
        sizes = [values.strides[0] for values in outputs[: len(BANKS)]]
        bitmaps, size = pa.py_buffer(outputs.valid), outputs.valid.strides[0]
        nulls = outputs.counts.sum(axis=1).tolist()
        for number, (_, type_, bank, row, _) in enumerate(self._features):
            valid = bitmaps.slice(number * size, size) if nulls[number] else None
            data = banks[bank].slice(row * sizes[bank], sizes[bank])
            columns.append(pa.Array.from_buffers(type_, count, [valid, data], nulls[number]))
        self._counts = outputs.counts[: len(self._features)]
        features = enumerate(zip(self._features, nulls, strict=False))
        whys = {feature.name: outputs.reasons[number] for number, (feature, null) in features if null}
        if outputs.bits.any():
            self._mark_cut(outputs, count, whys)
        return sealed._replace(
            rows=pa.RecordBatch.from_arrays(columns, schema=self.layout),
            reasons={**sealed.reasons, **whys},
        )

    def _seen(self, keys: RowKeys | None) -> RowKeys | None:
        """Whose rows what looks back sees: of regular hours those outside every session are nobody's."""
        if keys is None or not self._regular_hours:
            return keys
        return keys._replace(group=np.where(keys.session >= 0, keys.group, np.int32(NO_GROUP)))

    def _mark_cut(self, outputs: Outputs, rows: int, whys: dict[str, Statuses]) -> None:
        """Say of values whose window was cut, and of nulls for want of rows beyond it, that they are."""
        is_cut: list[bool] = np.any(outputs.bits, axis=1).tolist()
        for name, *_, row in self._features:
            if row is not None and is_cut[row]:
                cut = np.unpackbits(outputs.bits[row], count=rows, bitorder="little").view(np.bool_)
                why = whys.get(name, np.zeros(rows, np.uint8))
                whys[name] = np.where(cut & ((why == OK) | (why == WARMING)), np.uint8(TRUNCATED), why)

    @property
    def counts(self) -> Mapping[str, Nulls]:
        """By feature, the nulls among the rows of the last `take`."""
        names = [feature.name for feature in self._features]
        if self._counts is NO_COUNTS:
            return dict.fromkeys(names, Nulls())
        return dict(zip(names, map(Nulls._make, self._counts.tolist()), strict=True))

    def snapshot(self) -> Snapshot:
        """Return what changed of what it remembers; nothing where each row hangs on itself alone."""
        return NOTHING if self.history is None else self.history.snapshot()

    def restore(self, entries: Entries) -> None:
        """Take back what snapshots held; raises NodeStateError where it is damaged."""
        if self.history is None:
            for key, _ in entries:
                raise NodeStateError(f"node {self.name} keeps no state, but there is an entry {key!r} of it")
            return
        groups = self.history.restore(self.name, entries)
        segments = self.history.remade
        with np.errstate(all="ignore"):
            for rows in self.history.kept_tiles(groups):
                for segment in segments:
                    self._machine.run_family(self.history.memory, segment, rows)

    @property
    def _memory(self) -> Memory:
        return self._nothing if self.history is None else self.history.memory

    def _evaluate(self, columns: Sequence[pa.Array], rows: int, keys: RowKeys | None) -> Outputs:
        """Run the program batch by batch."""
        outputs = new_outputs(self._slots, rows)
        names = self.layout.names
        compared = [compare_texts(texts, names, columns) for texts in _texts_of(self._slots)]
        copies = self._copies([*columns, *compared])
        with np.errstate(all="ignore"):  # where kernels run as plain Python, numpy warns of every overflow
            for lower in range(0, rows, BATCH):
                count = min(BATCH, rows - lower)
                for target, values, each in copies:
                    first = lower // each
                    part = values[first : first + (count + each - 1) // each + (each > 1)]
                    target[: part.size] = part
                if self.history is not None:
                    assert keys is not None, f"node {self.name} looks back: its rows need keys"
                    self.history.place(keys, lower, count)
                self._machine.run(outputs, self._memory, self.history, lower, count)
        return outputs

    def _copies(self, columns: Sequence[pa.Array]) -> list[tuple[Values, Values, int]]:
        """What is to be copied for each batch: to where, from where, and how many rows one element has.

        Integers and floats widen on the way.
        """
        copies: list[tuple[Values, Values, int]] = []
        inputs = self._machine.inputs
        for number, column in enumerate(self._columns):
            array = columns[column.place]
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
        if slot.texts is not None:  # comparisons stand behind the columns of the input
            inputs = len(self.layout) - len(self._features)
            place = inputs + _texts_of(self._slots).index(slot.texts)
            return _Column(place, None, self._machine.inputs.bits[slot.row], slot.row)
        place = self.layout.names.index(slot.name)
        if kind == "bool":
            return _Column(place, None, self._machine.inputs.bits[slot.row], slot.row)
        target: Values = self._machine.inputs.floats if kind == "float64" else self._machine.inputs.ints
        of_column = self.layout.field(place).type
        dtype = None if pa.types.is_decimal(of_column) else np.dtype(of_column.to_pandas_dtype())
        return _Column(place, dtype, target[slot.row], slot.row)


def _texts_of(slots: Layout) -> list[Texts]:
    """The comparisons of texts that stand for columns, in order."""
    return [slot.texts for slot in slots.columns if slot.texts is not None]


def _bitmap(bits: pa.Buffer, offset: int, size: int) -> Values:
    """The bytes of a bitmap, from the one that has the first row on."""
    return np.frombuffer(bits, np.uint8, (offset % 8 + size + 7) // 8, offset // 8)
