"""What experiments run on: the sealed rows of a day, and graphs to run them through as often as one likes."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.graph.day_rows import DayRows, RootRows, first_apart
from app.watch.words import clock_words
from operators.graph.graph import Graph
from operators.graph.plan import Plan
from operators.graph.row_keys import row_keys
from operators.sealed import ALIGNED, RowKeys, Sealed
from operators.tiles.settings import QUARTER_NS
from schemas.batch import Int64s
from schemas.frame import LEFT_INDEX, LEFT_OFFSET

Outputs: TypeAlias = Mapping[str, pa.RecordBatch]  # the rows of each node, in the order of the plan


class Labels(NamedTuple):
    """Which nodes label rows, and what that means for others.

    `nodes`    that label rows.
    `columns`  by node with any: those that are labels, its own and others'.
    `held`     the nodes whose rows wait for labels: these, and all that read such rows.
    """

    nodes: tuple[str, ...]
    columns: Mapping[str, frozenset[str]]
    held: tuple[str, ...]


@dataclass(frozen=True)
class Trial:
    """A graph and rows for it.

    `make`     a new graph, with an output for each node that carries all columns.
    `rows`     sealed rows of the join in order, as a task would have them that owns all keys.
    `on`       the clock they are in order of, and `key` the columns that key them.
    `plan`     of the graph: which rows its features hang on; None where nobody says.
    `streams`  by name the sealed rows of those that nodes read.
    `end_ns`   below which time all rows are there, which may be long behind the last of them.
    """

    make: Callable[[], Graph]
    rows: pa.RecordBatch
    on: str
    key: tuple[str, ...]
    plan: Plan | None = None
    streams: Mapping[str, RootRows] = field(default_factory=dict)
    end_ns: int = 0

    @cached_property
    def day(self) -> DayRows:
        """The rows of all roots."""
        return DayRows({ALIGNED: RootRows(self.rows, self.key), **self.streams}, self.on, self.end_ns)

    @property
    def times_ns(self) -> Int64s:
        """The time of each row of the join."""
        return np.asarray(self.rows.column(self.on).to_numpy(), np.int64)

    @property
    def waits(self) -> bool:
        """Whether rows wait in any node, so that what it needs is told by the last row it took."""
        return self.joins or self.calls

    @property
    def calls(self) -> bool:
        """Whether any node calls a function with tiles."""
        return self.plan is not None and any(node.tiles is not None for node in self.plan.nodes)

    @property
    def joins(self) -> bool:
        """Whether any node joins others, whose rows wait for one another."""
        return self.plan is not None and any(len(node.reads) > 1 for node in self.plan.nodes)

    @property
    def makes_rows(self) -> bool:
        """Whether any node makes rows which are none of those that it takes, as bars are."""
        nodes = () if self.plan is None else self.plan.nodes
        return any(node.bars is not None for node in nodes)

    @property
    def by_time(self) -> bool:
        """Whether what nodes need of the past is told in time, as that of bars and of labels is."""
        return self.makes_rows or bool(self.labels.nodes)

    @cached_property
    def labels(self) -> "Labels":
        """The labels of the graph."""
        nodes = () if self.plan is None else self.plan.nodes
        held: list[str] = []
        for node in nodes:
            if node.label is not None or any(name in held for name in node.reads):
                held.append(node.name)
        return Labels(
            tuple(node.name for node in nodes if node.label is not None),
            {node.name: node.labels for node in nodes if node.labels},
            tuple(held),
        )

    def root_of(self, name: str) -> str:
        """The root whose rows a node has, each one and in their order, or that it makes its rows of."""
        upstream = {} if self.plan is None else {node.name: node.upstream for node in self.plan.nodes}
        while name in upstream:
            name = upstream[name]
        return name if name in self.streams else ALIGNED

    def key_of(self, name: str) -> tuple[str, ...]:
        """The columns that key the rows of a node."""
        return self.day.roots[self.root_of(name)].key

    def run(self, day: DayRows | None = None, cuts: Sequence[int] = ()) -> Outputs:
        """Run rows, by default all, through a new graph, cut before these places."""
        return self.gather(list(self.pass_through(self.make(), day or self.day, cuts)))

    def pass_through(
        self,
        graph: Graph,
        day: DayRows,
        cuts: Sequence[int] = (),
        span: tuple[int, int] | None = None,
        complete_ns: int | None = None,
    ) -> Iterable[Mapping[str, Sealed]]:
        """Let a graph take rows, cut before these places; what it gives in each call.

        `span` is from which place to before which one, and `complete_ns` up to when all is complete with the
        last of them, where that is not what the rows of the day say.
        """
        lower, upper = span or (0, day.count)
        taken = day.part(lower, upper)
        keys = {
            name: row_keys(rows, day.roots[name].key, self.on, graph.groups)
            for name, rows in taken.items()
            if rows.num_rows
        }
        first = day.before(lower)
        for begin, end in itertools.pairwise([lower, *cuts, upper]):
            at_ns = day.complete_ns(end) if complete_ns is None or end < upper else complete_ns
            if self.calls and complete_ns is None and end == day.count:
                at_ns = tiles_end_ns(at_ns)
            begins, ends = day.before(begin), day.before(end)
            sealed = {
                name: _sealed(
                    rows, keys.get(name), begins[name] - first[name], ends[name] - first[name], at_ns
                )
                for name, rows in taken.items()
            }
            yield graph.take(sealed.pop(ALIGNED), sealed)

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


def tiles_end_ns(time_ns: int) -> int:
    """A time by which every tile with a row before this one has ended."""
    return -(-time_ns // QUARTER_NS) * QUARTER_NS


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


def _sealed(rows: pa.RecordBatch, keys: RowKeys | None, lower: int, upper: int, complete_ns: int) -> Sealed:
    """Some of the rows of a root."""
    if keys is None or lower == upper:
        return Sealed(None, complete_ns)
    part = RowKeys(keys.group[lower:upper], keys.time_ns[lower:upper])
    return Sealed(rows.slice(lower, upper - lower), complete_ns, keys=part)


def difference(trial: Trial, wanted: Outputs, actual: Outputs, *, places: bool = True) -> Difference | None:
    """Where two runs differ first, bit by bit; the first node that does, None where all are equal.

    Without `places` two rows are equal wherever their left rows stood in their topic.
    """
    for name, one in wanted.items():
        other = actual[name]
        rows = min(one.num_rows, other.num_rows)
        first, column = rows, ""
        for field_of in one.schema:
            if not places and field_of.name in (LEFT_OFFSET, LEFT_INDEX):
                continue
            sides = (side.column(field_of.name).slice(0, rows) for side in (one, other))
            at = first_apart(*sides)
            if at is not None and at < first:
                first, column = at, field_of.name
        if column:
            key = tuple(one.column(part)[first].as_py() for part in trial.key_of(name))
            time_ns = one.column(trial.on)[first].as_py()
            values = (one.column(column)[first].as_py(), other.column(column)[first].as_py())
            return Difference(name, column, key, time_ns, *values)
        if one.num_rows != other.num_rows:
            return Difference(name, "", counts=(one.num_rows, other.num_rows))
    return None


def by_time(trial: Trial, name: str, table: pa.Table) -> pa.RecordBatch:
    """The rows of a node of several partitions by time and key; those of one key keep their order."""
    keys = [(column, "ascending") for column in (trial.on, *trial.key_of(name))]
    return one_batch(table.take(pc.sort_indices(table, sort_keys=keys)))


def one_batch(table: pa.Table) -> pa.RecordBatch:
    """All rows of a table."""
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], table.schema)


def _value_words(value: object) -> str:
    return "null" if value is None else repr(value) if isinstance(value, float) else f"{value}"
