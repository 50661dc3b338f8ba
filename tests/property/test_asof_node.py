"""The node that joins gives the rows of one batch join, however its upstreams are cut, ahead or restored."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.asof import asof_join
from operators.entries import KeptEntries
from operators.graph.asof_node import AsofNode
from operators.graph.declare import GraphSettings, JoinSettings, NodeSettings, Output
from operators.graph.graph import Graph
from operators.graph.plan import Plan, plan_graph
from operators.graph.row_keys import row_keys
from operators.node import NodeStateError
from operators.rows.groups import Groups
from operators.sealed import Sealed
from schemas.clocks import END_NS
from schemas.reasons import REASONS
from schemas.stream import Stream

TRADE = Stream(
    name="trade",
    schema=pa.schema([("event_ns", pa.int64()), ("symbol", pa.string()), ("price", pa.float64())]),
)
QUOTE = Stream(
    name="quote",
    schema=pa.schema([("event_ns", pa.int64()), ("symbol", pa.string()), ("bid", pa.float64())]),
)
PLACED = [
    pa.field("left_offset", pa.int64(), nullable=False),
    pa.field("left_index", pa.int32(), nullable=False),
]
ALIGNED = pa.schema([*TRADE.schema, *PLACED])

Row = tuple[int, str | None, float | None]
times = st.integers(0, 12)
row = st.tuples(times, st.sampled_from(["A", "B", None]), st.one_of(st.none(), st.integers(0, 9).map(float)))
rows_in_order = st.lists(row, max_size=12).map(lambda rows: sorted(rows, key=lambda one: one[0]))
joins = st.builds(
    JoinSettings,
    rights=st.just(("quote",)),
    allow_exact=st.booleans(),
    tolerance_ns=st.one_of(st.none(), st.integers(0, 6)),
    carry=st.sampled_from(["row", "column"]),
    lag_ns=st.sampled_from([0, 0, 1, 3]),
)


def plan_of(join: JoinSettings) -> Plan:
    node = NodeSettings(name="joined", upstream="aligned", features={}, join=join, output=Output())
    return plan_graph(GraphSettings(name="g", nodes=(node,)), ALIGNED, meaning="0", streams=(TRADE, QUOTE))


def batch_of(rows: Sequence[Row], value: str) -> pa.RecordBatch:
    """Rows in order; the first of them has the highest offset, for only their order counts."""
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    return pa.record_batch(
        {
            "event_ns": pa.array(columns[0], pa.int64()),
            "symbol": pa.array(columns[1], pa.string()),
            value: pa.array(columns[2], pa.float64()),
            "left_offset": pa.array(range(len(rows), 0, -1), pa.int64()),
            "left_index": pa.array([0] * len(rows), pa.int32()),
        }
    )


def sealed_of(rows: pa.RecordBatch, lower: int, upper: int, groups: Groups) -> Sealed:
    """Some of the rows, complete up to the time of the next one."""
    complete_ns = rows.column("event_ns")[upper].as_py() if upper < rows.num_rows else END_NS
    part = rows.slice(lower, upper - lower)
    return Sealed(part, complete_ns, keys=row_keys(part, ("symbol",), "event_ns", groups))


def wanted(left: pa.RecordBatch, right: pa.RecordBatch, join: JoinSettings) -> list[dict[str, Any]]:
    tables = [pa.Table.from_batches([rows]) for rows in (left, right)]
    on = left.schema.get_field_index("event_ns")
    earlier = pc.subtract(left.column(on), join.lag_ns)
    joined = asof_join(
        tables[0].set_column(on, left.schema.field(on), pa.chunked_array([earlier])),
        {"quote": tables[1].drop_columns(["left_offset", "left_index"])},
        tolerance_ns=join.tolerance_ns,
        allow_exact=join.allow_exact,
        carry=join.carry,
    )
    rows: list[dict[str, Any]] = joined.to_pylist()
    for row in rows:
        row["event_ns"] += join.lag_ns
        row["quote_age_ns"] = None if row["quote_age_ns"] is None else row["quote_age_ns"] + join.lag_ns
    return rows


def listed(node_rows: list[pa.RecordBatch | None], columns: Sequence[str] | None) -> list[dict[str, Any]]:
    there = [rows for rows in node_rows if rows is not None]
    return [row for rows in there for row in (rows if columns is None else rows.select(columns)).to_pylist()]


@given(rows_in_order, rows_in_order, joins, st.data())
@settings(deadline=None)
def test_any_cut_and_any_restart_give_the_rows_of_one_batch_join(
    lefts: list[Row], rights: list[Row], join: JoinSettings, data: st.DataObject
) -> None:
    (planned,) = plan_of(join).nodes
    left, right = batch_of(lefts, "price"), batch_of(rights, "bid")
    groups = Groups()
    node = AsofNode(planned, groups)
    kept: dict[bytes, bytes] = {}
    given_rows: list[pa.RecordBatch | None] = []
    done = [0, 0]
    while done != [left.num_rows, right.num_rows]:
        stops = [
            data.draw(st.integers(at, rows.num_rows)) for at, rows in zip(done, (left, right), strict=True)
        ]
        parts = [
            sealed_of(rows, at, stop, groups)
            for rows, at, stop in zip((left, right), done, stops, strict=True)
        ]
        given_rows.append(node.take((parts[0], parts[1])).rows)
        done = stops
        if data.draw(st.booleans()):
            snapshot = node.snapshot()
            kept.update(snapshot.puts)
            for key in snapshot.deletes:
                del kept[key]
            groups = Groups()
            node = AsofNode(planned, groups)
            node.restore(kept.items())
    nothing = Sealed(None, END_NS)
    given_rows.append(node.take((nothing, nothing)).rows)
    expected = wanted(left, right, join)
    columns = [name for name in node.layout.names if not name.startswith("left_")]
    assert listed(given_rows, columns) == [{name: row[name] for name in columns} for row in expected]
    places = [row["left_offset"] for row in listed(given_rows, ["left_offset"])]
    assert places == left.column("left_offset").to_pylist()


def test_a_row_waits_until_the_other_node_is_complete_beyond_its_time() -> None:
    (planned,) = plan_of(JoinSettings(rights=("quote",))).nodes
    groups = Groups()
    node = AsofNode(planned, groups)
    left, right = batch_of([(5, "A", 1.0), (6, "A", 2.0)], "price"), batch_of([(4, "A", 9.0)], "bid")
    keyed = sealed_of(left, 0, 2, groups)
    assert node.take((keyed, Sealed(None, 5)))[:2] == (None, 5)
    made = node.take((Sealed(None, END_NS), sealed_of(right, 0, 1, groups)._replace(complete_ns=6)))
    assert (made.complete_ns, made.rows.to_pylist()[0]["quote_bid"] if made.rows else None) == (6, 9.0)
    assert node.take((Sealed(None, END_NS), Sealed(None, 2))).complete_ns == 6


@pytest.mark.parametrize("damage", [b"n", b"h", b"l"])
def test_a_damaged_state_costs_the_node_its_state(damage: bytes) -> None:
    (planned,) = plan_of(JoinSettings(rights=("quote",))).nodes
    groups = Groups()
    node = AsofNode(planned, groups)
    node.take((sealed_of(batch_of([(5, "A", 1.0)], "price"), 0, 1, groups), Sealed(None, 5)))
    entries = {key: (b"\xff" if key == damage else value) for key, value in node.snapshot().puts}
    with pytest.raises(NodeStateError, match="node joined"):
        AsofNode(planned, Groups()).restore(entries.items())


@given(rows_in_order, rows_in_order, joins, st.data())
@settings(deadline=None)
def test_a_null_keeps_the_reason_that_it_has_where_it_comes_from(
    lefts: list[Row], rights: list[Row], join: JoinSettings, data: st.DataObject
) -> None:
    nodes = (
        NodeSettings(name="tick", upstream="aligned", features={"x": "log(price)"}),
        NodeSettings(name="flow", upstream="quote", features={"y": "lag(bid)", "z": "bid + 1"}),
        NodeSettings(
            name="joined",
            upstream="tick",
            features={},
            join=replace(join, rights=("flow",)),
            output=Output(status=True),
        ),
    )
    plan = plan_graph(GraphSettings(name="g", nodes=nodes), ALIGNED, meaning="0", streams=(TRADE, QUOTE))
    graph = Graph(plan)
    left, right = batch_of(lefts, "price"), batch_of(rights, "bid")
    stops = [data.draw(st.integers(0, rows.num_rows)) for rows in (left, right)]
    found = []
    for parts in ([(0, stop) for stop in stops], [(stops[0], left.num_rows), (stops[1], right.num_rows)]):
        aligned, quotes = (
            sealed_of(rows, lower, upper, graph.groups)
            for rows, (lower, upper) in zip((left, right), parts, strict=True)
        )
        found.append(graph.take(aligned, {"quote": quotes})["joined"].rows)
    seen: dict[str | None, int] = {}  # of each symbol the quotes so far
    reasons: list[tuple[str, str]] = []  # of y and z by quote
    for _, symbol, bid in rights:
        nth = seen.get(symbol, 0)
        before = [b for _, s, b in rights[: len(reasons)] if s == symbol]
        y = "null_in" if symbol is None else "warming" if nth == 0 else ("ok", "null_in")[before[-1] is None]
        reasons.append((y, "ok" if bid is not None else "null_in"))
        seen[symbol] = nth + 1
    matched = batch_of(rights, "bid").append_column("row", pa.array(range(len(rights)), pa.int64()))
    plain = replace(join, carry="row")
    met = [row["quote_row"] for row in wanted(left, matched, plain)]
    for row, quote, (_, _, price) in zip(listed(found, None), met, lefts, strict=True):
        assert REASONS[row["x_status"]] == ("null_in" if price is None else "domain" if price <= 0 else "ok")
        for name, number in (("y", 0), ("z", 1)):
            told = REASONS[row[f"flow_{name}_status"]]
            assert (told == "ok") == (row[f"flow_{name}"] is not None)
            if join.carry == "row":
                assert told == ("null_in" if quote is None else reasons[quote][number])


def test_state_of_other_columns_is_not_taken_for_ones_own() -> None:
    (planned,) = plan_of(JoinSettings(rights=("quote",))).nodes
    groups = Groups()
    node = AsofNode(planned, groups)
    node.take((sealed_of(batch_of([(5, "A", 1.0)], "price"), 0, 1, groups), Sealed(None, 5)))
    (other,) = plan_of(JoinSettings(rights=("quote",), columns={"quote": ()})).nodes
    with pytest.raises(NodeStateError, match="node joined: its rows were kept with other columns"):
        AsofNode(other, Groups()).restore(node.snapshot().puts)


def names_of(*nodes: NodeSettings) -> Mapping[str, list[str]]:
    plan = plan_graph(GraphSettings(name="g", nodes=nodes), ALIGNED, meaning="0", streams=(TRADE, QUOTE))
    return {node.name: list(node.features.layout.names) for node in plan.nodes}


def test_the_columns_are_those_of_the_pipeline_with_the_name_of_what_is_looked_up_in_front() -> None:
    flow = NodeSettings(name="flow", upstream="quote", features={"half": "bid / 2"})
    join = JoinSettings(rights=("flow",), columns={"flow": ("half",)})
    joined = NodeSettings(name="joined", upstream="aligned", features={}, join=join)
    then = NodeSettings(name="then", upstream="joined", features={"x": "price - flow_half"})
    assert names_of(then, joined, flow)["then"] == [
        "event_ns", "symbol", "price", "flow_half", "flow_event_ns", "flow_age_ns",
        "left_offset", "left_index", "x",
    ]  # fmt: skip


def test_state_of_a_graph_with_a_join_comes_back() -> None:
    plan = plan_of(JoinSettings(rights=("quote",)))
    graph = Graph(plan)
    left, right = batch_of([(5, "A", 1.0), (7, "A", 2.0)], "price"), batch_of([(4, "A", 9.0)], "bid")
    graph.take(sealed_of(left, 0, 1, graph.groups), {"quote": sealed_of(right, 0, 1, graph.groups)})
    through = {"aligned": (5, 0, 2, 0), "quote": (6, 0, 0, 0)}
    entries = graph.snapshot(through).puts
    after = Graph(plan)
    after.restore(KeptEntries(entries), {})
    assert after.resume(through) == {}
    assert after.missing is None
    after.settle({"aligned": 6, "quote": 6})
    rows = after.take(sealed_of(left, 1, 2, after.groups), {"quote": Sealed(None, 9)})["joined"].rows
    assert rows is not None
    assert rows.column("quote_bid").to_pylist() == [9.0]
