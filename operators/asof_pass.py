"""One pass over the left rows looks up every right table: tile by tile, all tables before the next tile.

A tile of left rows, and what is found for it, stay in the cache of the core that walks them; so the left side
is read once however many right tables there are, and the matched rows are never written out where all that is
made of them is gathered at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from operators.asof_columns import frozen
from operators.asof_fill import Filling
from operators.asof_match import Side, Walk, link, needs_links, walk_size
from operators.asof_settings import AsofSettings
from operators.asof_workers import Workers

Int32s = npt.NDArray[np.int32]

SCRATCH_SIZE_MIN = 1 << 20  # what walks may take of any join, however few its rows
SCRATCH_SIZE_PER_ROW = 8  # and of larger ones; with what else a join takes, below 25 bytes a row


@dataclass(frozen=True, slots=True)
class Target:
    """One right side to be looked up.

    `filling`    what is filled as soon as a tile is matched; only left rows that stand in order can have it.
    `positions`  int32 per left row, -1 from the start where a row has no time: the matched right rows are
                 kept here.  None where nothing needs them after their tile.
    """

    right: Side
    filling: Sequence[Filling]
    positions: Int32s | None


def look_up(
    left: Side,
    targets: Sequence[Target],
    group_count: int,
    scratch_size_max: int,
    settings: AsofSettings,
    workers: Workers,
) -> None:
    """Match all left rows with every target, fill what is to be filled and keep what is to be kept.

    Each thread takes a range of left rows in time order and walks all right sides along it.
    """
    left, rights = alike(left, [target.right for target in targets])
    links = [link(right, group_count) if needs_links(right, settings) else None for right in rights]

    def look_up_range(begin: int, end: int) -> None:
        walks = [
            Walk(right, group_count, settings, linked) for right, linked in zip(rights, links, strict=True)
        ]
        visit = in_order if left.order is None else out_of_order
        backwards = settings.direction == "forward"
        visit(left, targets, walks, tiles(begin, end, settings.tile_rows, backwards=backwards))

    # A table of groups per thread and target: no more threads than keep all of them within the limit.
    size = sum(walk_size(right, group_count, settings) for right in rights)
    workers.over(left.rows, look_up_range, max(1, scratch_size_max // max(1, size)))


def in_order(
    left: Side, targets: Sequence[Target], walks: Sequence[Walk], spans: Iterator[tuple[int, int]]
) -> None:
    """Walk tiles of left rows that stand in time order: matched and gathered while they are in the cache."""
    steps = room = np.empty(0, np.int32)
    for begin, end in spans:
        if room.size < end - begin:
            steps, room = frozen(np.arange(end - begin, dtype=np.int32)), np.empty(end - begin, np.int32)
        for target, walk in zip(targets, walks, strict=True):
            positions = room[: end - begin] if target.positions is None else target.positions[begin:end]
            tile = Side(
                left.ns[begin:end],
                None if walk.right.code is None or left.code is None else left.code[begin:end],
                None if walk.right.order is None else steps[: end - begin],
                end - begin,
            )
            walk.match(tile, positions)
            for column in target.filling:
                column.fill(begin, end, positions)


def out_of_order(
    left: Side, targets: Sequence[Target], walks: Sequence[Walk], spans: Iterator[tuple[int, int]]
) -> None:
    """Walk tiles of left rows that lie anywhere: matched in time order, their positions kept by row."""
    assert left.order is not None
    for begin, end in spans:
        for target, walk in zip(targets, walks, strict=True):
            assert target.positions is not None
            code = None if walk.right.code is None else left.code
            walk.match(Side(left.ns, code, left.order[begin:end], end - begin), target.positions)


def tiles(begin: int, end: int, tile_rows: int, *, backwards: bool) -> Iterator[tuple[int, int]]:
    """Yield the tiles that cover [begin, end), the last one first when `backwards`."""
    starts = range(begin, end, tile_rows)
    for start in reversed(starts) if backwards else starts:
        yield start, min(start + tile_rows, end)


def alike(left: Side, rights: Sequence[Side]) -> tuple[Side, list[Side]]:
    """Return sides that kernels are compiled for: with codes on the left where any right has them, and an
    order on every right side where the left has one.
    """
    if left.code is None and any(right.code is not None for right in rights):
        left = replace(left, code=frozen(np.zeros(left.ns.size, np.int32)))
    if left.order is not None:
        rights = [
            replace(right, order=frozen(np.arange(right.rows, dtype=np.int32)))
            if right.order is None
            else right
            for right in rights
        ]
    return left, list(rights)


def scratch_size_max(row_count: int) -> int:
    """Return how many bytes the walks of one pass may take, given the rows of all tables."""
    return max(SCRATCH_SIZE_MIN, SCRATCH_SIZE_PER_ROW * row_count)


def passes(sizes: Sequence[int], size_max: int) -> Iterator[range]:
    """Yield which lookups share a pass: all of them, unless their scratch memory would exceed the limit."""
    first, size = 0, 0
    for number, own in enumerate(sizes):
        if number > first and size + own > size_max:
            yield range(first, number)
            first, size = number, 0
        size += own
    if first < len(sizes):
        yield range(first, len(sizes))
