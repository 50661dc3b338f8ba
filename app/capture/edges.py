"""What an edge of a graph stands for: the roots that its rows hang on, and the nodes that hang on these."""

from collections.abc import Iterable
from typing import NamedTuple

from app.errors import UsageError
from app.graph.select import part_of
from operators.formula.suggest import suggest
from operators.graph.plan import Plan
from operators.sealed import ALIGNED


class Edge(NamedTuple):
    """An edge by name: `aligned`, a stream, or a node.

    `roots`  whose sealed rows are captured: the edge itself, or those that the rows of a node hang on.
    `plan`   the part of the graph that hangs on these roots alone, and so can be computed from them.
    """

    name: str
    roots: tuple[str, ...]
    plan: Plan


def edge_of(plan: Plan | None, streams: Iterable[str], name: str) -> Edge:
    """The edge of that name; raises UsageError where there is none, or where no node hangs on it alone."""
    nodes = () if plan is None else plan.nodes
    known = [ALIGNED, *streams, *(node.name for node in nodes)]
    if name not in known:
        raise UsageError(f"there is no edge {name}{suggest(name, known, listed='there are')}")
    own = next((node for node in nodes if node.name == name), None)
    roots = (name,) if own is None else own.roots
    kept = [node for node in nodes if {*node.roots} <= {*roots}]
    if plan is None or not kept:
        raise UsageError(
            f"no node of the graph hangs on {name} alone, so that nothing could be replayed: name a node"
        )
    return Edge(name, roots, part_of(plan, kept))
