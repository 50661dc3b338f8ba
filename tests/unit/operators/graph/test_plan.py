"""A plan: nodes in order, and every mistake of every node at once."""

from dataclasses import replace

import pyarrow as pa
import pytest

from operators.graph.declare import NODES_MAX, GraphSettings, NodeSettings, Output
from operators.graph.errors import GraphError, NodeError
from operators.graph.plan import Plan, plan_graph
from operators.graph.versions import formula_version
from operators.sessions.daily import DailySessions
from operators.sessions.sessions import DAYS_OF_UTC
from schemas.stream import Stream

ALIGNED = pa.schema(
    [
        pa.field("symbol", pa.string()),
        pa.field("event_ns", pa.int64()),
        pa.field("price", pa.float64()),
        pa.field("quote_bid_price", pa.float64()),
        pa.field("quote_ask_price", pa.float64()),
        pa.field("quote_event_ns", pa.int64()),
        pa.field("left_offset", pa.int64(), nullable=False),
        pa.field("left_index", pa.int32(), nullable=False),
    ]
)
QUOTE = Stream(
    name="quote",
    schema=pa.schema([("event_ns", pa.int64()), ("code", pa.string()), ("bid", pa.float64())]),
    key=("code",),
)
MID = "(quote_bid_price + quote_ask_price) / 2"


def node(name: str, upstream: str = "aligned", output: Output | None = None, **features: str) -> NodeSettings:
    return NodeSettings(name=name, upstream=upstream, features=features or {f"{name}_x": "1"}, output=output)


def planned(*nodes: NodeSettings, meaning: str = "") -> Plan:
    return plan_graph(GraphSettings(name="equities", nodes=nodes), ALIGNED, meaning=meaning)


def errors_of(*nodes: NodeSettings, streams: tuple[Stream, ...] = ()) -> list[NodeError]:
    with pytest.raises(GraphError) as caught:
        plan_graph(GraphSettings(name="equities", nodes=nodes), ALIGNED, streams=streams)
    return list(caught.value.errors)


def messages(*nodes: NodeSettings, streams: tuple[Stream, ...] = ()) -> list[str]:
    return [f"{error.subject}: {error.message}" for error in errors_of(*nodes, streams=streams)]


def test_each_node_comes_after_the_one_it_reads() -> None:
    plan = planned(node("c", "b"), node("b", "a"), node("d", "a"), node("a"))
    order = [each.name for each in plan.nodes]
    assert sorted(order) == ["a", "b", "c", "d"]
    assert order.index("a") < order.index("b") < order.index("c")
    assert order.index("a") < order.index("d")


def test_a_node_reads_the_columns_of_the_one_before_it() -> None:
    plan = planned(node("second", "first", double="2 * mid"), node("first", mid=MID))
    layouts = {each.name: each.features.layout for each in plan.nodes}
    assert layouts["first"].names == [*ALIGNED.names, "mid"]
    assert layouts["second"].names == [*ALIGNED.names, "mid", "double"]


def test_an_output_carries_what_is_chosen_and_what_names_a_row() -> None:
    nodes = (
        node("all", output=Output(), mid=MID),
        node("some", output=Output(("mid", "price")), mid=MID),
        node("none", mid=MID),
    )
    carried = {each.name: each.carried for each in planned(*nodes).nodes}
    assert carried == {
        "all": (*ALIGNED.names, "mid"),
        "some": ("symbol", "event_ns", "price", "left_offset", "left_index", "mid"),
        "none": None,
    }


def test_a_status_column_stands_behind_for_each_feature_that_is_carried() -> None:
    nodes = (
        node("first", mid=MID, twice="2 * mid"),
        node("second", "first", output=Output(("mid", "half"), status=True), half="mid / 2"),
    )
    layout = planned(*nodes).outputs()["second"]
    assert layout.names[-4:] == ["mid", "half", "mid_status", "half_status"]
    assert layout.field("half_status").type == pa.uint8()


def test_a_status_column_with_the_name_of_another_column_is_refused() -> None:
    clash = node("a", output=Output(status=True), mid=MID, mid_status="1")
    assert messages(clash) == ["a: the status of mid would be mid_status, and there is such a column already"]
    (error,) = errors_of(clash)
    assert error.setting == "out.status"


