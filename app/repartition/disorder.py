"""Disorder: how far record times run back in each partition of a copy, which the pipeline's grace covers."""

from dataclasses import dataclass, field
from typing import Final

from schemas.clocks import Clock

PARTITIONS_SHOWN: Final = 8


@dataclass(slots=True)
class Disorder:
    """By partition, in milliseconds: the newest record time, and how far one behind a newer lies below it."""

    newest_ms: dict[int, int] = field(default_factory=dict)
    worst_ms: dict[int, int] = field(default_factory=dict)

    def see(self, partition: int, time_ms: int) -> None:
        """Take the next message of a partition."""
        newest_ms = self.newest_ms.get(partition, time_ms)
        if time_ms >= newest_ms:
            self.newest_ms[partition] = time_ms
        elif newest_ms - time_ms > self.worst_ms.get(partition, 0):
            self.worst_ms[partition] = newest_ms - time_ms

    def copy(self) -> "Disorder":
        """The same, to go on with apart."""
        return Disorder(dict(self.newest_ms), dict(self.worst_ms))

    def worst(self, count: int) -> list[tuple[int, int]]:
        """The `count` partitions that run back farthest, with how far; the worst first."""
        return sorted(self.worst_ms.items(), key=lambda one: (-one[1], one[0]))[:count]


def disorder_line(disorder: Disorder) -> str:
    """What was measured, and what follows from it."""
    worst = disorder.worst(PARTITIONS_SHOWN)
    if not worst:
        return "Record times do not run back in what was copied: 1 ms of grace_ns covers what they leave out."
    shown = ", ".join(f"{time_ms:,} ms in partition {partition}" for partition, time_ms in worst)
    if len(disorder.worst_ms) > len(worst):
        shown = f"{shown}, no more in others"
    return (
        f"Record times run back in what was copied by up to {shown}: grace_ns must cover that and 1 ms more."
    )


def cautions(source: str, *, clock: Clock, blocks: bool) -> list[str]:
    """What record times do not show of the disorder of a copy, a line each; `blocks` may be in the topic."""
    lines = []
    if blocks:
        lines.append(
            f"{source} has a schema of blocks of rows.  A block is copied whole, by the time of its last "
            "row, so grace_ns must also cover the time that one spans, or its older rows are late"
        )
    if clock == "known":
        lines.append(
            f'pipeline.clock is "known", and {source} is merged by record time, which is event time, so '
            "grace_ns must also cover how unevenly known times trail event times, or rows are late"
        )
    return lines
