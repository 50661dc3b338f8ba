"""The plan of a backfill: its days, its shards, and what their rows follow from.

A shard is a day, or several, of some partitions.  Where days follow one another, a shard goes on from the end
of the one before.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from app.day.summary import write_json
from app.errors import UsageError
from app.wiring.pipeline import Pipeline
from app.wiring.resolved import settings_id
from replay.store.day import Day
from replay.store.days import HistoryStore
from replay.store.objects import Folder, located, parse_store
from schemas.kernel_cache import fingerprint

NAME: Final = "plan.json"
VERSION: Final = 1  # of what a plan and its shards leave
ID_LENGTH: Final = 16
MADE_VERSION: Final = "version"  # in what a day of a table says of how it was made


@dataclass(frozen=True)
class Pinned:
    """A day of a stream: the digest of its rows, and the version of its table, None for one in no table."""

    digest: str
    version: int | None

    @classmethod
    def of(cls, day: Day) -> "Pinned":
        """That of a day as it is now."""
        version = day.summary.made.get(MADE_VERSION)
        return cls(day.summary.digest, None if version is None else int(version))


@dataclass(frozen=True)
class Shard:
    """What one process runs at a time: these days, oldest first, of these partitions.

    `after` names the shard whose end it goes on from; empty for one that begins anew.
    """

    name: str
    dates: tuple[str, ...]
    partitions: tuple[int, ...]
    after: str = ""


@dataclass(frozen=True)
class Plan:
    """What a backfill is to do.  `id` is equal where its rows are, however they are cut into shards.

    `overnight`  whether what the join and the nodes know goes on from day to day.
    `days`       by date and stream.
    `grace_ns`   by date that of its own disorder; where days follow one another, one for all.
    `into`       the store whose tables take the rows; empty for files in OUT.
    """

    id: str
    store: str
    overnight: bool
    days: Mapping[str, Mapping[str, Pinned]]
    shards: tuple[Shard, ...]
    grace_ns: Mapping[str, int]
    into: str = ""

    @property
    def dates(self) -> list[str]:
        """The days, oldest first."""
        return sorted(self.days)

    @property
    def groups(self) -> int:
        """In how many groups the partitions are."""
        return len({shard.partitions for shard in self.shards})

    def write(self, stage: Path) -> None:
        """Write it down, all or nothing."""
        write_json(stage / NAME, {"form": VERSION, **asdict(self)})

    @classmethod
    def read(cls, stage: Path) -> "Plan":
        """Read what `write` wrote; raises UsageError for anything else."""
        try:
            fields: dict[str, Any] = json.loads((stage / NAME).read_text())
            return cls(
                id=str(fields["id"]),
                store=str(fields["store"]),
                overnight=bool(fields["overnight"]),
                days={
                    date: {name: Pinned(**one) for name, one in of.items()}
                    for date, of in fields["days"].items()
                },
                shards=tuple(
                    Shard(one["name"], tuple(one["dates"]), tuple(one["partitions"]), one["after"])
                    for one in fields["shards"]
                ),
                grace_ns={date: int(ns) for date, ns in fields["grace_ns"].items()},
                into=str(fields.get("into", "")),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as broken:
            raise UsageError(f"{stage / NAME}: not the plan of a backfill ({broken})") from None

    def open_days(self, date: str) -> list[Day]:
        """The days of a date as they were planned; raises UsageError where rows are others by now."""
        store = HistoryStore(parse_store(self.store))
        days = []
        for stream, pinned in self.days[date].items():
            day = store.day(stream, date, pinned.version)
            if day.summary.digest != pinned.digest:
                raise UsageError(
                    f"{stream} of {date} in {self.store} was imported again while its rows were read: "
                    "run the backfill again"
                )
            days.append(day)
        return days


def make_plan(
    pipeline: Pipeline,
    store: Folder,
    days: Mapping[str, Sequence[Day]],
    grace_ns: Mapping[str, int],
    *,
    overnight: bool,
    groups: int,
    into: Folder | None = None,
) -> Plan:
    """The plan of a backfill over `days`, by date, with the partitions in as many groups.

    `into` is the store whose tables take the rows, None for files: the id does not hang on it.

    `grace_ns` says by date what a run of that day alone would have; `pipeline` has one that covers all.
    """
    pinned = {date: {day.stream.name: Pinned.of(day) for day in of} for date, of in days.items()}
    fields = [
        VERSION,
        settings_id(pipeline.settings),
        "" if pipeline.graph is None else pipeline.graph.meaning,
        fingerprint(),
        overnight,
        {date: {name: one.digest for name, one in of.items()} for date, of in pinned.items()},
    ]
    text = json.dumps(fields, sort_keys=True)
    chained = overnight and hands_over(pipeline)
    spans = [tuple(sorted(days))] if overnight and not chained else [(date,) for date in sorted(days)]
    return Plan(
        id=hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH],
        store=str(located(store)),
        overnight=overnight,
        days=pinned,
        shards=tuple(_shards(spans, pipeline.settings.bus.partitions, groups, chained=chained)),
        grace_ns=dict.fromkeys(days, pipeline.settings.pipeline.grace_ns) if overnight else dict(grace_ns),
        into="" if into is None else str(located(into)),
    )


def hands_over(pipeline: Pipeline) -> bool:
    """Whether what a task knows at the end of a day can be written down for the next one, to the bit.

    What is too far ahead of the newest row is judged by that row, of which a restart has an estimate.
    """
    return pipeline.settings.pipeline.max_ahead_ns is None


def _shards(
    spans: Sequence[tuple[str, ...]], partitions: int, groups: int, *, chained: bool
) -> Iterator[Shard]:
    for group in range(min(groups, partitions)):
        own = tuple(range(group, partitions, min(groups, partitions)))
        after = ""
        for dates in spans:
            name = f"{dates[0]}-{group:03d}"
            yield Shard(name, dates, own, after if chained else "")
            after = name