def test_the_key_of_the_left_stream_is_always_carried() -> None:
    layout = pa.schema([pa.field("venue", pa.string()), *ALIGNED])
    settings = GraphSettings(name="g", nodes=(node("a", output=Output(("mid",)), mid=MID),))
    (only,) = plan_graph(settings, layout, key=("venue", "symbol")).nodes
    assert only.carried == ("venue", "symbol", "event_ns", "left_offset", "left_index", "mid")


def test_a_plan_has_the_sessions_of_its_settings_and_days_of_utc_where_they_say_none() -> None:
    sessions = DailySessions(570, 960, "America/New_York")
    settings = GraphSettings(name="g", nodes=(node("a", mid=MID),), sessions=sessions)
    assert plan_graph(settings, ALIGNED).sessions is sessions
    assert planned(node("a", mid=MID)).sessions is DAYS_OF_UTC


def test_a_version_stands_behind_the_formula() -> None:
    assert formula_version("mid + 1 @2") == ("mid + 1", 2)
    assert formula_version("mid + 1\n  @ 12 ") == ("mid + 1\n ", 12)
    assert formula_version("mid + 1") == ("mid + 1", 1)
    assert formula_version("mid@2") == ("mid@2", 1)
    (only,) = planned(node("a", mid=f"{MID} @3", one="1")).nodes
    assert only.versions == {"mid": 3, "one": 1}
    assert only.meaning == planned(node("a", mid=MID, one="1")).nodes[0].meaning


def test_versions_of_one_feature_stand_side_by_side() -> None:
    features = {"vol": "price", "vol@2": "price * 2", "mid": f"{MID} @3", "mid@1": f"{MID} + 1"}
    (only,) = planned(node("a", output=Output(("vol@2",)), **features)).nodes
    assert only.versions == {"vol": 1, "vol@2": 2, "mid": 3, "mid@1": 1}
    assert only.carried is not None
    assert only.carried[-1] == "vol@2"
    assert planned(node("a", vol="price"), node("b", "a", **{"x": "vol + 1", "x@2": "vol + 2"})).nodes


def test_no_two_columns_are_the_same_version_of_a_feature() -> None:
    assert messages(node("a", **{"vol": "price @2", "vol@2": "price * 2", "x@2": "price @3"})) == [
        "a.vol@2: vol is version 2 of vol already; give one of them another version",
        "a.x@2: x@2 says its version in its name; leave @3 behind the formula out",
    ]


BAD_NAMES = {
    "aligned": "the name aligned is taken by the pipeline itself; choose another one",
    "late": "the name late is taken by the pipeline itself; choose another one",
    "last-known": "the name last-known is taken by the pipeline itself; choose another one",
    "tasks": "the name tasks is taken by the pipeline itself; choose another one",
    "state": "the name state is taken by the pipeline itself; choose another one",
    "quote": "quote is a stream; a node needs a name of its own",
    "2nd": "a node's name is at most 64 ASCII letters, digits and _, and does not begin with a digit",
    "a.b": "a node's name is at most 64 ASCII letters, digits and _, and does not begin with a digit",
    "größe": "a node's name is at most 64 ASCII letters, digits and _, and does not begin with a digit",
    "x" * 65: "a node's name is at most 64 ASCII letters, digits and _, and does not begin with a digit",
}


@pytest.mark.parametrize(("name", "message"), BAD_NAMES.items())
def test_a_name_that_no_node_can_have_is_refused(name: str, message: str) -> None:
    assert messages(node(name, x="1"), streams=(QUOTE,)) == [f"{name}: {message}"]


def test_two_nodes_of_one_name_are_refused() -> None:
    assert messages(node("a"), node("b"), node("a")) == ["a: two nodes are called a"]


def test_a_node_that_reads_what_is_not_there_is_told_what_is() -> None:
    assert errors_of(node("tick", "alinged"))[0] == NodeError(
        "tick", None, "there is no node alinged; aligned?", 0, 7, "from"
    )
    assert messages(node("tick", "xyz")) == ["tick: there is no node xyz; there are aligned, tick"]
    assert messages(node("tick", "quotes"), streams=(QUOTE,)) == ["tick: there is no node quotes; quote?"]


