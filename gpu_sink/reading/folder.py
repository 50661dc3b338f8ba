"""Aligned files as frames, rows read back as history: Parquet, Arrow IPC streams or raw column segments."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gpu_sink.errors import SourceError
from gpu_sink.frames import Frame, Place
from gpu_sink.reading.iterable import IterableReader
from gpu_sink.reading.source import Position
from gpu_sink.segments.file import read_footer
from gpu_sink.segments.reads import SegmentRows


class FolderFrames:
    """A file is a partition, numbered in the order of names; row groups, batches, segments are frames."""

    def __init__(self, folder: Path) -> None:
        """Raises SourceError where there is no folder or file, or segments lie beside other files."""
        if not folder.is_dir():
            raise SourceError(f"no folder {folder}: give the one that holds the aligned *.parquet")
        segments = sorted(folder.glob("*.segments"))
        self._files = sorted([*folder.glob("*.parquet"), *folder.glob("*.arrows")]) or segments
        if not self._files:
            raise SourceError(
                f"no *.parquet in {folder}, nor *.arrows or *.segments: give the folder of aligned rows"
            )
        if segments and self._files != segments:
            raise SourceError(
                f"{folder} holds {segments[0].name} beside {self._files[0].name}: one folder each"
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
            read = READERS[file.suffix]
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


def _segments(file: Path, first: int) -> Iterator[tuple[int, SegmentRows]]:
    footer = read_footer(file)
    for number in range(first, len(footer.segments)):
        yield number, SegmentRows(file, footer, number)


READERS: dict[str, Any] = {".parquet": _row_groups, ".arrows": _stream, ".segments": _segments}
