"""The verifier of nodes: what each output of a graph must hold, by the aligned rows that are committed.

A graph that takes them all in one life says what every node has to give, to the last bit.  Whether its values
are right is the audit's to say, which computes them from the formulas' text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka import Message

from app.reading.aligned import fitted
from app.wiring.pipeline import Pipeline
from operators.graph.graph import Graph
from operators.graph.row_keys import row_keys
from operators.sealed import ALIGNED, Sealed
from schemas.clocks import clock_column
from schemas.frame import LEFT_INDEX, LEFT_OFFSET
from tests.broker.chaos.verifier import Figures

Place = tuple[int, int]  # of the left row: its offset and index
Booleans = npt.NDArray[np.bool_]
PLACE: Final = (LEFT_OFFSET, LEFT_INDEX)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one output and partition: those that were there first, in order, and how many came again."""

    places: list[Place]
    rows: pa.RecordBatch
    repeated: int
    changed: int  # of those that came again, as others


def verify_nodes(
    log: Mapping[str, Sequence[Message]],
    pipeline: Pipeline,
    figures: Figures,
    seen: Mapping[str, set[tuple[int, int]]],
    *,
    complete: bool = True,
) -> None:
    """Add to the figures what is wrong with rows of nodes; `seen` are the messages that readers have seen.

    Exactly once each node has the rows that the aligned topic has, whatever became of the run.
    """
    if pipeline.graph is None:
        return
    settings = pipeline.settings
    repeats = settings.worker.guarantee == "at_least_once"
    for name in settings.node_outputs:
        messages = log[settings.topic(name)]
        committed = {(message.partition(), message.offset()) for message in messages}
        figures.aborted_seen += len(seen[name] - committed)
        figures.lost += len(committed - seen[name]) if complete else 0
    for partition in range(settings.bus.partitions):
        wanted = wanted_rows(log[settings.topic(ALIGNED)], pipeline, partition)
        for name, rows in wanted.items():
            of_rule = [*PLACE, *_features(pipeline, name)]
            found = rows_of(log[settings.topic(name)], partition, rows.rows.schema)
            _compare(found, rows, of_rule, figures, repeats=repeats, complete=complete)


def wanted_rows(log: Sequence[Message], pipeline: Pipeline, partition: int) -> dict[str, Rows]:
    """What each node with an output has to give, were it there from the beginning."""
    assert pipeline.graph is not None, "there are no nodes"
    aligned = rows_of(log, partition, pipeline.asof.aligned_schema())
    graph = Graph(pipeline.graph)
    on = clock_column(pipeline.settings.pipeline.clock)
    keys = row_keys(aligned.rows, pipeline.asof.left.key, on, graph.groups)
    taken = graph.take(Sealed(aligned.rows, 0, keys=keys)) if aligned.places else {}
    return {
        name: Rows(aligned.places, made.rows, 0, 0) for name, made in taken.items() if made.rows is not None
    }


def _features(pipeline: Pipeline, name: str) -> tuple[str, ...]:
    assert pipeline.graph is not None, "there are no nodes"
    (planned,) = (node for node in pipeline.graph.nodes if node.name == name)
    return tuple(planned.features.columns)


def rows_of(log: Sequence[Message], partition: int, schema: pa.Schema) -> Rows:
    """The rows of a partition under these columns; of rows that came again the first."""
    batches = []
    for message in log:
        if message.partition() == partition:
            with pa.ipc.open_stream(message.value()) as frame:
                batches += [_under(batch, schema) for batch in frame]
    rows = pa.Table.from_batches(batches, schema)
    places = list(zip(*(rows.column(name).to_pylist() for name in PLACE), strict=True))
    first: dict[Place, int] = {}
    for number, place in enumerate(places):
        first.setdefault(place, number)
    again = [number for number, place in enumerate(places) if first[place] != number]
    changed = sum(
        not equal_bits(rows.slice(number, 1), rows.slice(first[places[number]], 1)).all() for number in again
    )
    once = rows.take(pa.array(list(first.values()), pa.int64())).combine_chunks()
    batch = once.to_batches()[0] if once.num_rows else pa.RecordBatch.from_pylist([], schema)
    return Rows(list(first), batch, len(again), changed)


def _under(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Rows under these columns: null where they are from before there was one."""
    return fitted(batch.select([name for name in batch.schema.names if name in schema.names]), schema)[0]


def _compare(
    found: Rows, wanted: Rows, columns: Sequence[str], figures: Figures, *, repeats: bool, complete: bool
) -> None:
    where = {place: number for number, place in enumerate(wanted.places)}
    there = [place for place in found.places if place in where]
    figures.node_rows += len(there)
    figures.lost += len(where) - len(there) if complete or not repeats else 0
    figures.changed += len(found.places) - len(there) if complete or not repeats else 0
    figures.changed += found.changed
    figures.duplicated += 0 if repeats else found.repeated
    order = [where[place] for place in there]
    figures.out_of_order += sum(later < earlier for earlier, later in pairwise(order))
    own = {place: number for number, place in enumerate(found.places)}
    mine = found.rows.select(columns).take(pa.array([own[place] for place in there], pa.int64()))
    theirs = wanted.rows.select(columns).take(pa.array(order, pa.int64()))
    figures.changed += int((~equal_bits(pa.table(mine), pa.table(theirs))).sum())


def equal_bits(one: pa.Table, other: pa.Table) -> Booleans:
    """Which rows are the same bits, nulls included."""
    equal = np.ones(one.num_rows, np.bool_)
    for name in one.column_names:
        first, second = (_bits(table.column(name).combine_chunks()) for table in (one, other))
        same = pc.fill_null(pc.equal(first, second), False)
        both_null = pc.and_(pc.is_null(first), pc.is_null(second))
        equal &= np.asarray(pc.or_(same, both_null).to_numpy(zero_copy_only=False), np.bool_)
    return equal


def _bits(values: pa.Array) -> pa.Array:
    """Doubles as the whole numbers that their bits are."""
    return values.view(pa.int64()) if values.type == pa.float64() else values
