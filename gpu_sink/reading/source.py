"""What a source of frames is: partitions to divide among readers, and a place in each to go on from."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import pyarrow as pa

from gpu_sink.frames import Frame


class Position(NamedTuple):
    """Where reading a partition goes on: a frame's offset, and how many of its rows are done with."""

    offset: int
    row: int


class FrameReader(Protocol):
    """Reads the frames of some partitions, each partition in its order."""

    starts: Mapping[int, Position]

    @property
    def ended(self) -> bool:
        """Whether nothing will ever follow."""
        ...

    def read(self, wait_s: float) -> Frame | None:
        """Return the next frame, None if no frame came within `wait_s`; raises SourceError and FrameError."""
        ...

    def pause(self) -> None:
        """Stop fetching: whoever takes the frames is behind."""
        ...

    def resume(self) -> None:
        """Fetch again, from the frame after the last one read."""
        ...

    def commit(self, positions: Mapping[int, Position]) -> None:
        """Commit positions to the source; raises SourceError if it cannot keep them."""
        ...

    def close(self) -> None:
        """Let go of connections and files."""
        ...


class FrameSource(Protocol):
    """Where frames come from; can be opened any number of times."""

    @property
    def name(self) -> str:
        """What a state belongs to: equal for equal topics or files."""
        ...

    @property
    def bounded(self) -> bool | None:
        """Whether a reading ends by itself; None where in addition it can be read only once."""
        ...

    def partitions(self) -> list[int]:
        """The partitions there are to read, ascending."""
        ...

    def newest_schemas(self) -> Iterator[pa.Schema]:
        """The columns of frames at the end of each partition, as far as they can be seen without the rest."""
        ...

    def open(self, starts: Mapping[int, Position | None]) -> FrameReader:
        """Read these partitions from these offsets; None starts where the source chooses."""
        ...


def share(partitions: Sequence[int], reader: int, readers: int) -> list[int]:
    """The partitions of one of `readers` readers: every one has exactly one reader."""
    assert 0 <= reader < readers
    return [partition for number, partition in enumerate(partitions) if number % readers == reader]
