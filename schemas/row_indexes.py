"""Places of rows in a message, kept as runs: a header of thirty bytes may name a million of them."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby, islice
from typing import Any, Final


class RowIndexes(Sequence[int]):
    """The indexes of rows as they were written; it equals any sequence of the same ones."""

    __slots__ = ("runs",)

    def __init__(self, runs: Iterable[range]) -> None:
        """Runs that follow each other without a gap are one."""
        joined: list[range] = []
        for run in runs:
            if joined and joined[-1].stop == run.start:
                joined[-1] = range(joined[-1].start, run.stop)
            else:
                joined.append(run)
        self.runs: Final = tuple(joined)

    def __len__(self) -> int:
        return sum(map(len, self.runs))

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(self.runs)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return (
                tuple(islice(self, *place.indices(len(self)))) if (place.step or 1) > 0 else (*self,)[place]
            )
        wanted = place if place >= 0 else place + len(self)
        for run in self.runs if wanted >= 0 else ():
            if wanted < len(run):
                return run[wanted]
            wanted -= len(run)
        raise IndexError(place)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, RowIndexes):
            return self.runs == other.runs
        return isinstance(other, Sequence) and len(self) == len(other) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"RowIndexes({self.runs})"


def runs_of(indexes: Iterable[int]) -> Iterator[range]:
    """The indexes as runs without gaps, as long as can be."""
    if isinstance(indexes, RowIndexes):
        yield from indexes.runs
        return
    for _, run in groupby(enumerate(indexes), key=lambda place: place[1] - place[0]):
        of_run = [index for _, index in run]
        yield range(of_run[0], of_run[-1] + 1)
