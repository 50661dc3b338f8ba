"""Planning models: what they read and learn, what they mean, and what is wrong with them."""

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from operators.graph.declare import GraphSettings, NodeSettings, Output
from operators.graph.errors import GraphError
from operators.graph.past import Past, pasts_of
from operators.graph.plan import Plan, plan_graph
from operators.labels.declare import LabelSettings
from operators.tiles.settings import FitSettings, ModelSettings, TileSettings, UserFunction

ROWS = pa.schema(
    [
        ("event_ns", pa.int64()),
        ("symbol", pa.string()),
        ("price", pa.float64()),
        ("left_offset", pa.int64()),
        ("left_index", pa.int32()),
    ]
)
FUNCTION = UserFunction(lambda _: {}, "f" * 16, "numpy", "my_models.py:4")
SCORE = TileSettings(
    text="my_models.py:Ridge",
    returns={"score": "float64"},
    tile_ns=1_000,
    function=FUNCTION,
    model=ModelSettings(x=("mid", "far"), y="outcome.label"),
)
TICK = NodeSettings(
    name="tick",
    upstream="aligned",
    features={"mid": "price * 2", "far": "lag(price, rows=1)", "up": "price > 3"},
)
OUTCOME = NodeSettings(
    name="outcome",
    upstream="tick",
    features={},
    label=LabelSettings(key="sign", values={"price": "mid", "horizon_rows": 2, "max_ns": 9}),
)


def plan(*nodes: NodeSettings) -> Plan:
    return plan_graph(GraphSettings(name="g", nodes=nodes), ROWS, meaning="0")


def score(settings: TileSettings = SCORE, **more: Any) -> NodeSettings:
    given = {"name": "score", "upstream": "tick", "features": {}, "tiles": settings, "output": Output()}
    return NodeSettings(**{**given, **more})


def of_model(**changes: Any) -> NodeSettings:
    assert SCORE.model is not None
    return score(replace(SCORE, model=replace(SCORE.model, **changes)))


def meaning(node: NodeSettings, outcome: NodeSettings = OUTCOME) -> str:
    planned = {one.name: one for one in plan(node, outcome, TICK).nodes}
    return planned["score"].features.meanings["score"]


def refusal(*nodes: NodeSettings) -> list[tuple[str, str]]:
    with pytest.raises(GraphError) as wrong:
        plan(*nodes)
    return [(error.setting, error.message) for error in wrong.value.errors]


def test_a_model_reads_its_columns_in_their_order_and_adds_what_it_gives() -> None:
    node = plan(score(), OUTCOME, TICK).nodes[-1]
    assert node.name == "score"  # behind what it learns
    assert node.tiles is not None
    assert node.tiles.read == ("mid", "far")
    assert node.features.layout.names[-1] == "score"
    assert node.features.memories == {"score": "tile"}
    assert node.reads == ("tick",)  # no row of the label goes into it


def test_columns_label_fit_and_source_are_in_the_meaning_and_names_are_not() -> None:
    same = meaning(score())
    assert meaning(score(replace(SCORE, text="others.py:Other"))) == same
    other = replace(
        OUTCOME, label=LabelSettings(key="sign", values={"price": "mid", "horizon_rows": 3, "max_ns": 9})
    )
    assert meaning(score(), other) != same
    for changed in (
        of_model(x=("far", "mid")),
        of_model(x=("mid",)),
        of_model(fit=FitSettings(over_sessions=3)),
        of_model(fit=FitSettings(embargo_rows=3)),
        score(replace(SCORE, function=replace(FUNCTION, meaning="e" * 16))),
        score(replace(SCORE, tile_ns=500)),
    ):
        assert meaning(changed) != same


def test_a_model_needs_the_rows_of_its_open_tile_and_what_its_columns_need() -> None:
    planned = plan(score(), OUTCOME, TICK)
    assert pasts_of(planned)["score"] == Past(ever=True, ns=1_000)


def test_what_is_wrong_with_a_model_is_told_with_its_key() -> None:
    assert refusal(of_model(x=("mod",)), OUTCOME, TICK) == [("x", "tick has no column mod; mid?")]
    assert refusal(of_model(x=("symbol",)), OUTCOME, TICK) == [
        ("x", "symbol is string: a model takes numbers and booleans")
    ]
    assert refusal(of_model(y="outcom.label"), OUTCOME, TICK)[0][0] == "y"
    assert refusal(of_model(y="outcome.mid"), OUTCOME, TICK)[0][1].startswith("outcome.mid is no label")
    assert refusal(of_model(y="tick.mid"), OUTCOME, TICK)[0][1].startswith("tick.mid is no label")
    (circle,) = refusal(score(), replace(OUTCOME, upstream="score"), TICK)
    assert circle == ("from", "the nodes read one another in a circle: score <- outcome <- score")


def test_a_label_is_no_column_of_a_model() -> None:
    behind = score(
        replace(SCORE, model=ModelSettings(x=("mid", "label"), y="outcome.label")), upstream="outcome"
    )
    assert refusal(behind, OUTCOME, TICK) == [
        ("x", "label is a label: it looks ahead, and no model may read it")
    ]


def test_rows_with_the_label_have_the_same_columns() -> None:
    other = NodeSettings(name="other", upstream="aligned", features={"mid": "price * 3"})
    of_other = replace(OUTCOME, upstream="other")
    assert refusal(score(), of_other, other, TICK) == [
        ("x", "mid of outcome, which has the label, is another column than that of tick"),
        ("x", "outcome, which has the label, has no column far: let it come behind tick"),
    ]
