"""Planning labels: their columns, what they mean, who may read them, and what is wrong with their table."""

import re
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from operators.bars.settings import BarSettings
from operators.graph.declare import GraphSettings, JoinSettings, NodeSettings, Output
from operators.graph.errors import GraphError
from operators.graph.past import Past, pasts_of
from operators.graph.plan import Plan, PlannedNode, plan_graph
from operators.labels.declare import LabelSettings
from operators.sessions.daily import DailySessions
from schemas.labels import labels_of
from tests.stage.bar_nodes import layout_of

SOON = LabelSettings(key="fixed_horizon", values={"horizon_ns": 9})
BARRIERS = LabelSettings(
    key="triple_barrier", values={"sigma": "size", "up": 1.0, "down": 1.0, "horizon_rows": 3, "max_ns": 50}
)
ROWS = layout_of(float)


def plan(*nodes: NodeSettings, rows: pa.Schema = ROWS, **more: Any) -> Plan:
    return plan_graph(GraphSettings(name="g", nodes=nodes, **more), rows, meaning="0")


def label(settings: LabelSettings = SOON, **more: Any) -> NodeSettings:
    named = {"name": "outcome", "upstream": "aligned", "features": {}, "output": Output(), **more}
    return NodeSettings(**named, label=settings)


def behind(name: str = "next", upstream: str = "outcome", **more: Any) -> NodeSettings:
    return NodeSettings(**{"name": name, "upstream": upstream, "features": {}, "output": Output(), **more})


