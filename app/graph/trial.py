"""What experiments run on: the sealed rows of a day, and graphs to run them through as often as one likes."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from app.watch.words import clock_words
from operators.graph.graph import Graph
from operators.graph.plan import Plan
from operators.graph.row_keys import row_keys
from operators.sealed import RowKeys, Sealed
from schemas.batch import Int64s
from schemas.frame import LEFT_INDEX, LEFT_OFFSET

Outputs: TypeAlias = Mapping[str, pa.RecordBatch]  # the rows of each node, in the order of the plan

# Signed integers of the same width, by which floats are compared bit by bit.
_BITS = {pa.float16(): pa.int16(), pa.float32(): pa.int32(), pa.float64(): pa.int64()}


@dataclass(frozen=True, slots=True)
class Trial:
    """A graph and rows for it.

    `make`  a new graph, with an output for each node that carries all columns.
    `rows`  sealed rows in order, as a task would have them that owns all keys.
    `on`    the clock they are in order of, and `key` the columns that key them.
    `plan`  of the graph: which rows its features hang on; None where nobody says.
    """

    make: Callable[[], Graph]
    rows: pa.RecordBatch
    on: str
    key: tuple[str, ...]
    plan: Plan | None = None

    @property
    def times_ns(self) -> Int64s:
        """The time of each row."""
        return np.asarray(self.rows.column(self.on).to_numpy(), np.int64)

    def run(self, rows: pa.RecordBatch | None = None, cuts: Sequence[int] = ()) -> Outputs:
        """Run rows, by default all, through a new graph, cut before these ones."""
        return self.gather(list(self.pass_through(self.make(), self.rows if rows is None else rows, cuts)))

    def pass_through(
        self, graph: Graph, rows: pa.RecordBatch, cuts: Sequence[int] = ()
    ) -> Iterable[Mapping[str, Sealed]]:
        """Let a graph take rows, cut before these ones; what it gives in each call."""
        keys = row_keys(rows, self.key, self.on, graph.groups)
        times = keys.time_ns
        edges = [0, *cuts, rows.num_rows]
        for lower, upper in itertools.pairwise(edges):
            complete_ns = int(times[upper]) if upper < rows.num_rows else int(times[-1]) + 1
            part = RowKeys(keys.group[lower:upper], times[lower:upper])
            yield graph.take(Sealed(rows.slice(lower, upper - lower), complete_ns, keys=part))

    def gather(self, calls: Sequence[Mapping[str, Sealed]]) -> Outputs:
        """The rows that all calls gave, by node."""
        parts = {
            name: [rows for call in calls if (rows := call[name].rows) is not None]
            for name in self.make().layouts
        }
        return self._whole(parts)

    def gather_runs(self, runs: Sequence[Outputs]) -> Outputs:
        """The rows of several runs, one after the other, by node."""
        return self._whole({name: [outputs[name] for outputs in runs] for name in self.make().layouts})

    def _whole(self, parts: Mapping[str, list[pa.RecordBatch]]) -> Outputs:
        layouts = self.make().layouts
        return {name: one_batch(pa.Table.from_batches(parts[name], layouts[name])) for name in layouts}

    def describe(self, difference: "Difference") -> str:
        """The first row that differs, in words: which one, and both values."""
        of_row = ", ".join(f"{value}" for value in difference.key)
        first, second = (_value_words(value) for value in (difference.value, difference.other))
        return f"{of_row} {clock_words(difference.time_ns, 0)}: {first} and {second}"


class Difference(NamedTuple):
    """The first row in which two runs differ, and its first column that does; values are None for a null.

    `counts` has both numbers of rows where these differ and what both have is equal: then there is no row.
    """

    node: str
    column: str
    key: tuple[object, ...] = ()
    time_ns: int = 0
    value: Any = None
    other: Any = None
    counts: tuple[int, int] | None = None


def difference(trial: Trial, wanted: Outputs, actual: Outputs, *, places: bool = True) -> Difference | None:
    """Where two runs differ first, bit by bit; the first node that does, None where all are equal.

    Without `places` two rows are equal wherever their left rows stood in their topic.
    """
    for name, one in wanted.items():
        other = actual[name]
        rows = min(one.num_rows, other.num_rows)
        first, column = rows, ""
        for field in one.schema:
            if not places and field.name in (LEFT_OFFSET, LEFT_INDEX):
                continue
            at = _first_apart(one.column(field.name).slice(0, rows), other.column(field.name).slice(0, rows))
            if at is not None and at < first:
                first, column = at, field.name
        if column:
            key = tuple(one.column(part)[first].as_py() for part in trial.key)
            time_ns = one.column(trial.on)[first].as_py()
            values = (one.column(column)[first].as_py(), other.column(column)[first].as_py())
            return Difference(name, column, key, time_ns, *values)
        if one.num_rows != other.num_rows:
            return Difference(name, "", counts=(one.num_rows, other.num_rows))
    return None


def by_key(trial: Trial, rows: pa.RecordBatch) -> pa.RecordBatch:
    """The rows of each key together, in their order."""
    if not trial.key:
        return rows
    return rows.take(pc.sort_indices(rows, sort_keys=[(name, "ascending") for name in trial.key]))


def by_time(trial: Trial, table: pa.Table) -> pa.RecordBatch:
    """The rows of several partitions in order of time and key; those of one key keep their order."""
    keys = [(name, "ascending") for name in (trial.on, *trial.key)]
    return one_batch(table.take(pc.sort_indices(table, sort_keys=keys)))


def key_edges(trial: Trial, rows: pa.RecordBatch) -> list[int]:
    """Where each key begins in rows that stand key by key, and their end behind the last."""
    apart = np.zeros(max(rows.num_rows - 1, 0), np.bool_)
    for name in trial.key:
        column = rows.column(name)
        apart |= _differs(column.slice(0, rows.num_rows - 1), column.slice(1))
    return [0, *(np.flatnonzero(apart) + 1).tolist(), rows.num_rows]


def one_batch(table: pa.Table) -> pa.RecordBatch:
    """All rows of a table."""
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], table.schema)


def _first_apart(one: pa.Array, other: pa.Array) -> int | None:
    if one.equals(other) and one.type not in _BITS:
        return None
    apart = _differs(one, other)
    return int(apart.argmax()) if apart.any() else None


def _differs(one: pa.Array, other: pa.Array) -> npt.NDArray[np.bool_]:
    """Which values are not the same bits; a null is a value like any other."""
    bits = _BITS.get(one.type)
    if bits is not None:
        one, other = one.view(bits), other.view(bits)
    if pa.types.is_nested(one.type):
        pairs = zip(one.to_pylist(), other.to_pylist(), strict=True)
        return np.array([repr(a) != repr(b) for a, b in pairs], np.bool_)  # NaN equals itself there
    unequal = pc.fill_null(pc.not_equal(one, other), False)
    unequal = pc.or_(unequal, pc.xor(one.is_valid(), other.is_valid()))
    return np.asarray(unequal.to_numpy(zero_copy_only=False), np.bool_)


def _value_words(value: object) -> str:
    return "null" if value is None else repr(value) if isinstance(value, float) else f"{value}"
