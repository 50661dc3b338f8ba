"""Which offsets of the captured topics a day of a table lacks, or has twice, as the footers of parts say."""

from collections import defaultdict
from dataclasses import dataclass

from replay.store.coverage import known_gaps
from replay.store.part import Covered
from replay.store.table import HistoryTable


@dataclass(frozen=True, slots=True)
class OffsetFaults:
    """Offsets that are missing next to a day's own, those of them that somebody accepted, those there twice.

    A missing stretch counts for each day whose rows it adjoins: which of them it belonged to is not known.
    """

    captured: bool = False
    missing: int = 0
    accepted: int = 0
    twice: int = 0


def offset_faults(table: HistoryTable, date: str) -> OffsetFaults:
    """Return what the footers of a version's parts say of one day."""
    snapshot = table.snapshot()
    everywhere: dict[tuple[str, int], list[Covered]] = defaultdict(list)
    of_day: dict[int, list[Covered]] = defaultdict(list)
    parts = snapshot.parts
    for part, footer in zip(parts, snapshot.footers(parts), strict=True):
        for one in footer.covered:
            everywhere[one.topic, one.partition].append(one)
            if part.date == date:
                of_day[part.bucket].append(one)
    own = [one for ranges in of_day.values() for one in ranges]
    lower = {(one.topic, one.partition, one.lower) for one in own}
    upper = {(one.topic, one.partition, one.upper) for one in own}
    accepted = known_gaps(table)
    missing = by_leave = 0
    for hole in (hole for ranges in everywhere.values() for hole in holes(ranges)):
        ends = ((hole.topic, hole.partition, hole.lower), (hole.topic, hole.partition, hole.upper))
        if ends[0] in upper or ends[1] in lower:
            missing += hole.upper - hole.lower
            by_leave += sum(
                max(min(hole.upper, gap.upper) - max(hole.lower, gap.lower), 0)
                for gap in accepted
                if (gap.topic, gap.partition) == (hole.topic, hole.partition)
            )
    return OffsetFaults(
        captured=bool(own),
        missing=missing,
        accepted=by_leave,
        twice=sum(_twice(ranges) for ranges in of_day.values()),
    )


def holes(ranges: list[Covered]) -> list[Covered]:
    """The offsets between ranges of one partition that none of them has."""
    missing: list[Covered] = []
    reached: int | None = None
    for one in sorted(ranges):
        if reached is not None and one.lower > reached:
            missing.append(one._replace(lower=reached, upper=one.lower))
        reached = one.upper if reached is None else max(reached, one.upper)
    return missing


def _twice(ranges: list[Covered]) -> int:
    """The offsets of one bucket that two of its ranges have."""
    shared = 0
    reached: dict[tuple[str, int], int] = {}
    for one in sorted(ranges):
        place = (one.topic, one.partition)
        shared += max(min(reached.get(place, one.lower), one.upper) - one.lower, 0)
        reached[place] = max(reached.get(place, one.upper), one.upper)
    return shared
