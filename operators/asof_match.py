"""Which right row each left row matches: the settings as passes of the kernels, shared among threads."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.asof_columns import frozen
from operators.asof_gather_kernel import mark_matches
from operators.asof_kernel import choose_nearest, drop_far, match_backward, match_forward, match_ungrouped
from operators.asof_nearest_kernel import link_groups, match_nearest
from operators.asof_settings import UNBOUNDED_NS, AsofSettings
from operators.asof_workers import Workers

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Side:
    """One table as the kernels see it; `ns`, `code` and `order` as `asof_kernel` says.

    `rows` is how many rows take part: those that have a time.
    """

    ns: Int64s
    code: Int32s | None
    order: Int32s | None
    rows: int


@dataclass(frozen=True, slots=True)
class Matches:
    """The matched right row of every left row.

    `positions`  int32, in left row order; -1 where there is no match.
    `count`      how many left rows have a match.
    `valid`      their Arrow validity bitmap, or None when all have one.
    """

    positions: Int32s
    count: int
    valid: pa.Buffer | None


def match(left: Side, right: Side, group_count: int, settings: AsofSettings, workers: Workers) -> Matches:
    """Find the match of every left row.

    Each thread takes a range of left rows in time order and starts from the last (or first) right row of each
    group at its edge, so the answer does not depend on the number of threads.
    """
    left, right = alike(left, right)
    if settings.direction == "nearest" and (left.code is not None or left.order is not None):
        positions = walk_nearest(left, right, group_count, settings, workers)
    elif settings.direction == "nearest":
        before = walk(match_backward, left, right, group_count, settings, workers)
        positions = walk(match_forward, left, right, group_count, settings, workers)
        workers.over(positions.size, partial(choose_nearest, left.ns, right.ns, before, positions))
    else:
        kernel = match_forward if settings.direction == "forward" else match_backward
        positions = walk(kernel, left, right, group_count, settings, workers)
    if settings.tolerance_ns < UNBOUNDED_NS:
        far = partial(drop_far, left.ns, right.ns, settings.tolerance_ns, positions)
        workers.over(positions.size, far)
    return marked(positions, workers)


def alike(left: Side, right: Side) -> tuple[Side, Side]:
    """Return both sides with an order, or without, and so for codes: it spares kernels for every mixture."""
    if (left.order is None) != (right.order is None):
        left, right = (
            replace(side, order=frozen(np.arange(side.rows, dtype=np.int32))) if side.order is None else side
            for side in (left, right)
        )
    if (left.code is None) != (right.code is None):
        left, right = (
            replace(side, code=frozen(np.zeros(side.ns.size, np.int32))) if side.code is None else side
            for side in (left, right)
        )
    return left, right


def walk(
    kernel: Callable[..., None],
    left: Side,
    right: Side,
    group_count: int,
    settings: AsofSettings,
    workers: Workers,
) -> Int32s:
    """Return the positions that one of the two kernels finds, whatever their distance."""
    positions = np.empty(left.ns.size, np.int32)
    if left.rows < left.ns.size:
        positions.fill(-1)  # a left row without a time is never reached
    strict = 0 if settings.allow_exact else 1
    others = (right.ns, right.code, right.order, right.rows)

    def walk_ungrouped(begin: int, end: int) -> None:
        shift, offset = (strict, -1) if kernel is match_backward else (1 - strict, 0)
        match_ungrouped(left.ns[begin:end], right.ns, shift, offset, positions[begin:end])

    if left.code is None and left.order is None:
        workers.over(left.rows, walk_ungrouped)
        return positions

    def walk_range(begin: int, end: int) -> None:
        table = np.full(group_count, -1, np.int32)
        part = slice(begin, end)
        if left.order is None:
            code = None if left.code is None else left.code[part]
            kernel(left.ns[part], code, None, *others, strict, table, positions[part])
        else:
            kernel(left.ns, left.code, left.order[part], *others, strict, table, positions)

    # A table per thread: no more threads than keep all of them within 8 bytes a row.
    workers.over(left.rows, walk_range, max(1, 2 * (left.rows + right.rows) // group_count))
    return positions


def walk_nearest(
    left: Side, right: Side, group_count: int, settings: AsofSettings, workers: Workers
) -> Int32s:
    """Return the closest positions, whatever their distance, for rows in groups or out of order."""
    positions = np.empty(left.ns.size, np.int32)
    if left.rows < left.ns.size:
        positions.fill(-1)  # a left row without a time is never reached
    first, following = np.full(group_count, -1, np.int32), np.empty(right.ns.size, np.int32)
    link_groups(right.code, right.order, right.rows, first, following)
    strict = 0 if settings.allow_exact else 1
    others = (right.ns, right.code, right.order, right.rows, strict, following)

    def walk_range(begin: int, end: int) -> None:
        rows = (np.full(group_count, -1, np.int32), first.copy())
        tables = (*rows, np.zeros(group_count, np.int64), np.zeros(group_count, np.int64))
        part = slice(begin, end)
        if left.order is None:
            code = None if left.code is None else left.code[part]
            match_nearest(left.ns[part], code, None, *others, *tables, positions[part])
        else:
            match_nearest(left.ns, left.code, left.order[part], *others, *tables, positions)

    # Tables per thread: no more threads than keep all of them within 8 bytes a row.
    workers.over(left.rows, walk_range, max(1, (left.rows + right.rows) // (3 * group_count)))
    return positions


def marked(positions: Int32s, workers: Workers) -> Matches:
    """Return positions with their validity."""
    valid = pa.allocate_buffer(-(-positions.size // 8))
    bits = np.frombuffer(valid, np.uint8)
    count = sum(workers.over(positions.size, lambda begin, end: mark_matches(positions, begin, end, bits)))
    return Matches(positions, count, None if count == positions.size else valid)
