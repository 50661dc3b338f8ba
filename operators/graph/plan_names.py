"""Names that nodes cannot have, and columns that an output would have twice."""

from collections.abc import Collection, Iterator, Sequence

from operators.formula.features import Features
from operators.graph.declare import NODE_NAME_LENGTH_MAX, NODES_MAX, RESERVED, NodeSettings
from operators.graph.errors import NodeError
from schemas.clocks import AVAILABLE_NS
from schemas.reasons import STATUS


def name_errors(nodes: Sequence[NodeSettings], streams: Collection[str]) -> Iterator[NodeError]:
    """The names that no node can have, and those that two have; `streams` are those of the inputs."""
    names = [node.name for node in nodes]
    if not names:
        yield NodeError("graph", None, "a graph needs a node, a table [graph.NAME]")
    if len(names) > NODES_MAX:
        why = f"the graph has {len(names)} nodes, at most {NODES_MAX} are planned"
        yield NodeError(names[NODES_MAX], None, why)
    for number, name in enumerate(names):
        if name in RESERVED:
            why = f"the name {name} is taken by the pipeline itself; choose another one"
        elif name in streams:
            why = f"{name} is a stream; a node needs a name of its own"
        elif not (name.isascii() and name.isidentifier() and len(name) <= NODE_NAME_LENGTH_MAX):
            limit = f"at most {NODE_NAME_LENGTH_MAX} ASCII letters, digits and _"
            why = f"a node's name is {limit}, and does not begin with a digit"
        elif name in names[:number]:
            why = f"two nodes are called {name}"
        else:
            continue
        yield NodeError(name, None, why)


def output_errors(
    node: NodeSettings, carried: Sequence[str] | None, features: Features, *, waits: bool
) -> Iterator[NodeError]:
    """What an output cannot have beside the columns of the node: what nobody knows, and names that are taken.

    `carried` is None where nothing goes out; `waits` says whether rows wait for others inside the graph.
    """
    output, name = node.output, node.name
    if output is None or carried is None:
        return
    if output.available and waits:
        why = "it is not known when a reader could have rows of bars, labels or functions"
        yield NodeError(name, None, why, setting="out.available")
    if output.available and AVAILABLE_NS in carried:
        why = f"the output would have a column {AVAILABLE_NS}, and there is one already"
        yield NodeError(name, None, why, setting="out.available")
    for column in carried if output.status else ():
        if column in features.memories and column + STATUS in carried:
            why = f"the status of {column} would be {column}{STATUS}, and there is such a column already"
            yield NodeError(name, None, why, setting="out.status")
