"""What a join wants of its right tables, looked up in one pass where the memory allows it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.tables.budget import Pass, Scratch, passes
from operators.tables.lookup import Lookup, empty_positions, keeps_positions
from operators.tables.passes import Target, look_up
from operators.tables.settings import AsofSettings
from operators.tables.sides import AsofInputs, has_nulls
from operators.tables.threads import Workers, cut
from operators.tables.walk import walk_scratch

Int32s = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Want:
    """Columns of one right table that the same match serves.

    `carried` is for a column that takes its own last value, and not the matched row's.
    """

    stream: str
    columns: Mapping[str, pa.ChunkedArray]
    carried: bool

    def lookup(self, inputs: AsofInputs, settings: AsofSettings) -> Lookup:
        """Return the lookup that serves it."""
        if self.carried:
            (column,) = self.columns.values()
            side = inputs.valued_side(self.stream, column)
            return Lookup(side, inputs.left, self.columns, None, settings.on)
        ages = inputs.rights[self.stream]
        return Lookup(inputs.right_side(self.stream), inputs.left, self.columns, ages, settings.on)

    def scratch(self, inputs: AsofInputs, settings: AsofSettings) -> Scratch:
        """Return what the lookup takes beyond the result."""
        right = inputs.right_side(self.stream)
        if not self.carried:
            return walk_scratch(right, inputs.group_count, settings)
        positions = inputs.left.ns.size if keeps_positions(inputs.left, self.columns) else 0
        return Scratch(4 * (right.ns.size + positions), 4 * inputs.group_count)


def wanted(stream: str, columns: dict[str, pa.ChunkedArray], settings: AsofSettings) -> Iterable[Want]:
    """Yield what a join wants of a right table, whose match's time and age are those of the last row."""
    carried = []
    if settings.carry == "column":
        carried = [name for name, column in columns.items() if name != settings.on and has_nulls(column)]
    shared = {name: column for name, column in columns.items() if name not in carried}
    yield Want(stream, shared, carried=False)
    for name in carried:
        yield Want(stream, {name: columns[name]}, carried=True)


def gather(
    wants: Sequence[Want], inputs: AsofInputs, settings: AsofSettings, workers: Workers
) -> dict[str, pa.ChunkedArray]:
    """Return the wanted columns by their names in the result."""
    results: dict[str, pa.ChunkedArray] = {}
    for shared in planned(wants, inputs, settings):
        lookups = {number: wants[number].lookup(inputs, settings) for number in shared.numbers}
        targets = [lookup.target for lookup in lookups.values()]
        look_up(inputs.left_side(), targets, inputs.group_count, shared.threads_max, settings, workers)
        del targets
        for number in sorted(shared.numbers, key=lambda number: not wants[number].carried):
            # Carried ones first: they give back what they hold before the others need room.
            columns = lookups.pop(number).finish(workers)
            results |= {f"{wants[number].stream}_{name}": column for name, column in columns.items()}
    return results


def match(
    streams: Sequence[str], inputs: AsofInputs, settings: AsofSettings, workers: Workers
) -> dict[str, Int32s]:
    """Return the matched rows of right tables, int32 per left row, -1 where there is none."""
    positions = {stream: empty_positions(inputs.left) for stream in streams}
    for shared in planned([Want(stream, {}, carried=False) for stream in streams], inputs, settings):
        chosen = [streams[number] for number in shared.numbers]
        targets = [Target(inputs.right_side(stream), (), positions[stream]) for stream in chosen]
        look_up(inputs.left_side(), targets, inputs.group_count, shared.threads_max, settings, workers)
    return positions


def planned(wants: Sequence[Want], inputs: AsofInputs, settings: AsofSettings) -> Iterator[Pass]:
    """Yield the passes that look up what is wanted."""
    threads = len(cut(inputs.left.count, settings.threads))
    return passes([want.scratch(inputs, settings) for want in wants], inputs.row_count, threads)
