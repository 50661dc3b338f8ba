"""Aligned files as frames: Parquet and Arrow IPC streams, the same rows read back as history."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from gpu_sink.errors import SourceError
from gpu_sink.frames import Frame, Place
from gpu_sink.iterable import IterableReader
from gpu_sink.reading import Position


class FolderFrames:
    """A file is a partition, numbered in the order of names; a row group or batch of it is a frame."""

    def __init__(self, folder: Path) -> None:
        """Raises SourceError where there is no folder, or no *.parquet or *.arrows in it."""
        if not folder.is_dir():
            raise SourceError(f"no folder {folder}: give the one that holds the aligned *.parquet")
        self._files = sorted([*folder.glob("*.parquet"), *folder.glob("*.arrows")])
        if not self._files:
            raise SourceError(
                f"no *.parquet in {folder}, nor *.arrows: give the folder that holds the aligned rows"
            )
        names = [file.name for file in self._files]
        self.name = f"{len(names)} files {hashlib.sha256(repr(names).encode()).hexdigest()[:16]}"

    def partitions(self) -> list[int]:
        """One per file."""
        return list(range(len(self._files)))

    def open(self, starts: Mapping[int, Position | None]) -> IterableReader:
        """Read file after file; row groups before the starts are not read at all."""
        return IterableReader(self._frames(starts), starts)

    def _frames(self, starts: Mapping[int, Position | None]) -> Iterator[Frame]:
        """The frames that have rows; raises SourceError naming a file that cannot be read."""
        for number in sorted(starts):
            file, start = self._files[number], starts[number]
            read = _row_groups if file.suffix == ".parquet" else _stream
            try:
                for offset, rows in read(file, 0 if start is None else start.offset):
                    if rows.num_rows:
                        yield Frame(rows, None, Place(str(file), number, offset))
            except (pa.ArrowInvalid, OSError) as broken:
                raise SourceError(f"cannot read {file}: {broken}") from broken


def _row_groups(file: Path, first: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    with pq.ParquetFile(file) as parquet:
        for group in range(first, parquet.num_row_groups):
            batches = parquet.read_row_group(group).combine_chunks().to_batches()
            if len(batches) > 1:
                raise SourceError(f"row group {group} of {file} has more text than Arrow holds in one batch")
            for rows in batches:
                yield group, rows


def _stream(file: Path, first: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as reader:
        for number, rows in enumerate(reader):
            if number >= first:
                rows.validate(full=True)
                yield number, rows
