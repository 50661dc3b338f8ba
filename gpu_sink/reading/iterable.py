"""Frames from anything that can be iterated: a list, a generator, a bus of somebody's own."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pyarrow as pa

from gpu_sink.errors import SourceError
from gpu_sink.frames import Frame
from gpu_sink.reading.source import Position


class IterableFrames:
    """Frames in the order in which the iterable gives them; it ends the stream where it ends."""

    name = "frames"

    def __init__(self, frames: Iterable[Frame], partitions: Sequence[int] | None = None) -> None:
        """`partitions` names every partition; without it the frames are read once to find them."""
        self._frames = frames
        self._partitions = None if partitions is None else sorted(set(partitions))

    @property
    def bounded(self) -> bool | None:
        """None for frames that can be iterated once."""
        return None if isinstance(self._frames, Iterator) else True

    def partitions(self) -> list[int]:
        """Raises SourceError where they can only be seen by using the frames up."""
        if self._partitions is None:
            if isinstance(self._frames, Iterator):
                raise SourceError(
                    "frames that can be iterated once: say their partitions, or give something like a list"
                )
            self._partitions = sorted({frame.place.partition for frame in self._frames})
        return self._partitions

    def newest_schemas(self) -> Iterator[pa.Schema]:
        """The columns of the last frame of each partition, none where frames can be iterated only once."""
        frames = () if isinstance(self._frames, Iterator) else self._frames
        last = {frame.place.partition: frame.rows.schema for frame in frames}
        return iter(last.values())

    def open(self, starts: Mapping[int, Position | None]) -> "IterableReader":
        """Start over; frames before the starts are passed over."""
        return IterableReader(iter(self._frames), starts)


class IterableReader:
    """One way through the frames of some partitions."""

    def __init__(self, frames: Iterator[Frame], starts: Mapping[int, Position | None]) -> None:
        self.starts: Mapping[int, Position] = {
            partition: start or Position(0, 0) for partition, start in starts.items()
        }
        self.ended = False
        self._frames = frames

    def read(self, wait_s: float) -> Frame | None:
        """Return the next frame; `wait_s` does not bound how long the iterable takes."""
        for frame in self._frames:
            start = self.starts.get(frame.place.partition)
            if start is not None and frame.place.offset >= start.offset:
                return frame
        self.ended = True
        return None

    def pause(self) -> None:
        """Nothing to do: nothing is read ahead."""

    def resume(self) -> None:
        """Nothing to do: nothing was paused."""

    def commit(self, positions: Mapping[int, Position]) -> None:
        """Raises SourceError: there is no group to commit to."""
        raise SourceError("only a topic read with group= keeps positions: keep state_dict() instead")

    def close(self) -> None:
        """Close what the frames come from, where it is a generator."""
        close = getattr(self._frames, "close", None)
        if close is not None:
            close()
