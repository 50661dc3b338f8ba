"""Planning functions: their columns and meanings, what of the past they need, and what is wrong with them."""

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from operators.graph.declare import GraphSettings, JoinSettings, NodeSettings, Output
from operators.graph.errors import GraphError
from operators.graph.past import Past, pasts_of
from operators.graph.plan import Plan, plan_graph
from operators.labels.declare import LabelSettings
from operators.tiles.settings import Mistake, TileSettings, UserFunction

ROWS = pa.schema(
    [
        ("event_ns", pa.int64()),
        ("symbol", pa.string()),
        ("price", pa.float64()),
        ("left_offset", pa.int64()),
        ("left_index", pa.int32()),
    ]
)
FUNCTION = UserFunction(lambda _: {}, "f" * 16, "polars 2.1.0", "my_nodes.py:4")
SMOOTH = TileSettings(
    text="my_nodes.py:smooth", returns={"mid_s": "float64 @2"}, tile_ns=1_000, rows=100, function=FUNCTION
)
FORMULAS = {"mid": "price * 2", "far": "lag(price, rows=1)"}
TICK = NodeSettings(
    name="tick", upstream="aligned", features={"mid": "price * 2", "far": "lag(price, rows=1)"}
)


def plan(*nodes: NodeSettings, rows: pa.Schema = ROWS) -> Plan:
    return plan_graph(GraphSettings(name="g", nodes=nodes), rows, meaning="0")


def smooth(settings: TileSettings = SMOOTH, **more: Any) -> NodeSettings:
    return NodeSettings(
        **{
            "name": "smooth",
            "upstream": "tick",
            "features": {},
            "tiles": settings,
            "output": Output(),
            **more,
        }
    )


def meaning(settings: TileSettings, rows: pa.Schema = ROWS) -> str:
    return plan(TICK, smooth(settings), rows=rows).nodes[1].features.meanings["mid_s"]


def test_a_function_adds_its_columns_to_the_rows_it_reads() -> None:
    _, node = plan(TICK, smooth()).nodes
    assert node.features.layout.names == [*ROWS.names, "mid", "far", "mid_s"]
    assert node.versions == {"mid_s": 2}
    assert node.tiles is not None
    assert node.tiles.read == (*ROWS.names, "mid", "far")
    assert node.features.memories == {"mid_s": "tile"}
    assert node.carried == tuple(node.features.layout.names)


def test_a_function_that_says_what_it_reads_gets_that_and_what_names_a_row() -> None:
    _, node = plan(TICK, smooth(replace(SMOOTH, reads=("mid",)))).nodes
    assert node.tiles is not None
    assert node.tiles.read == ("event_ns", "symbol", "left_offset", "left_index", "mid")


def test_source_tile_context_and_what_is_read_are_in_the_meaning_and_names_are_not() -> None:
    same = meaning(SMOOTH)
    assert meaning(replace(SMOOTH, text="nodes.py:other")) == same
    for changed in (
        replace(SMOOTH, tile_ns=500),
        replace(SMOOTH, rows=99),
        replace(SMOOTH, ns=1),
        replace(SMOOTH, failures_max=3),
        replace(SMOOTH, reads=("price",)),
        replace(SMOOTH, function=replace(FUNCTION, meaning="e" * 16)),
    ):
        assert meaning(changed) != same
    more = ROWS.append(pa.field("venue", pa.string()))
    assert meaning(SMOOTH, more) != same
    reads = replace(SMOOTH, reads=("mid",))
    assert meaning(reads, more) == meaning(reads)


def test_rows_of_context_may_be_however_old_and_those_behind_wait_for_the_tile() -> None:
    behind = NodeSettings(
        name="behind", upstream="smooth", features={"a": "rolling_mean(price, '10ns')"}, output=Output()
    )
    assert pasts_of(plan(TICK, smooth(), behind)) == {
        "tick": Past(ever=True),
        "smooth": Past(ever=True),
        "behind": Past(ns=1_010),
    }
    by_time = replace(SMOOTH, rows=0, ns=50)
    join = NodeSettings(
        name="seen",
        upstream="smooth",
        features={},
        join=JoinSettings(rights=("tick",), tolerance_ns=7, columns={"tick": ("mid",)}),
    )
    tick = replace(TICK, features={"mid": "price * 2"})
    assert pasts_of(plan(tick, smooth(by_time), join))["seen"] == Past(ns=1_050)
    short = pasts_of(plan(tick, smooth(replace(by_time, ns=0)), join))
    assert short["seen"] == Past(ns=1_007)
    alone = smooth(by_time, upstream="aligned")
    assert pasts_of(plan(alone)) == {"smooth": Past(ns=1_050)}


@pytest.mark.parametrize(
    ("settings", "setting", "message"),
    [
        (
            replace(SMOOTH, returns={"mid_s": "float46"}),
            "returns.mid_s",
            "no type float46; float64?",
        ),
        (replace(SMOOTH, returns={"mid": "float64"}), "returns.mid", "tick has a column mid already"),
        (replace(SMOOTH, returns={"a b": "float64"}), "returns.a b", "a column's name is letters"),
        (replace(SMOOTH, reads=("midd",)), "reads", "tick has no column midd; mid?"),
        (replace(SMOOTH, mistakes=(Mistake("function", "no file"),)), "function", "no file"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(settings: TileSettings, setting: str, message: str) -> None:
    with pytest.raises(GraphError) as refused:
        plan(TICK, smooth(settings))
    assert [(error.setting, message in error.message) for error in refused.value.errors] == [(setting, True)]


def test_all_that_is_wrong_is_said_at_once() -> None:
    bad = replace(SMOOTH, mistakes=(Mistake("function", "no file"),), reads=("midd",))
    with pytest.raises(GraphError) as refused:
        plan(replace(TICK, features={"mid": "prise * 2"}), smooth(bad))
    assert [error.subject for error in refused.value.errors] == ["tick.mid", "smooth"]


def test_when_rows_of_a_function_could_be_known_is_not_known() -> None:
    with pytest.raises(GraphError, match="it is not known when a reader could have rows of bars, labels"):
        plan(TICK, smooth(output=Output(available=True)))


def test_a_function_gets_no_label_and_what_it_gives_with_one_is_none() -> None:
    soon = LabelSettings(key="fixed_horizon", values={"horizon_ns": 9})
    outcome = NodeSettings(name="outcome", upstream="aligned", features={}, label=soon)
    _, node = plan(outcome, smooth(upstream="outcome")).nodes
    assert node.tiles is not None
    assert node.tiles.read == tuple(ROWS.names)
    assert node.labels
    assert "mid_s" not in node.labels
    asked = replace(SMOOTH, reads=("price", "label"))
    with pytest.raises(GraphError, match="label is a label: it looks ahead, and no function may read it"):
        plan(outcome, smooth(asked, upstream="outcome"))
