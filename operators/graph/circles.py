"""Circles of nodes that read one another."""

from collections.abc import Iterator, Mapping, Sequence


def circles(reads: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Each circle by the first of its nodes, in words; `reads` has nodes that are on one, or behind one."""
    upstream = {name: next(other for other in others if other in reads) for name, others in reads.items()}
    reported: set[str] = set()
    for name in reads:
        path = [name]
        while upstream[path[-1]] not in path:
            path.append(upstream[path[-1]])
        circle = path[path.index(upstream[path[-1]]) :]
        if not reported.intersection(circle):
            yield circle[0], " <- ".join([*circle, circle[0]])
            reported.update(circle)
