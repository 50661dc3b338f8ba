"""Where nodes begin to take rows again: no further back than they must, and together where they must."""

import pyarrow as pa

from operators.graph.declare import GraphSettings, JoinSettings, NodeSettings
from operators.graph.past import Past, pasts_of
from operators.graph.plan import plan_graph
from operators.graph.starts import Places, starts_of
from operators.inputs.progress import FIRST, RowPlace
from schemas.stream import Stream

COLUMNS = [pa.field("event_ns", pa.int64()), pa.field("symbol", pa.string()), pa.field("x", pa.float64())]
QUOTE = Stream(name="quote", schema=pa.schema(COLUMNS))
ALIGNED = pa.schema([*COLUMNS, ("left_offset", pa.int64()), ("left_index", pa.int32())])
# Both sides of a join remember rows, and so does what reads it.
PLAN = plan_graph(
    GraphSettings(
        name="g",
        nodes=(
            NodeSettings(name="tick", upstream="aligned", features={"a": "rolling_sum(x, '10ns')"}),
            NodeSettings(name="flow", upstream="quote", features={"b": "rolling_sum(x, '20ns')"}),
            NodeSettings(
                name="both",
                upstream="tick",
                features={},
                join=JoinSettings(rights=("flow",), tolerance_ns=5),
            ),
            NodeSettings(name="behind", upstream="both", features={"c": "rolling_sum(a, '7ns')"}),
        ),
    ),
    ALIGNED,
    streams=(QUOTE,),
)


def at(time_ns: int) -> RowPlace:
    return (time_ns, *FIRST[1:])


def both(time_ns: int) -> Places:
    return {"aligned": at(time_ns), "quote": at(time_ns)}


STANDING: dict[str, Places | None] = {
    "tick": {"aligned": at(100)},
    "flow": {"quote": at(100)},
    "both": both(100),
    "behind": both(100),
}


def starts(standing: dict[str, Places | None]) -> dict[str, tuple[dict[str, int], bool]]:
    found = starts_of(PLAN, pasts_of(PLAN), standing, both(120), lambda ns: ns)
    return {
        name: ({root: place[0] for root, place in at.items()}, anew) for name, (at, anew) in found.items()
    }


def test_a_join_has_the_past_of_its_tolerance_and_of_both_sides() -> None:
    pasts = pasts_of(PLAN)
    assert pasts["both"] == Past(ns=25)
    assert pasts["behind"] == Past(ns=17)


def test_nodes_that_stand_somewhere_take_the_rows_since() -> None:
    assert starts(STANDING) == {
        "tick": ({"aligned": 100}, False),
        "flow": ({"quote": 100}, False),
        "both": ({"aligned": 100, "quote": 100}, False),
        "behind": ({"aligned": 100, "quote": 100}, False),
    }


def test_what_reads_a_join_that_starts_anew_starts_anew_with_it() -> None:
    found = starts({**STANDING, "both": None})
    assert {name for name, (_, anew) in found.items() if anew} == {"tick", "flow", "both", "behind"}
    assert found["both"][0] == {"aligned": 95, "quote": 95}  # with the pasts of what it reads


def test_a_node_before_a_join_that_lost_its_state_leaves_the_join_alone() -> None:
    found = starts({**STANDING, "flow": None})
    assert {name for name, (_, anew) in found.items() if anew} == {"flow"}
    assert found["flow"][0] == {"quote": 80}


def test_at_the_commit_nothing_is_taken_again() -> None:
    there = {
        name: None if place is None else dict.fromkeys(place, at(120)) for name, place in STANDING.items()
    }
    assert all(set(places.values()) == {120} for places, _ in starts(dict(there)).values())
