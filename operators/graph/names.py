"""The names that nodes can have."""

from collections.abc import Iterator, Sequence

from operators.graph.declare import NODE_NAME_LENGTH_MAX, NODES_MAX, RESERVED, NodeSettings
from operators.graph.errors import NodeError


def name_errors(nodes: Sequence[NodeSettings], streams: Sequence[str]) -> Iterator[NodeError]:
    """The names that no node can have, and those that two have."""
    names = [node.name for node in nodes]
    if not names:
        yield NodeError("graph", None, "a graph needs a node, a table [graph.NAME]")
    if len(names) > NODES_MAX:
        message = f"the graph has {len(names)} nodes, at most {NODES_MAX} are planned"
        yield NodeError(names[NODES_MAX], None, message)
    for number, name in enumerate(names):
        if message := _wrong(name, names[:number], streams):
            yield NodeError(name, None, message)


def _wrong(name: str, earlier: Sequence[str], streams: Sequence[str]) -> str:
    """Why a node cannot have a name; empty where it can."""
    if name in RESERVED:
        return f"the name {name} is taken by the pipeline itself; choose another one"
    if name in streams:
        return f"{name} is a stream; a node needs a name of its own"
    if not (name.isascii() and name.isidentifier() and len(name) <= NODE_NAME_LENGTH_MAX):
        limit = f"at most {NODE_NAME_LENGTH_MAX} ASCII letters, digits and _"
        return f"a node's name is {limit}, and does not begin with a digit"
    return f"two nodes are called {name}" if name in earlier else ""