def wrong(*nodes: NodeSettings, **more: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(GraphError) as refused:
        plan(*nodes, **more)
    return [(error.subject, error.setting, error.message) for error in refused.value.errors]


def labels_in(node: PlannedNode) -> list[str]:
    assert node.output is not None
    return labels_of(node.output.layout)


def test_a_label_has_the_columns_of_its_rows_and_its_own_are_marked() -> None:
    (node,) = plan(label(BARRIERS)).nodes
    own = ["label", "ret", "side_ret", "barrier", "exit_price"]
    own += ["label_end_ns", "info_end_ns", "label_known_ns", "label_reason"]
    assert node.features.layout.names == [*ROWS.names, *own]
    assert labels_in(node) == own
    assert node.has_own_rows
    assert (node.features.memories["label"], node.features.reaches["label"].ns) == ("held", 50)
    assert node.features.columns == ()


def test_the_price_is_the_close_of_bars_and_the_price_of_trades() -> None:
    bars = behind("bars", "aligned", bars=BarSettings(every="volume", limit="5"))
    of_trades, _, of_bars = plan(label(), bars, label(name="later", upstream="bars")).nodes
    assert of_trades.label is not None
    assert of_bars.label is not None
    assert (of_trades.label.price, of_bars.label.price) == ("price", "close")


def test_prices_with_a_scale_are_ticks() -> None:
    (node,) = plan(label(), scales={"aligned": {"price": 100}}).nodes
    assert node.label is not None
    assert getattr(node.label.settings, "scale", None) == 100


def test_a_spread_reads_two_sides_and_adds_its_own_value() -> None:
    spread = {"mid": "size", "direction": "size", "horizon_ns": 5}
    (node,) = plan(label(LabelSettings(key="price_impact", values=spread, quotes="aligned"))).nodes
    assert node.reads == ("aligned", "aligned")
    assert labels_in(node) == ["price_impact", "later_mid", "label_end_ns", "info_end_ns", "label_known_ns"]
    assert node.label is not None
    assert node.label.values == ("price_impact",)
    twice = LabelSettings(key="realised_spread", values=spread, quotes="nothing")
    assert wrong(label(twice))[0][:2] == ("outcome", "realised_spread.quotes")


def halts(column: str = "size", source: str = "aligned") -> LabelSettings:
    return LabelSettings(key="fixed_horizon", values={"horizon_ns": 9, "halted": column}, halts=source)


def test_a_label_with_halts_reads_statuses_and_says_whether_one_is_inside() -> None:
    rows = layout_of(int)
    (node,) = plan(label(halts()), rows=rows).nodes
    assert node.reads == ("aligned", "aligned")
    assert labels_in(node)[-3:] == ["label_known_ns", "halted_inside", "label_reason"]
    assert node.features.layout.field("halted_inside").type == pa.bool_()
    (without,) = plan(label(), rows=rows).nodes
    assert without.meaning != node.meaning
    assert pasts_of(plan(label(halts()), rows=rows))["outcome"].ever  # a status that stands, however old
    tick = behind("status", "aligned", features={"stopped": "size > 4"})
    other = replace(tick, features={"stopped": "size > 5"})
    meanings = [plan(one, label(halts("stopped", "status"))).nodes[1].meaning for one in (tick, other)]
    assert meanings[0] != meanings[1]


def test_statuses_that_say_nothing_of_halts_are_refused() -> None:
    for column, message in (
        ("state", "there is no column state"),
        ("symbol", "symbol is string: a status is a boolean, or an integer that is 0 without a halt"),
    ):
        ((subject, setting, found),) = wrong(label(halts(column)))
        assert (subject, setting) == ("outcome", "fixed_horizon")
        assert message in found
    assert wrong(label(halts(source="nothing")))[0][:2] == ("outcome", "fixed_horizon.halts")
    on_top = replace(label(halts("label", "outcome")), name="next")
    assert "label of outcome is a label itself" in wrong(label(), on_top)[0][2]


def test_a_formula_that_reads_a_label_is_refused_where_it_stands() -> None:
    reader = behind(features={"x": "price + label", "y": "price * 2"})
    with pytest.raises(GraphError) as refused:
        plan(label(), reader)
    (error,) = refused.value.errors
    assert (error.subject, error.start, error.end) == ("next.x", 8, 13)
    assert "label is a label, made of later rows" in error.message


def test_bars_and_labels_read_no_label() -> None:
    sums = BarSettings(every="volume", limit="5", where="label > 0")
    ((subject, setting, message),) = wrong(label(), behind(bars=sums))
    assert (subject, setting) == ("next", "where")
    assert "label is a label" in message
    inside = behind(bars=replace(sums, where=""), features={"won": "sum(label)"})
    assert wrong(label(), inside)[0][0] == "next.won"
    on_top = label(LabelSettings(key="sign", values={"horizon_ns": 1, "price": "label"}), name="next")
    ((subject, setting, message),) = wrong(label(), replace(on_top, upstream="outcome"))
    assert (subject, setting) == ("next", "sign")
    assert "label of outcome is a label itself" in message


def test_other_columns_of_labelled_rows_are_features_still() -> None:
    nodes = plan(label(), behind(features={"x": "price * 2"})).nodes
    assert nodes[1].features.memories["x"] == "row"
    assert labels_in(nodes[1]) == labels_in(nodes[0])


def test_labels_that_are_joined_stay_labels() -> None:
    joined = behind("joined", "aligned", join=JoinSettings(rights=("outcome",)))
    reader = behind(upstream="joined", features={"x": "outcome_label * 2"})
    ((subject, _, message),) = wrong(label(), joined, reader)
    assert subject == "next.x"
    assert "outcome_label is a label" in message
    nodes = plan(label(), joined).nodes
    assert labels_in(nodes[1]) == [f"outcome_{name}" for name in labels_in(nodes[0])]
    left = behind("joined", join=JoinSettings(rights=("plain",)))
    plain = behind("plain", "aligned", features={"x": "price"})
    assert labels_in(plan(label(), plain, left).nodes[2]) == labels_in(nodes[0])


def test_bars_of_labelled_rows_have_no_labels() -> None:
    sums = BarSettings(every="volume", limit="5")
    bars = behind(bars=sums, features={"label": "last(price)"})
    assert labels_in(plan(label(), bars).nodes[1]) == []


def test_rows_that_wait_mean_all_that_they_carry() -> None:
    def meaning(settings: LabelSettings = SOON, **more: Any) -> str:
        return plan(label(settings), **more).nodes[0].meaning

    assert meaning() == plan(label(name="other")).nodes[0].meaning
    new_york = DailySessions(570, 960, "America/New_York")
    across = replace(SOON, values={"horizon_ns": 9, "across_sessions": True})
    others = [
        meaning(BARRIERS),
        meaning(replace(SOON, values={"horizon_ns": 8})),
        meaning(across),
        meaning(sessions=new_york),
        meaning(rows=ROWS.append(pa.field("more", pa.float64()))),
        meaning(scales={"aligned": {"price": 100}}),
    ]
    assert len({meaning(), *others}) == 7
    assert meaning(across) == meaning(across, sessions=new_york)


def test_what_waits_behind_a_label_needs_rows_that_are_as_old() -> None:
    nodes = (
        label(),
        behind("since", features={"x": "cumsum(price)"}),
        behind("late", "since", label=replace(SOON, values={"horizon_ns": 5, "price": "x"})),
        behind("ever", "aligned", label=replace(SOON, values={"horizon_ns": 5, "across_sessions": True})),
    )
    with pytest.raises(GraphError, match="the label adds a column label"):
        plan(*nodes)
    pasts = pasts_of(plan(*nodes[:2], nodes[3]))
    assert pasts["outcome"] == Past(sessions=1, ns=9)
    assert pasts["since"] == Past(sessions=1, ns=9)
    assert pasts["ever"].ever


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (LabelSettings(key="sign"), "a label needs a horizon"),
        (LabelSettings(key="trend_scan"), "trend_scan needs max_ns"),
        (replace(SOON, values={"horizon_ns": 1, "price": "prise"}), "there is no column prise; price[?]"),
        (
            replace(SOON, values={"horizon_ns": 1, "price": "symbol"}),
            "symbol is string: a label reads numbers",
        ),
    ],
)
def test_what_is_wrong_is_said_of_the_key(settings: LabelSettings, message: str) -> None:
    ((subject, setting, said),) = wrong(label(settings))
    assert (subject, setting) == ("outcome", settings.key)
    assert re.search(message, said)


def test_rows_without_a_price_need_its_name() -> None:
    rows = pa.schema([field.with_name("bid") if field.name == "price" else field for field in ROWS])
    ((_, _, message),) = wrong(label(), rows=rows)
    assert message.startswith('which column has the price: write price = "NAME"; there are event_ns')


def test_nobody_knows_when_a_reader_could_have_a_label() -> None:
    ((_, setting, message),) = wrong(label(output=Output(available=True)))
    assert setting == "out.available"
    assert "labels" in message
