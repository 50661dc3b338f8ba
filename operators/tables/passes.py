"""One pass over the left rows looks up every right table: tile by tile, all tables before the next tile.

A tile of left rows, and what is found for it, stay in the cache of the core that walks them; so the left side
is read once however many right tables there are, and the matched rows are never written out where all that is
made of them is gathered at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from operators.rows.views import frozen
from operators.tables.fill import Filling
from operators.tables.settings import AsofSettings
from operators.tables.threads import Workers
from operators.tables.walk import Side, Walk, link, needs_links

Int32s = npt.NDArray[np.int32]


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
    threads_max: int,
    settings: AsofSettings,
    workers: Workers,
) -> None:
    """Match all left rows with every target, fill what is to be filled and keep what is to be kept.

    Each thread, of at most `threads_max`, takes a range of left rows in time order and walks all right sides
    along it.
    """
    left, rights = alike(left, [target.right for target in targets])
    links = [link(right, group_count) if needs_links(right, settings) else None for right in rights]
    visit = in_order if left.order is None else out_of_order

    def look_up_range(begin: int, end: int) -> None:
        walks = [
            Walk(right, group_count, settings, linked) for right, linked in zip(rights, links, strict=True)
        ]
        visit(left, targets, walks, tiles(begin, end, settings))

    workers.over(left.rows, look_up_range, threads_max)


def in_order(
    left: Side, targets: Sequence[Target], walks: Sequence[Walk], spans: Sequence[tuple[int, int]]
) -> None:
    """Walk tiles of left rows that stand in time order: matched and gathered while they are in the cache."""
    rows_max = max((end - begin for begin, end in spans), default=0)
    room = np.empty(rows_max, np.int32)
    ordered = any(walk.right.order is not None for walk in walks)
    steps = frozen(np.arange(rows_max if ordered else 0, dtype=np.int32))
    for begin, end in spans:
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
    left: Side, targets: Sequence[Target], walks: Sequence[Walk], spans: Sequence[tuple[int, int]]
) -> None:
    """Walk tiles of left rows that lie anywhere: matched in time order, their positions kept by row."""
    assert left.order is not None
    for begin, end in spans:
        for target, walk in zip(targets, walks, strict=True):
            assert target.positions is not None
            code = None if walk.right.code is None else left.code
            walk.match(Side(left.ns, code, left.order[begin:end], end - begin), target.positions)


def tiles(begin: int, end: int, settings: AsofSettings) -> list[tuple[int, int]]:
    """Return the tiles that cover [begin, end), in the order in which they are walked."""
    starts = range(begin, end, settings.tile_rows)
    spans = [(start, min(start + settings.tile_rows, end)) for start in starts]
    return spans[::-1] if settings.direction == "forward" else spans


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