def test_a_node_reads_a_stream_put_in_order() -> None:
    settings = GraphSettings(
        name="g",
        nodes=(
            node("wide", "half", x="half + bid"),
            node("half", "quote", output=Output(("half",)), half="bid / 2"),
            node("tick", mid=MID),
        ),
    )
    plan = plan_graph(settings, ALIGNED, streams=(QUOTE, replace(QUOTE, name="bar")))
    half, tick, wide = sorted(plan.nodes, key=lambda one: one.name)
    assert half.features.layout.names == ["event_ns", "code", "bid", "left_offset", "left_index", "half"]
    assert half.carried == ("event_ns", "code", "left_offset", "left_index", "half")
    assert (half.roots, wide.roots, tick.roots) == (("quote",), ("quote",), ("aligned",))
    assert (half.key, tick.key) == (("code",), ("symbol",))
    assert plan.streams == {"quote": QUOTE}
    assert planned(node("tick", mid=MID)).meaning == plan_graph(
        GraphSettings(name="g", nodes=(node("tick", mid=MID),)), ALIGNED, streams=(QUOTE,)
    ).meaning  # fmt: skip


def test_a_stream_that_cannot_be_read_is_refused_with_the_reason() -> None:
    placed = replace(QUOTE, schema=QUOTE.schema.append(pa.field("left_index", pa.int32())))
    assert messages(node("tick", "quote"), streams=(placed,)) == [
        "tick: stream quote has a column left_index, which names a row of it here"
    ]
    assert messages(node("tick", "inputs"), streams=(replace(QUOTE, name="inputs"),)) == [
        "tick: inputs names something else of a pipeline; a stream that nodes read needs another name"
    ]


def test_a_circle_is_named_once() -> None:
    nodes = (node("a", "c"), node("b", "a"), node("c", "b"), node("behind", "c"), node("own", "own"))
    assert messages(*nodes) == [
        "a: the nodes read one another in a circle: a <- c <- b <- a",
        "own: the nodes read one another in a circle: own <- own",
    ]


def test_a_graph_has_nodes_and_a_node_features() -> None:
    assert messages() == ["graph: a graph needs a node, a table [graph.NAME]"]
    empty = NodeSettings(name="a", upstream="aligned", features={})
    assert messages(empty) == ["a: a node needs features, in a table [graph.a.features]"]
    many = [node(f"n{number}") for number in range(NODES_MAX + 1)]
    assert messages(*many) == [f"n{NODES_MAX}: the graph has {NODES_MAX + 1} nodes, at most 200 are planned"]


def test_a_column_that_is_not_there_cannot_go_out() -> None:
    assert errors_of(node("a", output=Output(("mdi", "price")), mid=MID)) == [
        NodeError("a", None, "a has no column mdi; mid?", setting="out.columns")
    ]


def test_all_errors_of_all_nodes_come_at_once_and_none_twice() -> None:
    nodes = (
        node("third", "second", more="doubled + mid", sum="wrong + doubled2"),
        node("second", "first", doubled="2 * mid", other="2 * foo"),
        node("first", mid="bid_price / 2", wrong="mid +"),
        node("lost", "nowhere_at_all", a="anything + lead(x)"),
    )
    assert messages(*nodes) == [
        "third.sum: second has no column doubled2; doubled?",
        "second.other: first has no column foo",
        "first.mid: aligned has no column bid_price; quote_bid_price?",
        "first.wrong: the formula ends too early",
        "lost: there is no node nowhere_at_all; there are aligned, third, second, first, lost",
        "lost.a: lead looks ahead; only a label node may, and labels are never served",
    ]


def test_an_error_has_its_place_in_the_formula() -> None:
    assert errors_of(node("a", x="price + foo @2", price="1")) == [
        NodeError("a", "x", "aligned has no column foo", 8, 11),
        NodeError("a", "price", "aligned has a column price already; a feature needs a name of its own"),
    ]


def test_the_meaning_of_a_graph_is_of_its_features_and_its_join() -> None:
    def meaning(mid: str = MID, name: str = "tick", join: str = "") -> str:
        return planned(node(name, mid=mid), node("other", name, x="mid + 1"), meaning=join).meaning

    assert meaning() == meaning(name="renamed") == meaning(f"( {MID} ) # a comment\n @2")
    assert meaning() != meaning(f"{MID} + 1")
    assert meaning() != meaning(join="of another tolerance")
    both = planned(node("a", x="1"), node("b", x="2")).meaning
    assert both == planned(node("b", x="2"), node("a", x="1")).meaning
