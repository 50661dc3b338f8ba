"""A graph at work: every node runs in order, outputs carry what they should, state is each node's own."""

import pyarrow as pa

from operators.entries import KeptEntries, owner_prefix
from operators.graph.declare import GraphSettings, NodeSettings, Output
from operators.graph.graph import Graph
from operators.graph.plan import Plan, PlannedNode, plan_graph
from operators.inputs.progress import FIRST
from operators.node import Context, Node, NodeStateError
from operators.rows.groups import Groups
from operators.sealed import Entries, Sealed, Snapshot


def key_of(node: Node, key: bytes) -> bytes:
    """The key of a node's entry among those of the task."""
    return owner_prefix(node.name, node.meaning) + key


ROWS = pa.record_batch(
    {
        "symbol": pa.array(["A", "B"]),
        "event_ns": pa.array([1, 2]),
        "bid": pa.array([1.0, 3.0]),
        "ask": pa.array([2.0, None]),
        "left_offset": pa.array([7, 8]),
        "left_index": pa.array([0, 1], pa.int32()),
    }
)


def make_plan(*, half: str = "2", name: str = "tick") -> Plan:
    nodes = (
        NodeSettings(name="out", upstream=name, features={"x": "mid - bid"}, output=Output()),
        NodeSettings(
            name=name,
            upstream="aligned",
            features={"mid": f"(bid + ask) / {half}"},
            output=Output(("mid",)),
        ),
        NodeSettings(name="inner", upstream=name, features={"y": "mid * 2"}),
    )
    return plan_graph(GraphSettings(name="equities", nodes=nodes), ROWS.schema)


def test_rows_run_through_every_node_and_out_of_those_with_an_output() -> None:
    graph = Graph(make_plan())
    outputs = graph.take(Sealed(ROWS, 5, 1))
    assert set(outputs) == {"tick", "out"} == set(graph.layouts)
    rows = outputs["out"].rows
    assert rows is not None
    assert rows.schema == graph.layouts["out"]
    assert rows["x"].to_pylist() == [0.5, None]
    assert [(sealed.complete_ns, sealed.assumed_rows) for sealed in outputs.values()] == [(5, 1), (5, 1)]


def test_an_output_of_chosen_columns_still_says_which_row_each_is() -> None:
    graph = Graph(make_plan())
    rows = graph.take(Sealed(ROWS, 5))["tick"].rows
    assert rows is not None
    assert rows.schema == graph.layouts["tick"]
    assert rows.schema.names == ["symbol", "event_ns", "left_offset", "left_index", "mid"]


def test_an_output_says_why_its_own_columns_are_null_and_no_other_s() -> None:
    outputs = Graph(make_plan()).take(Sealed(ROWS, 5))
    assert {name: set(sealed.reasons) for name, sealed in outputs.items()} == {
        "tick": {"mid"},
        "out": {"mid", "x"},
    }
    some = NodeSettings(
        name="some", upstream="aligned", features={"a": "ask + 1", "b": "ask + 2"}, output=Output(("b",))
    )
    graph = Graph(plan_graph(GraphSettings(name="g", nodes=(some,)), ROWS.schema))
    assert set(graph.take(Sealed(ROWS, 5))["some"].reasons) == {"b"}


def test_without_rows_every_output_still_says_how_far_it_is_complete() -> None:
    assert Graph(make_plan()).take(Sealed(None, 6)) == {"tick": Sealed(None, 6), "out": Sealed(None, 6)}


class Keeper:
    """A node that keeps how many rows it has taken."""

    def __init__(self, name: str, meaning: str) -> None:
        self.name = name
        self.meaning = meaning
        self.layout = ROWS.schema
        self.needs = Context(rows=1)
        self.rows = 0

    def take(self, upstream: tuple[Sealed, ...]) -> Sealed:
        (sealed,) = upstream
        self.rows += ROWS.num_rows
        return sealed._replace(rows=None)

    def snapshot(self) -> Snapshot:
        return Snapshot([(b"rows\0", str(self.rows).encode())], [b"old"])

    def restore(self, entries: Entries) -> None:
        for _, value in entries:
            if not value.isdigit():
                raise NodeStateError(f"node {self.name}: {value!r} is no count")
            self.rows = int(value)


def keep(plan: Plan) -> tuple[Graph, dict[str, Keeper]]:
    """A graph whose nodes all are keepers; a node that starts anew takes its place among them."""
    keepers: dict[str, Keeper] = {}

    def make(planned: PlannedNode, _: Groups) -> Keeper:
        keepers[planned.name] = Keeper(planned.name, planned.meaning)
        return keepers[planned.name]

    return Graph(plan, make), keepers


def rows_by_name(keepers: dict[str, Keeper]) -> dict[str, int]:
    return {name: keeper.rows for name, keeper in keepers.items()}


def test_each_node_gets_its_own_entries_back() -> None:
    graph, keepers = keep(make_plan())
    graph.take(Sealed(ROWS, 5))
    keepers["out"].rows = 10
    snapshot = graph.snapshot()
    tick = keepers["tick"]
    assert key_of(tick, b"old") in snapshot.deletes
    after, kept = keep(make_plan())
    assert after.restore(KeptEntries(snapshot.puts), {}) == ()
    assert rows_by_name(kept) == {"tick": 2, "out": 10, "inner": 2}


def test_a_damaged_entry_costs_only_its_node() -> None:
    graph, keepers = keep(make_plan())
    graph.take(Sealed(ROWS, 5))
    damaged = key_of(keepers["tick"], b"rows\0")
    entries = [(key, b"\xff" if key == damaged else value) for key, value in graph.snapshot().puts]
    after, kept = keep(make_plan())
    assert after.restore(KeptEntries(entries), {}) == ("tick",)
    assert rows_by_name(kept) == {"tick": 0, "out": 2, "inner": 2}
    assert dict(after.snapshot().puts)[damaged] == b"0"


def test_a_node_that_means_something_else_now_starts_anew() -> None:
    graph, keepers = keep(make_plan())
    graph.take(Sealed(ROWS, 5))
    foreign = [key_of(keeper, b"rows\0") for keeper in keepers.values()]
    after, kept = keep(make_plan(half="3"))
    garbage = [(b"gone\0" + bytes(8) + b"\0k", b"1")]
    assert after.restore(KeptEntries([*graph.snapshot().puts, *garbage]), {}) == ()
    assert rows_by_name(kept) == {"tick": 0, "out": 0, "inner": 0}
    after.resume({"aligned": FIRST})
    deletes = after.snapshot().deletes
    assert set(deletes) >= {*foreign, *(key for key, _ in garbage)}
    assert set(after.snapshot().deletes).isdisjoint(foreign)


def test_a_graph_of_formulas_keeps_nothing() -> None:
    graph = Graph(make_plan())
    graph.take(Sealed(ROWS, 5))
    assert graph.snapshot() == Snapshot([], [])
    assert graph.restore(KeptEntries([]), {}) == ()
    assert make_plan().meaning == make_plan(name="renamed").meaning
