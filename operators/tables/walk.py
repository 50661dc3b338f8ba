"""Which right row each left row matches: the settings as calls of the kernels, tile after tile."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from operators.tables.budget import Scratch
from operators.tables.fill import Validity
from operators.tables.group_kernel import EXTRA_ENTRIES, earliest_in_groups, latest_in_groups
from operators.tables.match_kernel import (
    choose_nearest,
    drop_far,
    match_backward,
    match_forward,
    match_ungrouped,
)
from operators.tables.nearest_kernel import link_groups, match_nearest
from operators.tables.settings import UNBOUNDED_NS, AsofSettings
from operators.tables.threads import Workers

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Side:
    """One table as the kernels see it; `ns`, `code` and `order` as `match_kernel` says.

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
    `validity`   which have one, filled.
    """

    positions: Int32s
    validity: Validity


def mark(validity: Validity, positions: Int32s, workers: Workers) -> Validity:
    """Fill a validity in all threads and return it."""
    workers.over(positions.size, lambda begin, end: validity.fill(begin, end, positions[begin:end]))
    return validity


@dataclass(frozen=True, slots=True)
class Links:
    """What a nearest match knows of the right side: each group's first row, and for each row the next one."""

    first: Int32s
    following: Int32s


def link(right: Side, group_count: int) -> Links:
    """Return the links of a right side."""
    links = Links(np.full(group_count, -1, np.int32), np.empty(right.ns.size, np.int32))
    link_groups(right.code, right.order, right.rows, links.first, links.following)
    return links


class Walk:
    """One thread's way along a right side: it matches tile after tile and goes on where it stood.

    Tiles come in the order of time, or against it when the direction is forward; all left sides are alike in
    whether they have codes and an order, and the right side's are as theirs.  A first tile may begin
    anywhere: the last (or first) right row of each group at its edge is found, so the answer does not depend
    on where the left rows are cut.
    """

    def __init__(self, right: Side, group_count: int, settings: AsofSettings, links: Links | None) -> None:
        assert (links is not None) == needs_links(right, settings)
        self.right = right
        self._settings, self._links = settings, links
        self._strict = 0 if settings.allow_exact else 1
        self._at = -1
        groups = 0 if stands_alone(right) else group_count
        self._entries = np.full(groups + EXTRA_ENTRIES, -1, np.int32)
        self._rows = self._entries[:groups]
        if links is not None:
            self._later = links.first.copy()
            self._latest_ns, self._later_ns = np.zeros(groups, np.int64), np.zeros(groups, np.int64)

    def match(self, left: Side, positions: Int32s) -> None:
        """Write the match of each left row of one tile into `positions`, each at its row's place."""
        settings = self._settings
        if self._links is not None:
            self._match_nearest(left, self._links, positions)
        elif not stands_alone(self.right):
            self._match_groups(left, positions)
        elif settings.direction == "nearest":
            before = np.empty(positions.size, np.int32)
            self._match_alone(left, backward=True, positions=before)
            self._match_alone(left, backward=False, positions=positions)
            choose_nearest(left.ns, self.right.ns, before, positions)
        else:
            self._match_alone(left, backward=settings.direction == "backward", positions=positions)
        if settings.tolerance_ns < UNBOUNDED_NS:
            drop_far(left.ns, left.order, self.right.ns, settings.tolerance_ns, positions)

    def _match_alone(self, left: Side, *, backward: bool, positions: Int32s) -> None:
        shift, offset = (self._strict, -1) if backward else (1 - self._strict, 0)
        match_ungrouped(left.ns, self.right.ns, shift, offset, positions)

    def _match_groups(self, left: Side, positions: Int32s) -> None:
        right = self.right
        if right.order is None:
            self._match_groups_in_order(left, positions)
            return
        assert left.order is not None, "a right side has an order and the left one has none"
        walk = match_forward if self._settings.direction == "forward" else match_backward
        self._at = walk(
            left.ns,
            left.code,
            left.order,
            right.ns,
            right.code,
            right.order,
            right.rows,
            self._strict,
            self._at,
            self._rows,
            positions,
        )

    def _match_groups_in_order(self, left: Side, positions: Int32s) -> None:
        right, forward = self.right, self._settings.direction == "forward"
        assert left.code is not None, "a right side has groups and the left one has none"
        assert right.code is not None, "a right side without groups stands alone"
        shift = 1 - self._strict if forward else self._strict
        match_ungrouped(left.ns, right.ns, shift, -1, positions)
        enter = earliest_in_groups if forward else latest_in_groups
        self._at = enter(left.code, right.code, self._at, self._entries, positions)

    def _match_nearest(self, left: Side, links: Links, positions: Int32s) -> None:
        right = self.right
        self._at = match_nearest(
            left.ns,
            left.code,
            left.order,
            right.ns,
            right.code,
            right.order,
            right.rows,
            self._strict,
            links.following,
            self._at,
            self._rows,
            self._later,
            self._latest_ns,
            self._later_ns,
            positions,
        )


def stands_alone(right: Side) -> bool:
    """Whether the right rows are one group and stand in order, so that a count of them is a match."""
    return right.code is None and right.order is None


def needs_links(right: Side, settings: AsofSettings) -> bool:
    """Whether the walk needs the links of the right side."""
    return settings.direction == "nearest" and not stands_alone(right)


def walk_scratch(right: Side, group_count: int, settings: AsofSettings) -> Scratch:
    """Return what the walks along a right side keep: the links of all of them, and each one's tables."""
    if stands_alone(right):
        return Scratch(0, 0)
    if needs_links(right, settings):
        return Scratch(4 * (group_count + right.ns.size), 24 * group_count)
    return Scratch(0, 4 * group_count)
