"""A graph over a few rows that a test writes down, in one task from first row to last."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from operators.graph.declare import GraphSettings, NodeSettings
from operators.graph.plan import plan_graph
from operators.graph.task_graph import TaskGraph
from operators.join.settings import AsofSettings
from schemas.arrived import Arrived
from schemas.stream import Stream

Rows = Sequence[Mapping[str, Any]]


def outputs_of(
    nodes: tuple[NodeSettings, ...], streams: Mapping[str, pa.Schema], rows: Mapping[str, Rows]
) -> dict[str, list[dict[str, Any]]]:
    """The rows of each output, over rows of the streams: trades and quotes are joined, others lie beside."""
    trade, quote, *beside = (Stream(name=name, schema=schema) for name, schema in streams.items())
    join = AsofSettings(left=trade, rights=(quote,), beside=tuple(beside))
    plan = plan_graph(GraphSettings(name="g", nodes=nodes), join.aligned_schema(), streams=join.streams)
    task = TaskGraph(join, plan)
    for name, schema in streams.items():
        task.push(name, Arrived(pa.RecordBatch.from_pylist(rows.get(name, ()), schema)))
    sealed = task.finish()
    return {name: one.rows.to_pylist() for name, one in sealed.items() if one.rows is not None}
