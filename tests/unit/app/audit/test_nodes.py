"""The audit of nodes: right rows have no fault, and each kind of fault is named."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from app.audit.findings import Findings, Violation
from app.audit.formulas import inexact_features, with_features
from app.audit.looking_back import LOOKING_BACK
from app.audit.node_rules import NodeRules
from app.audit.nodes import Heads, check_node
from app.audit.sides import WANTED
from app.audit.walk import frame_of
from app.audit.wanted import wanted_rows
from operators.formula.features import read_features, root_source
from operators.formula.functions.table import FUNCTIONS
from operators.graph.declare import GraphSettings, NodeSettings, Output
from operators.graph.graph import Graph
from operators.graph.plan import plan_graph
from operators.graph.row_keys import row_keys
from operators.nodes.formula import FormulaNode
from operators.sealed import Sealed
from schemas.reasons import DOMAIN, TRUNCATED, WARMING

FEATURES = {
    "sum": "whole + 1",
    "product": "whole * whole",
    "ratio": "real / whole",
    "size": "abs(real) @2",
    "side": "sign(real - 1)",
    "deep": "log(size)",
    "twice": "deep * 2",
    "below": "real < whole",
    "both": "below and flag or not flag",
    "chosen": "where(below, real, -whole)",
    "least": "-whole",
    "far": "deep > 1",
    "bounded": "exp(clip(real, lo=whole, hi=9.5))",
    "root": "sqrt(real)",
    "cube": "power(real, 3)",
    "inverse": "power(whole, -2)",
    "none": "power(real, 0)",
    "half": "power(real, 0.5)",
    "curve": "power(size, -1.25)",
    "low": "min(whole, 5, whole - 1)",
    "known": "min(real, whole, skip_null=True)",
    "high": "max(real, 2, skip_null=True)",
    "odd": "xor(flag, below)",
    "middle": "mid(real, whole)",
    "crossing": "mid(whole, real, crossed='use')",
    "middles": "mid(whole, whole)",
    "width": "spread(real, whole)",
    "widths": "spread(whole, 2 * whole)",
    "share": "relative_spread(real, whole, unit='bps')",
    "logged": "relative_spread(real, whole, log=True)",
    "weighted": "weighted_mid(whole, real, whole, 3)",
    "imbalance": "queue_imbalance(whole, real)",
    "micro": "micro_price(real, whole, whole, real, G=((-0.5, -1.0), (0.0, 0.5), 0.25), tick=0.5)",
    "ruled": "quote_rule(real, 1, whole)",
    "rule": "quote_rule(whole, whole, 7)",
    "bought": "p_buy(real)",
    "flow": "signed_volume(real, side)",
    "flows": "signed_volume(whole, side)",
    "cost": "effective_spread(real, 1, 2, side)",
    "costs": "effective_spread(whole, 0.5, real, side, half=True, unit='bps')",
    "age": "quote_age(whole)",
    "stale": "quote_age(whole, output='stale', max_age_ns='5ns')",
    "old": "quote_age(whole, output='stale', max_age_ns=0)",
}
EDGES = [0, 1, -1, 7, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), None]
REALS = [0.0, -0.0, 1.0, 0.5, -3.25, 1e308, 2.0**53, float("nan"), float("inf"), None]


def joined(count: int = 400, seed: int = 7) -> pa.RecordBatch:
    rng = np.random.default_rng(seed)

    def pick(values: list[Any]) -> list[Any]:
        return [values[i] for i in rng.integers(0, len(values), count)]

    return pa.RecordBatch.from_pydict(
        {
            "event_ns": pa.array(range(count), pa.int64()),
            "symbol": pa.array(pick(["A", "B"])),
            "whole": pa.array(pick(EDGES), pa.int64()),
            "real": pa.array(pick(REALS), pa.float64()),
            "flag": pa.array(pick([True, False, None]), pa.bool_()),
            "left_offset": pa.array(range(count), pa.int64()),
            "left_index": pa.array([0] * count, pa.int32()),
        }
    )


def made(rows: pa.RecordBatch) -> pa.RecordBatch:
    """The rows as a node makes them."""
    features, errors = read_features("tick", root_source("aligned", rows.schema), FEATURES_PLAIN)
    assert features is not None, errors
    sealed = FormulaNode("tick", features).take((Sealed(rows, 0),))
    assert sealed.rows is not None
    return sealed.rows


FEATURES_PLAIN = {name: formula.removesuffix(" @2") for name, formula in FEATURES.items()}
GRAPH = GraphSettings(
    name="g",
    nodes=(NodeSettings(name="tick", upstream="aligned", features=FEATURES, output=Output()),),
)


def faults(
    aligned: list[pa.RecordBatch], rows: list[pa.RecordBatch], *, repeats: bool = False
) -> dict[str, Violation]:
    findings = Findings()
    check_node(
        NodeRules.of(GRAPH, "tick", {"aligned": ["symbol"]}, "event_ns"),
        iter(aligned),
        iter(rows),
        findings,
        repeats=repeats,
    )
    return {violation.kind: violation for violation in findings.violations()}


def cut(rows: pa.RecordBatch, size: int) -> Iterator[pa.RecordBatch]:
    for lower in range(0, rows.num_rows, size):
        yield rows.slice(lower, size)


def changed(rows: pa.RecordBatch, row: int, column: str, value: Any) -> pa.RecordBatch:
    values = rows.column(column).to_pylist()
    values[row] = value
    place = rows.schema.get_field_index(column)
    return rows.set_column(place, rows.schema.field(place), pa.array(values, rows.schema.field(place).type))


@pytest.mark.parametrize("seed", range(5))
def test_polars_judges_the_edges_of_every_type_as_the_nodes_compute_them(seed: int) -> None:
    rows = joined(seed=seed)
    own, judged = (
        frame_of(pa.Table.from_batches([made(rows)])),
        with_features(frame_of(pa.Table.from_batches([rows])), FEATURES),
    )
    for name in FEATURES:
        if name not in inexact_features(FEATURES):
            assert own[name].to_list() == judged[name].to_list(), name
    assert not faults([rows], [made(rows)])


def test_a_status_that_cannot_be_is_named_and_one_from_before_there_was_any_is_none() -> None:
    features = {"root": "sqrt(real)", "past": "lag(real, rows=1)"}
    output = Output(status=True)
    node = NodeSettings(name="tick", upstream="aligned", features=features, output=output)
    settings, rows = GraphSettings(name="g", nodes=(node,)), joined(60)
    graph = Graph(plan_graph(settings, rows.schema))
    keys = row_keys(rows, ("symbol",), "event_ns", graph.groups)
    right = graph.take(Sealed(rows, rows.num_rows, keys=keys))["tick"].rows
    assert right is not None

    def found(made_rows: pa.RecordBatch) -> dict[str, int]:
        findings = Findings()
        rules = NodeRules.of(settings, "tick", {"aligned": ["symbol"]}, "event_ns")
        check_node(rules, iter([rows]), iter([made_rows]), findings, repeats=False)
        return {violation.kind: violation.rows for violation in findings.violations()}

    assert found(right) == {}
    assert found(right.select([name for name in right.schema.names if name != "root_status"])) == {}
    null, value = (right.column("root").is_null().to_pylist().index(is_null) for is_null in (True, False))
    cannot_be = (0, WARMING, TRUNCATED, 9)
    for row, wrong in (*((null, reason) for reason in cannot_be), (value, DOMAIN), (value, TRUNCATED)):
        assert found(changed(right, row, "root_status", wrong)) == {"wrong status": 1}
    assert found(changed(right, 0, "past_status", DOMAIN)) == {}  # which of both reasons is the node's word


def test_the_judge_reads_formulas_over_several_lines_and_with_comments() -> None:
    features = {"x": "bid  # the bid\n    * 2", "y": " x +\n1 @3", "z": "x @2"}
    rows = with_features(frame_of(pa.table({"bid": [1.5]})), features)
    assert rows.row(0) == (1.5, 3.0, 4.0, 3.0)


def test_the_judge_reads_the_names_of_versions() -> None:
    features = {"x": "bid", "x@2": "bid * 2", "y": "3*x@2 - x", "y@12": "y+x@2 @2"}
    rows = with_features(frame_of(pa.table({"bid": [1.5]})), features)
    assert rows.row(0) == (1.5, 1.5, 3.0, 7.5, 10.5)


def test_the_judge_is_tried_on_every_function() -> None:
    tried = set(re.findall(r"(\w+)\(", " ".join(FEATURES.values())))
    assert set(FUNCTIONS) - set(LOOKING_BACK) <= tried


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_cuts_of_either_side_change_nothing(size: int) -> None:
    rows = joined(40)
    assert not faults(list(cut(rows, 3)), list(cut(made(rows), size)))


def test_a_changed_feature_is_named_with_both_values() -> None:
    rows = joined(20)
    fault = faults([rows], [changed(made(rows), 5, "side", 3)])["wrong feature"]
    assert fault.rows == 1
    assert "tick row 5/0: side is 3, should be" in fault.examples[0]


def test_a_carried_column_that_changed_is_named() -> None:
    rows = joined(20)
    assert set(faults([rows], [changed(made(rows), 5, "symbol", "C")])) == {"changed carried column"}


def test_rows_that_are_missing_or_too_many_are_named_alone_wherever_they_are() -> None:
    rows, own = joined(20), made(joined(20))
    without = [own.slice(0, 4), own.slice(6, 9), own.slice(16)]
    assert [(f.kind, f.rows) for f in faults([rows], without).values()] == [("missing node row", 3)]
    assert faults([rows], [own.slice(0, 15)])["missing node row"].rows == 5
    fewer = [rows.slice(0, 4), rows.slice(6)]
    assert [(f.kind, f.rows) for f in faults(fewer, [own]).values()] == [("unexpected node row", 2)]
    assert faults([rows.slice(0, 15)], [own])["unexpected node row"].rows == 5


def test_rows_out_of_order_are_both_missing_and_too_many() -> None:
    rows, own = joined(20), made(joined(20))
    swapped = own.take(pa.array([0, 1, 3, 2, *range(4, 20)]))
    assert {f.kind: f.rows for f in faults([rows], [swapped]).values()} == {
        "missing node row": 1,
        "unexpected node row": 1,
    }


def test_a_node_that_was_added_later_has_no_rows_from_before() -> None:
    rows, own = joined(20), made(joined(20))
    assert not faults(list(cut(rows, 6)), [own.slice(8)])


def test_rows_that_come_again_equal_are_no_fault_at_least_once() -> None:
    rows, own = joined(20), made(joined(20))
    again = [own.slice(0, 10), own.slice(5)]
    assert not faults([rows.slice(0, 8), rows.slice(4)], again, repeats=True)
    assert faults([rows], again)


PAST = GraphSettings(
    name="g",
    nodes=(
        NodeSettings(
            name="tick",
            upstream="aligned",
            features={
                "before": "lag(real, rows=3)",
                "total": "rolling_sum(real, '5ns')",
                "spent": "rolling_mean(before, rows=2)",
                "aged": "ewma(real, span=3)",
            },
            output=Output(),
        ),
    ),
)


def remembered(rows: pa.RecordBatch) -> pa.RecordBatch:
    """The rows as a graph of features that look back makes them."""
    graph = Graph(plan_graph(PAST, rows.schema))
    keys = row_keys(rows, ("symbol",), "event_ns", graph.groups)
    made = graph.take(Sealed(rows, rows.num_rows, keys=keys))["tick"].rows
    assert made is not None
    return made


def judged(aligned: list[pa.RecordBatch], rows: list[pa.RecordBatch], *, low: int = 0) -> Findings:
    findings, heads = Findings(), Heads("event_ns", aligned=low)
    rules = NodeRules.of(PAST, "tick", {"aligned": ["symbol"]}, "event_ns")
    check_node(rules, iter(aligned), iter(rows), findings, repeats=False, heads=heads)
    return findings


@pytest.mark.parametrize("size", [3, 50])
def test_features_that_look_back_are_judged_over_batches(size: int) -> None:
    rows = joined(60)
    own = remembered(rows)
    assert [*judged(list(cut(rows, size)), list(cut(own, 7))).violations()] == []
    wrong = changed(own, 40, "spent", 12.5)
    (fault,) = judged(list(cut(rows, size)), list(cut(wrong, 7))).violations()
    assert (fault.kind, fault.rows) == ("wrong feature", 1)
    assert "spent is 12.5, should be" in fault.examples[0]


def test_rows_that_hang_on_rows_that_are_gone_are_counted_and_not_judged() -> None:
    rows = joined(60)
    own = remembered(rows)
    findings = judged([rows.slice(20)], [own.slice(20)], low=20)
    assert [*findings.violations()] == []
    assert findings.without_past["tick"] == 40  # of each the mean since the session began
    late = changed(own, 40, "spent", 12.5)
    (fault,) = judged([rows.slice(20)], [late.slice(20)], low=20).violations()
    assert fault.rows == 1
    early = changed(own, 20, "spent", 12.5)
    assert [*judged([rows.slice(20)], [early.slice(20)], low=20).violations()] == []
    assert [*judged([rows.slice(20)], [own.slice(20)]).violations()] != []


def test_of_a_long_partition_no_more_is_held_than_a_limit_and_the_rest_is_marked() -> None:
    rules = NodeRules.of(PAST, "tick", {"aligned": ["symbol"]}, "event_ns")
    frames = [frame_of(pa.Table.from_batches([part])) for part in cut(joined(100), 10)]
    whole = pl.concat(wanted_rows(rules, iter(frames), lambda: False))
    tiles = pl.concat(
        wanted_rows(rules, iter(frames), lambda: False, tile_rows=20, held_rows_max=30), how="diagonal"
    )
    for name in ("before", "total", "spent", "aged"):
        there = tiles[f"audit_there_{name}"].fill_null(value=True)
        wanted = WANTED + name
        assert tiles[wanted].filter(there).to_list() == whole[wanted].filter(there).to_list()
        assert there.sum() > (90 if name != "aged" else 30)
    assert not tiles["audit_there_aged"][-1]
