"""Where the rows begin that each node is to take again, so that all of them stand at a commit.

A place has a part for each root that the rows of a node come from.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeAlias

from operators.graph.past import Past
from operators.graph.plan import Plan, PlannedNode
from operators.inputs.progress import FIRST, RowPlace
from schemas.clocks import BEGINNING_NS

Places: TypeAlias = Mapping[str, RowPlace]  # by root


class Start(NamedTuple):
    """Behind which rows of each root a node goes on; `anew` says that it does so without state."""

    places: Places
    anew: bool


def starts_of(
    plan: Plan,
    pasts: Mapping[str, Past],
    standing: Mapping[str, Places | None],
    through: Places,
    session_start: Callable[[int], int],
) -> dict[str, Start]:
    """The start of each node that remembers rows; `standing` says where they are, `through` the commit.

    A node whose own input has to begin further back than it stands itself starts anew, for it has to give
    those rows once more.  So does a node behind a join, or behind bars, that start anew: which of their rows
    it has taken is known from where they stand.
    """
    where = dict(standing)
    while True:
        starts = _starts(plan, pasts, where, through, session_start)
        again = [name for name in _behind_joins(plan, starts) if where[name] is not None]
        if not again:
            return starts
        where |= dict.fromkeys(again)


def _starts(
    plan: Plan,
    pasts: Mapping[str, Past],
    standing: Mapping[str, Places | None],
    through: Places,
    session_start: Callable[[int], int],
) -> dict[str, Start]:
    earliest: dict[str, Places] = {}  # by node: where those that read it begin
    right: dict[str, Places] = {}  # by node: behind where readers that go on need its rows to be right
    starts: dict[str, Start] = {}
    for node in reversed(plan.nodes):
        end = {root: through[root] for root in node.roots}
        begins = _lowest(end, earliest.get(node.name, end))
        right_from = _lowest(end, right.get(node.name, end))
        past = pasts.get(node.name)
        if past is not None:
            place = standing[node.name]
            if place is not None and any(place[root] > begins[root] for root in end):
                place = None
            ahead = place is not None and any(place[root] > end[root] for root in end)
            assert not ahead, f"node {node.name} has rows that no commit has sealed"
            anew = place is None
            if place is None:
                place = _lowest(_begin(past, right_from, session_start), end)
                right_from = end  # the past of a node has that of the nodes it reads
            else:
                right_from = place
            starts[node.name] = Start(place, anew)
            begins = _lowest(begins, place)
        for upstream in node.reads:
            earliest[upstream] = _lowest(earliest.get(upstream, through), begins)
            right[upstream] = _lowest(right.get(upstream, through), right_from)
    return starts


def _begin(past: Past, right_from: Places, session_start: Callable[[int], int]) -> Places:
    """Where rows begin which make what is remembered behind these places."""
    begins_ns = past.begins_ns(min(place[0] for place in right_from.values()), session_start)
    first = FIRST if begins_ns is None else (max(begins_ns, BEGINNING_NS), *FIRST[1:])
    return dict.fromkeys(right_from, first)


def _lowest(one: Places, other: Places) -> Places:
    """The earlier place of each root that both have."""
    return {root: min(place, other[root]) for root, place in one.items() if root in other}


def _behind_joins(plan: Plan, starts: Mapping[str, Start]) -> Iterable[str]:
    """The nodes that remember rows, and read a join or bars which start anew, directly or through others."""
    behind: set[str] = set()
    for node in plan.nodes:
        if behind.intersection(node.reads) or _joins_anew(node, starts):
            behind.add(node.name)
    return [name for name in starts if name in behind]


def _joins_anew(node: PlannedNode, starts: Mapping[str, Start]) -> bool:
    return node.has_own_rows and starts[node.name].anew
