"""Which offsets of a topic the live parts of a table hold, and whether these are all that were captured."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping

from replay.errors import HistoryError
from replay.store.part import Covered, merged_ranges
from replay.store.snapshot import PartEntry, Snapshot
from replay.store.table import GAPS, HistoryTable


def application(topic: str, partition: int) -> str:
    """The application whose transaction version is the next offset of a partition to capture."""
    return f"capture:{topic}:{partition}"


def backfilled(date: str) -> str:
    """The application whose transaction version says which plan gave a table the rows of a day."""
    return f"backfill:{date}"


def covered_ranges(snapshot: Snapshot) -> dict[tuple[str, int], list[Covered]]:
    """Return the ranges of offsets by topic and partition, joined where they touch.

    Raises HistoryError where rows of a day and bucket are there twice.
    """
    return _by_partition(once_ranges(snapshot, snapshot.parts))


def once_ranges(snapshot: Snapshot, parts: Iterable[PartEntry]) -> list[Covered]:
    """Return the ranges of some parts, joined within each day and bucket; those of two buckets may overlap.

    Raises HistoryError where rows of a day and bucket are there twice.
    """
    by_place: dict[tuple[str, int, int], list[Covered]] = defaultdict(list)
    parts = list(parts)
    for part, footer in zip(parts, snapshot.footers(parts), strict=True):
        by_place[part.date, part.bucket, part.buckets] += footer.covered
    ranges: list[Covered] = []
    for (date, bucket, buckets), covered in by_place.items():
        try:
            ranges += merged_ranges(covered)
        except HistoryError as twice:
            raise HistoryError(f"{snapshot.root}, {date}, bucket {bucket} of {buckets}: {twice}") from None
    return ranges


def joined_ranges(ranges: Iterable[Covered]) -> list[Covered]:
    """Return the offsets that any of these ranges has, as few ranges."""
    return [one for joined in _by_partition(ranges).values() for one in joined]


def require_coverage(table: HistoryTable, topic: str, partition: int, upper: int) -> None:
    """Raise HistoryError where live parts and known gaps do not hold all offsets up to `upper`.

    So a table that was restored by other means, or lost an entry of its log, is not captured into.
    """
    ranges = covered_ranges(table.snapshot()).get((topic, partition), [])
    gaps = [one for one in known_gaps(table) if (one.topic, one.partition) == (topic, partition)]
    joined = _joined([*ranges, *gaps])
    if not joined and upper == 0:
        return
    if len(joined) != 1 or joined[0].upper != upper:
        held = ", ".join(f"{one.lower} to {one.upper}" for one in joined) or "nothing"
        raise HistoryError(
            f"{table.root} says that {topic}[{partition}] is captured up to offset {upper}, and its parts "
            f"hold {held}: it was restored or changed by other means; capture it as another stream, or bring "
            "back a version where both agree"
        )


def known_gaps(table: HistoryTable) -> list[Covered]:
    """The ranges of offsets whose rows may be absent, since that was accepted or they were removed."""
    return [Covered(*one) for one in json.loads(table.properties.get(GAPS, "[]"))]


def accept_gaps(table: HistoryTable, gaps: Iterable[Covered]) -> None:
    """Note that rows of these offsets may be absent."""
    table.set_properties({GAPS: json.dumps(joined_ranges([*known_gaps(table), *gaps]))})


def next_offsets(table: HistoryTable, topic: str, partitions: Iterable[int]) -> Mapping[int, int | None]:
    """The next offset to capture of each partition, None where none was."""
    return {number: table.transaction_version(application(topic, number)) for number in partitions}


def _by_partition(ranges: Iterable[Covered]) -> dict[tuple[str, int], list[Covered]]:
    by_topic: dict[tuple[str, int], list[Covered]] = defaultdict(list)
    for one in ranges:
        by_topic[one.topic, one.partition].append(one)
    return {place: _joined(own) for place, own in by_topic.items()}


def _joined(ranges: list[Covered]) -> list[Covered]:
    """Ranges of one partition as few; they may overlap, since days and buckets share offsets."""
    joined: list[Covered] = []
    for one in sorted(ranges):
        if joined and one.lower <= joined[-1].upper:
            joined[-1] = joined[-1]._replace(upper=max(joined[-1].upper, one.upper))
        else:
            joined.append(one)
    return joined
