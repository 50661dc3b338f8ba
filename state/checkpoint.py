"""A checkpoint: how far a task had come when its state was written, in the same write as the state itself."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The record that makes entries on disk usable: without it they mean nothing.

    `identity`      what the entries belong to, as text: pipeline, settings, layout, task and run.  Entries
                    under another identity are never read.
    `frontier_ns`   int64 UTC nanoseconds, upper-exclusive: left rows below it had been sealed.
    `next_offsets`  per input stream the first partition offset not yet seen by these entries.
    `watermarks_ns` per input stream its watermark, int64 UTC nanoseconds, upper-exclusive.
    `entries`       the number of entries beside the record; counted by the store, which checks every scan
                    against it.
    `txn_count`     how many checkpoints the store has taken since it was made; counted by the store.
    """

    identity: str
    frontier_ns: int
    next_offsets: Mapping[str, int]
    watermarks_ns: Mapping[str, int]
    entries: int = 0
    txn_count: int = 0

    def __post_init__(self) -> None:
        assert self.next_offsets.keys() == self.watermarks_ns.keys(), (
            "an input needs an offset and a watermark"
        )
        assert all(offset >= 0 for offset in self.next_offsets.values()), "next offsets are 0 or more"
