"""Whole runs from a seed with nodes that remember: whatever dies, their rows are those of one life.

Workers die between any two steps and lose their disks, commits fail, partitions move.  The joined rows are
judged elsewhere (`test_runs`); here a graph that takes all of them at once says what the nodes have to give.
"""

import random
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest

from app.reading.aligned import read_output
from app.settings.graph import GraphTable
from app.wiring.pipeline import Pipeline
from operators.graph.graph import Graph
from operators.graph.row_keys import row_keys
from operators.graph.stream_root import StreamRoot
from operators.inputs.intake import Accepted
from operators.sealed import ALIGNED, Sealed
from schemas.clocks import END_NS, clock_column
from schemas.frame import LEFT_INDEX, LEFT_OFFSET
from tests.simulation.feed import Feed
from tests.simulation.folder import memory_folder
from tests.simulation.judgement import accepted_rows
from tests.simulation.mortal import Mortal, little_room
from tests.simulation.scene import pipeline_of, settings_of

pytestmark = pytest.mark.takes_s(50)

SEEDS = 20
TURNS_MAX = 3_000
MORTAL_TURNS = 60  # after the last row

# Rows however old, recursions without an end and of a session, and one node that hangs on another.
EVER: Final[dict[str, Any]] = {
    "tick": {
        "from": "aligned",
        "features": {
            "before": "lag(price, rows=2)",
            "mean": "rolling_mean(quote_bid, rows=3)",
            "slow": "ewma(price, alpha=0.3, memory='genesis')",
            "session": "ewma(quote_bid, alpha=0.3)",
        },
        "out": {},
    },
    "tock": {"from": "tick", "features": {"sum": "rolling_sum(slow, '30ns')"}, "out": {}},
}
# What hangs on times alone: only the context is read where it is lost.
RECENT: Final[dict[str, Any]] = {
    "tick": {
        "from": "aligned",
        "features": {"sum": "rolling_sum(price, '25ns')", "count": "rolling_count(quote_bid, '40ns')"},
        "out": {},
    },
    "tock": {"from": "tick", "features": {"mean": "rolling_mean(sum, '30ns')"}, "out": {}},
}
# The same of streams, and of the join beside them.
OF_STREAMS: Final[dict[str, Any]] = {
    "rate": {
        "from": "quote",
        "features": {
            "before": "lag(bid, rows=2)",
            "slow": "ewma(ask, alpha=0.3, memory='genesis')",
            "sum": "rolling_sum(bid, '25ns')",
        },
        "out": {},
    },
    "rated": {"from": "rate", "features": {"mean": "rolling_mean(slow, '30ns')"}, "out": {}},
    "sold": {"from": "trade", "features": {"count": "rolling_count(price, '40ns')"}, "out": {}},
    "tick": {"from": "aligned", "features": {"sum": "rolling_sum(price, '25ns')"}, "out": {}},
}
# Joins of nodes and streams, with nodes that remember before and behind them.
JOINS: Final[dict[str, Any]] = {
    "flow": {
        "from": "quote",
        "features": {
            "slow": "ewma(bid, alpha=0.3, memory='genesis')",
            "sum": "rolling_sum(bid, '25ns')",
        },
    },
    "tick": {"from": "aligned", "features": {"before": "lag(price, rows=2)"}},
    "joined": {"kind": "asof", "from": "tick", "right": ["flow"], "tolerance_ns": 20, "lag_ns": 5, "out": {}},
    "later": {
        "from": "joined",
        "features": {"last": "rolling_sum(flow_sum, '30ns')", "mean": "ewma(flow_slow, alpha=0.5)"},
        "out": {},
    },
    "back": {"kind": "asof", "from": "quote", "right": ["later"], "carry": "column", "out": {}},
}


def play(seed: int, folder: Path) -> None:
    """Play one seed to its end and judge it; raises where the rows do not stand."""
    with little_room(random.Random(f"room of {seed}")):
        rng = random.Random(f"memory of {seed}")
        settings = settings_of(rng, folder)
        graph = GraphTable.model_validate(rng.choice([EVER, RECENT, OF_STREAMS, JOINS]))
        kept = {"state_interval_ms": rng.choice([1, 20, 1_000_000])}
        worker = settings.worker.model_copy(update=kept)
        pipeline = pipeline_of(settings.model_copy(update={"graph": graph, "worker": worker}))
        feed = Feed(
            rng,
            pipeline,
            rows=rng.choice([20, 60, 120]),
            periods=rng.choice([1, 2]),
            disorder_ns=settings.pipeline.grace_ns,
        )
        workers = Mortal(rng, pipeline, rng.choice([1, 1, 2, 3]), lambda: feed.wall_ns, lambda: None)
        for _ in feed.steps():
            for _ in range(rng.randrange(3)):
                workers.turn()
        for turn in range(TURNS_MAX):
            workers.immortal = turn > MORTAL_TURNS
            if workers.finished():
                break
            workers.turn()
        else:
            pytest.fail("the run does not come to its end")
        workers.close()
        for partition in range(settings.bus.partitions):
            judge(pipeline, partition)


def judge(pipeline: Pipeline, partition: int) -> None:
    """The rows of every output are those that a graph gives which takes all joined rows at once."""
    assert pipeline.graph is not None
    joined = rows_of(pipeline, ALIGNED, partition)
    graph = Graph(pipeline.graph)
    aligned = Sealed(None, END_NS)
    if joined is not None:
        keys = row_keys(joined, pipeline.asof.left.key, clock_column(pipeline.asof.clock), graph.groups)
        aligned = Sealed(joined, END_NS, keys=keys)
    for name, wanted in graph.take(aligned, streams_of(pipeline, graph, partition)).items():
        found = rows_of(pipeline, name, partition)
        listed = [] if found is None else found.to_pylist()
        expected = [] if wanted.rows is None else wanted.rows.to_pylist()
        assert repr(listed) == repr(expected), f"{name}[{partition}]"


def streams_of(pipeline: Pipeline, graph: Graph, partition: int) -> dict[str, Sealed]:
    """The accepted rows of each stream that a node reads, all at once and in order."""
    assert pipeline.graph is not None
    accepted = accepted_rows(pipeline, partition)
    sealed = {}
    for name, stream in pipeline.graph.streams.items():
        root = StreamRoot(stream, pipeline.asof.clock, graph.groups, keeps_back=False)
        for batch in accepted[name]:
            root.take(name, Accepted(batch))
        sealed[name] = root.seal(END_NS)
    return sealed


def rows_of(pipeline: Pipeline, name: str, partition: int) -> pa.RecordBatch | None:
    """The rows of an output, each once: at least once some come again, as they were."""
    seen: dict[tuple[int, int], str] = {}
    rows = []
    for batch in read_output(pipeline, name, partition):
        for number, row in enumerate(batch.to_pylist()):
            place = (row[LEFT_OFFSET], row[LEFT_INDEX])
            if place not in seen:
                seen[place] = repr(row)
                rows.append(batch.slice(number, 1))
            assert seen[place] == repr(row), f"{name}[{partition}]: a row that came again has changed"
    return pa.concat_batches(rows) if rows else None


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nodes_that_remember_give_the_rows_of_one_life_whatever_dies(seed: int) -> None:
    with memory_folder() as folder:
        play(seed, folder)
