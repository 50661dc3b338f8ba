"""Parts of a graph: what a node is made of, what hangs on it, and what a lock does not know."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Final

from app.errors import UsageError
from operators.formula.suggest import suggest
from operators.graph.plan import Plan, PlannedNode

CHANGED: Final = "@changed"


def selected(plan: Plan, words: str, changed: Collection[str]) -> list[PlannedNode]:
    """The nodes that a selection names, in the order of the graph.

    It has one or more of `NODE`, `+NODE` (and all that it is made of), `NODE+` (and all that hang on it),
    `+NODE+`, and `@changed`, which are the nodes `changed`; with blanks or commas between.  Raises UsageError
    where a node is none.
    """
    names: set[str] = set()
    for word in words.replace(",", " ").split():
        if word.startswith("@"):
            if word != CHANGED:
                raise UsageError(f"--select {word}: there is {CHANGED}, and nodes as +NODE, NODE+ or NODE")
            names |= {*changed}
            continue
        name = word.removeprefix("+").removesuffix("+")
        names.add(require_node(plan, name))
        if word.startswith("+"):
            names |= _before(plan, name)
        if word.endswith("+"):
            names |= _behind(plan, name)
    return [node for node in plan.nodes if node.name in names]


def require_node(plan: Plan, name: str) -> str:
    """The name; raises UsageError where the graph has no such node."""
    names = [node.name for node in plan.nodes]
    if name not in names:
        raise UsageError(f"the graph has no node {name}{suggest(name, names, listed='there are')}")
    return name


def ancestors(plan: Plan, name: str) -> Plan:
    """The part of a graph that a node is made of, itself included; raises UsageError where there is none."""
    wanted = _before(plan, require_node(plan, name)) | {name}
    return part_of(plan, [node for node in plan.nodes if node.name in wanted])


def part_of(plan: Plan, nodes: Iterable[PlannedNode]) -> Plan:
    """The graph with these of its nodes alone, among which are all that they read."""
    kept = tuple(nodes)
    read = {root for node in kept for root in node.roots}
    return replace(plan, nodes=kept, streams={n: one for n, one in plan.streams.items() if n in read})


def _before(plan: Plan, name: str) -> set[str]:
    """What a node is made of."""
    names = {name}
    for node in reversed(plan.nodes):
        if node.name in names:
            names |= {*node.reads}
    return names - {name}


def _behind(plan: Plan, name: str) -> set[str]:
    """What hangs on a node."""
    names = {name}
    for node in plan.nodes:
        if names.intersection(node.reads):
            names.add(node.name)
    return names - {name}
