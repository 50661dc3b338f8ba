"""The open bars of a node, read from the topic in which workers keep what their nodes remember."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa

from app.config import Settings
from app.errors import RunError, UsageError
from app.process.meter import Meter
from app.reading.last_known import kept_entries
from app.wiring.pipeline import Pipeline
from app.words import table_lines
from operators.bars.node import BarsNode
from operators.entries import KeptEntries
from operators.graph.graph import Graph, make_node
from operators.graph.plan import PlannedNode
from operators.node import Node
from operators.rows.groups import Groups
from topics.catalogue import STATE


def require_bars(settings: Settings, name: str) -> None:
    """Raise UsageError, naming those that there are, where a node has no bars."""
    nodes = [node for node, table in settings.graph.nodes.items() if table.kind == "bars"]
    if name not in nodes:
        there = f"its nodes of bars: {', '.join(nodes)}" if nodes else "it has none"
        raise UsageError(f"{settings.file or 'settings'}: no node {name} of bars; {there}")


def open_bars(pipeline: Pipeline, name: str) -> pa.Table:
    """The open bars of a node, of all partitions, as they were kept last (`BarsNode.open_bars`).

    Raises RunError where nothing is kept, or what is kept is of a node that meant something else.
    """
    settings = pipeline.settings
    topic = settings.topic(STATE)
    if pipeline.bus.admin().describe([topic])[topic] is None:
        raise RunError(f"there is no topic {topic}: no worker has kept anything yet")
    return pa.Table.from_batches(
        [_of_partition(pipeline, name, number) for number in range(settings.bus.partitions)]
    )


def _of_partition(pipeline: Pipeline, name: str, number: int) -> pa.RecordBatch:
    assert pipeline.graph is not None, "a graph with bars is a graph"
    nodes: dict[str, Node] = {}

    def make(planned: PlannedNode, groups: Groups) -> Node:
        nodes[planned.name] = make_node(planned, groups)
        return nodes[planned.name]

    what = f"what nodes of partition {number} remember"
    reader = f"{pipeline.settings.pipeline.prefix}-open"
    entries = kept_entries(pipeline, STATE, number, group=reader, meter=Meter(), what=what)
    graph = Graph(pipeline.graph, make)
    lost = graph.restore(KeptEntries(entries.items()), {}, from_topic=True)
    if name in lost or name in graph.standing.changed:
        raise RunError(f"what is kept of node {name}, partition {number}, is of other settings or damaged")
    node = nodes[name]
    assert isinstance(node, BarsNode), f"{name} has bars"
    return node.open_bars()


def open_lines(bars: pa.Table) -> list[str]:
    """A line for each bar, for a person."""
    if not bars.num_rows:
        return ["no bar is open"]
    rows = [[_text(value) for value in row.values()] for row in bars.to_pylist()]
    return table_lines(bars.column_names, rows, right=bars.column_names)


def open_json(bars: pa.Table) -> Iterator[str]:
    """A line for each bar, for programs."""
    for row in bars.to_pylist():
        yield json.dumps({name: _plain(value) for name, value in row.items()})


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value
