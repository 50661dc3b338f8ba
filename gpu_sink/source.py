"""The aligned stream: frames of an aligned topic or of a folder, in order, for as long as one likes."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from gpu_sink.folder import FolderFrames
from gpu_sink.frames import Frame
from gpu_sink.kafka import KafkaFrames
from gpu_sink.tensors import TensorBatch, to_tensors


class Frames(Protocol):
    """Where frames come from; each iteration starts over."""

    def __iter__(self) -> Iterator[Frame]: ...


class AlignedStream:
    """Aligned rows as they were sealed: frames by iterating, tensors by `batches`.

    Rows of one partition come in sealed order.  A bounded stream (`until_end`, or a folder) yields partition
    after partition, so that two readings of the same range are equal; a live one yields as they arrive.
    """

    def __init__(self, frames: Frames) -> None:
        """Read from any iterable of frames; most callers want `from_kafka` or `from_folder`."""
        self._frames = frames

    @classmethod
    def from_kafka(
        cls,
        bootstrap: str,
        topic: str,
        *,
        partitions: Sequence[int] | None = None,
        offsets: Mapping[int, int] | None = None,
        until_end: bool = False,
        layout: str | None = None,
        settings: Mapping[str, str | int | bool] | None = None,
    ) -> "AlignedStream":
        """Read an aligned topic: committed frames only, no consumer group, no offsets committed.

        `partitions`  the ones to read; all of them where not given.
        `offsets`     where to start, per partition; the beginning of the log where not given.
        `until_end`   stop at the ends that the partitions have when iteration starts; else never.
        `layout`      refuse frames of any other fingerprint.
        `settings`    further librdkafka settings, such as `security.protocol`.
        """
        return cls(
            KafkaFrames(
                bootstrap,
                topic,
                partitions=partitions,
                offsets=offsets or {},
                until_end=until_end,
                layout=layout,
                settings=settings or {},
            )
        )

    @classmethod
    def from_folder(cls, folder: str | Path) -> "AlignedStream":
        """Read the aligned Parquet files of a folder in the order of their names."""
        return cls(FolderFrames(Path(folder)))

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames; raises SourceError and FrameError."""
        return iter(self._frames)

    def batches(self, *, columns: Sequence[str] | None = None, device: str = "cpu") -> Iterator[TensorBatch]:
        """Yield the rows of each frame as tensors; see `to_tensors`."""
        for frame in self:
            yield to_tensors(frame.rows, columns=columns, device=device)
