"""A graph of joins over two roots, small days for it, and nodes with planted faults in their place."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

import numpy as np
import polars as pl
import pyarrow as pa

from app.audit.findings import Findings
from app.audit.joined import Begun, ReadRoot, root_rows
from app.audit.node_rules import NodeRules
from app.audit.nodes import Heads, check_rows
from app.audit.walk import frame_of
from app.graph.day_rows import RootRows
from app.graph.trial import Trial
from operators.graph.declare import GraphSettings, JoinSettings, NodeSettings, Output
from operators.graph.graph import Graph, make_node
from operators.graph.plan import PlannedNode, plan_graph
from operators.graph.row_keys import row_keys
from operators.graph.running import MakeNode
from operators.node import Context
from operators.nodes.formula import FormulaNode
from operators.rows.groups import Groups
from operators.sealed import Entries, RowKeys, Sealed, Snapshot
from schemas.clocks import BEGINNING_NS
from schemas.stream import Stream

PLACED: Final = [
    pa.field("left_offset", pa.int64(), nullable=False),
    pa.field("left_index", pa.int32(), nullable=False),
]
QUOTE: Final = Stream(
    name="quote",
    schema=pa.schema([("event_ns", pa.int64()), ("symbol", pa.string()), ("bid", pa.float64())]),
)
ALIGNED: Final = pa.schema(
    [("event_ns", pa.int64()), ("symbol", pa.string()), ("price", pa.float64()), *PLACED]
)
KEYS: Final[Mapping[str, Sequence[str]]] = {"aligned": ("symbol",), "quote": ("symbol",)}
COLUMNS: Final[Mapping[str, Sequence[str]]] = {"aligned": ALIGNED.names, "quote": QUOTE.schema.names}
VALUES: Final = {"aligned": "price", "quote": "bid"}
ROWS: Final = 400


def graph_of(first: JoinSettings, second: JoinSettings) -> GraphSettings:
    """Features of quotes reach trades and the other way round, with memory on all sides of the joins."""
    tick = {"mean": "rolling_mean(price, rows=3)"}
    flow = {"sum": "rolling_sum(bid, '4ns')", "twice": "bid * 2"}
    later = {"more": "flow_sum * 2", "last": "rolling_sum(more, '4ns')", "slow": "ewma(flow_twice, span=3)"}
    nodes = (
        NodeSettings(name="tick", upstream="aligned", features=tick, output=Output()),
        NodeSettings(name="flow", upstream="quote", features=flow, output=Output()),
        NodeSettings(name="joined", upstream="tick", features={}, output=Output(), join=first),
        NodeSettings(name="later", upstream="joined", features=later, output=Output()),
        NodeSettings(name="back", upstream="quote", features={}, output=Output(), join=second),
    )
    return GraphSettings(name="joins", nodes=nodes)


JOINS: Final = graph_of(
    JoinSettings(rights=("flow",)), JoinSettings(rights=("later",), allow_exact=False, carry="column")
)


def root_rows_of(root: str, rows: Sequence[tuple[int, str | None, float | None]]) -> pa.RecordBatch:
    """Rows of a root in order: time, symbol and value of each."""
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    return pa.record_batch(
        {
            "event_ns": pa.array(columns[0], pa.int64()),
            "symbol": pa.array(columns[1], pa.string()),
            VALUES[root]: pa.array(columns[2], pa.float64()),
            "left_offset": pa.array(range(len(rows)), pa.int64()),
            "left_index": pa.array([0] * len(rows), pa.int32()),
        }
    )


def drawn_day(seed: int = 1) -> dict[str, pa.RecordBatch]:
    """Rows of both roots; some share their time, some values are null."""
    draws = np.random.default_rng(seed)
    day = {}
    for root in VALUES:
        times = np.cumsum(draws.integers(0, 3, ROWS)).tolist()
        names = draws.choice(["A", "B", "C"], ROWS).tolist()
        values = [None if draws.random() < 0.1 else float(n) for n in draws.integers(1, 99, ROWS)]
        day[root] = root_rows_of(root, list(zip(times, names, values, strict=True)))
    return day


def trial_of_joins(
    day: Mapping[str, pa.RecordBatch], graph: GraphSettings = JOINS, make: MakeNode | None = None
) -> Trial:
    """The graph over a day; `make` makes its nodes."""
    plan = plan_graph(graph, ALIGNED, meaning="0", streams=(QUOTE,))
    return Trial(
        make=lambda: Graph(plan, make),
        rows=day["aligned"],
        on="event_ns",
        key=("symbol",),
        plan=plan,
        streams={"quote": RootRows(day["quote"], ("symbol",))},
    )


def reading(day: Mapping[str, pa.RecordBatch], gone: Mapping[str, int], size: int) -> ReadRoot:
    """Reads the rows of a day so many at a time; the first `gone` of a root are left no more."""

    def read(root: str, begun: Begun, /) -> Iterator[pl.DataFrame]:
        begun(gone[root])
        for lower in range(gone[root], day[root].num_rows, size):
            yield frame_of(pa.Table.from_batches([day[root].slice(lower, size)]))

    return read


def findings_of(
    graph: GraphSettings, name: str, read: ReadRoot, batches: Sequence[pa.RecordBatch]
) -> Findings:
    """What the audit finds in rows of a node."""
    rules = NodeRules.of(graph, name, KEYS, "event_ns", COLUMNS)
    findings, heads = Findings(), Heads("event_ns")
    wanted = root_rows(rules, read, heads.begin_aligned)
    check_rows(rules, wanted, iter(batches), findings, repeats=False, heads=heads)
    return findings


def in_place_of(name: str, node: Callable[[PlannedNode, Groups], Any]) -> MakeNode:
    """Honest nodes but for the one of this name."""
    return lambda planned, groups: (
        node(planned, groups) if planned.name == name else make_node(planned, groups)
    )


class SlowJoin:
    """Joins a node with one other, row by row, and honestly: the last row of the symbol at or before."""

    reach: ClassVar[int] = 1

    def __init__(self, planned: PlannedNode, groups: Groups) -> None:
        self.name, self.meaning, self.layout = planned.name, planned.meaning, planned.features.layout
        self.needs = Context(rows=self.reach)
        self._right, self._key, self._groups = planned.reads[1], planned.key, groups
        self._waiting: list[dict[str, Any]] = []
        self._rights: dict[str, list[dict[str, Any]]] = {}
        self._complete_ns = [BEGINNING_NS, BEGINNING_NS]

    def match(self, time_ns: int, rights: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
        """The row of a symbol that one of its rows is joined with, of those that came so far."""
        before = [row for row in rights if row["event_ns"] <= time_ns]
        return before[-1] if before else None

    def take(self, upstream: tuple[Sealed, ...]) -> Sealed:
        for number, sealed in enumerate(upstream):
            rows = [] if sealed.rows is None else sealed.rows.to_pylist()
            self._complete_ns[number] = max(self._complete_ns[number], sealed.complete_ns)
            if number == 0:
                self._waiting += rows
                continue
            for row in rows:
                if row["symbol"] is not None:
                    self._rights.setdefault(row["symbol"], []).append(row)
        complete_ns = min(self._complete_ns)
        ready = [row for row in self._waiting if row["event_ns"] < complete_ns]
        self._waiting = self._waiting[len(ready) :]
        if not ready:
            return Sealed(None, complete_ns)
        made = pa.RecordBatch.from_pylist([self._joined(row) for row in ready], self.layout)
        return Sealed(made, complete_ns, keys=row_keys(made, self._key, "event_ns", self._groups))

    def _joined(self, row: dict[str, Any]) -> dict[str, Any]:
        found = self.match(row["event_ns"], self._rights.get(row["symbol"], []))
        if found is None:
            return row
        looked_up = {f"{self._right}_{name}": value for name, value in found.items()}
        return {**row, **looked_up, f"{self._right}_age_ns": row["event_ns"] - found["event_ns"]}

    def snapshot(self) -> Snapshot:
        state = [self._waiting, self._rights, self._complete_ns]
        return Snapshot([(b"state", json.dumps(state).encode())], [])

    def restore(self, entries: Entries) -> None:
        for _, value in entries:
            self._waiting, self._rights, self._complete_ns = json.loads(value)


class OneRowLate(SlowJoin):
    """Matches the row before the last one: each row is used one row too late."""

    reach: ClassVar[int] = 2

    def match(self, time_ns: int, rights: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
        before = [row for row in rights if row["event_ns"] <= time_ns]
        return before[-2] if len(before) > 1 else None


class NextRow(SlowJoin):
    """Looks ahead: the first row that is later, where one has come."""

    def match(self, time_ns: int, rights: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
        later = [row for row in rights if row["event_ns"] > time_ns]
        return later[0] if later else super().match(time_ns, rights)


class LosesARow(FormulaNode):
    """Computes its formulas, and gives no row for the one at this offset."""

    lost: ClassVar[int] = 7

    def __init__(self, planned: PlannedNode, groups: Groups) -> None:
        super().__init__(planned.name, planned.features, groups)

    def take(self, upstream: tuple[Sealed, ...]) -> Sealed:
        sealed = super().take(upstream)
        if sealed.rows is None or sealed.keys is None:
            return sealed
        kept = sealed.rows.column("left_offset").to_numpy() != self.lost
        if not kept.any():
            return Sealed(None, sealed.complete_ns)
        session = sealed.keys.session[kept] if sealed.keys.session.size else sealed.keys.session
        keys = RowKeys(sealed.keys.group[kept], sealed.keys.time_ns[kept], session)
        return Sealed(sealed.rows.filter(pa.array(kept)), sealed.complete_ns, keys=keys)
