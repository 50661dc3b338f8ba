"""Aligned files as frames, rows read back as history: Parquet, Arrow IPC streams or raw column segments.

Several folders, a day each, are one stream: the rows of the first, then those of the second.  Files of one
name are one partition, whose offsets go on from folder to folder.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from gpu_sink.errors import SourceError
from gpu_sink.frames import Frame, Place
from gpu_sink.reading.iterable import IterableReader
from gpu_sink.reading.source import Position
from gpu_sink.segments.file import read_footer
from gpu_sink.segments.reads import SegmentRows

# The offset of a frame is its number in its file, and so much more for each folder before: a state names a
# place without a look at all files before it.
FOLDER_FRAMES: Final = 1_000_000_000
_WILD: Final = frozenset("*?[")


class FolderFrames:
    """A file is a partition, numbered in the order of names; row groups, batches, segments are frames."""

    bounded = True

    def __init__(self, places: Sequence[Path]) -> None:
        """Raises SourceError where there is no folder or file, or segments lie beside other files.

        A place is a folder of files, one of folders named `key=value`, or a pattern that folders match.
        """
        folders = [folder for place in places for folder in _folders(place)]
        if not folders:
            raise SourceError("no folder is named: give at least one")
        real = [folder.resolve() for folder in folders]  # a link is the folder that it leads to
        if twice := [folder for number, folder in enumerate(folders) if real[number] in real[:number]]:
            raise SourceError(f"{twice[0]} is there twice: name each folder once")
        listed = [_files(folder) for folder in folders]
        names = sorted({file.name for files in listed for file in files})
        kinds = {file.suffix == ".segments" for files in listed for file in files}
        if len(kinds) > 1:
            raise SourceError(f"some of {len(folders)} folders hold segments, others do not: read one kind")
        numbers = {name: number for number, name in enumerate(names)}
        self._partitions = list(range(len(names)))
        self._folders = [{numbers[file.name]: file for file in files} for files in listed]
        self.name = _name(folders, listed)

    def partitions(self) -> list[int]:
        """One per name of a file."""
        return self._partitions

    def files(self) -> list[Path]:
        """The files in the order in which their rows come."""
        return [files[partition] for files in self._folders for partition in sorted(files)]

    def newest_schemas(self) -> Iterator[pa.Schema]:
        """The columns of the files, those of the last folder first; raises SourceError."""
        for files in reversed(self._folders):
            for file in files.values():
                try:
                    yield SCHEMAS[file.suffix](file)
                except (pa.ArrowInvalid, OSError) as broken:
                    raise SourceError(f"cannot read {file}: {broken}") from broken

    def open(self, starts: Mapping[int, Position | None]) -> IterableReader:
        """Read folder after folder, file after file; row groups before the starts are not read at all."""
        return IterableReader(self._frames(starts), starts)

    def _frames(self, starts: Mapping[int, Position | None]) -> Iterator[Frame]:
        """The frames that have rows; raises SourceError naming a file that cannot be read."""
        for folder, files in enumerate(self._folders):
            lower = folder * FOLDER_FRAMES
            for partition in sorted(starts.keys() & files.keys()):
                file, start = files[partition], starts[partition]
                first = 0 if start is None else max(start.offset - lower, 0)
                if first >= FOLDER_FRAMES:
                    continue
                try:
                    for offset, rows in READERS[file.suffix](file, first):
                        if rows.num_rows:
                            yield Frame(rows, None, Place(str(file), partition, lower + offset))
                except (pa.ArrowInvalid, OSError) as broken:
                    raise SourceError(f"cannot read {file}: {broken}") from broken


def _name(folders: Sequence[Path], listed: Sequence[Sequence[Path]]) -> str:
    """What a state belongs to: names of files and, of several folders, what tells them apart."""
    names = [[file.name for file in files] for files in listed]
    count = sum(map(len, names))
    if len(folders) == 1:
        return f"{count} files {_digest(names[0])}"
    above = os.path.commonpath(folders)
    kept = [(folder.relative_to(above).as_posix(), of) for folder, of in zip(folders, names, strict=True)]
    return f"{count} files of {len(folders)} folders {_digest(kept)}"


def _digest(names: object) -> str:
    return hashlib.sha256(repr(names).encode()).hexdigest()[:16]


def _folders(place: Path) -> list[Path]:
    """The folders of files that a place stands for, in the order of names; raises SourceError for none."""
    matches = [place]
    wild = [number for number, part in enumerate(place.parts) if _WILD & set(part)]
    if wild and not place.exists():
        base = Path(*place.parts[: wild[0]])
        pattern = "/".join(place.parts[wild[0] :])
        matches = sorted(each for each in base.glob(pattern) if each.is_dir())
        if not matches:
            raise SourceError(f"no folder matches {place}: give a pattern of folders, as day-*/aligned")
    return [folder for each in matches for folder in _divided(each.absolute())]


def _divided(folder: Path) -> list[Path]:
    """The folder, or in its place the `key=value` folders in it; raises SourceError where it has both.

    As for others who read such folders, one whose name begins with `_` or `.` is not there.
    """
    if not folder.is_dir():
        raise SourceError(f"no folder {folder}: give the one that holds the aligned *.parquet")
    parts = sorted(
        each for each in folder.iterdir() if "=" in each.name and each.name[0] not in "_." and each.is_dir()
    )
    if parts and (files := [file for suffix in READERS for file in folder.glob(f"*{suffix}")]):
        raise SourceError(f"{folder} holds {files[0].name} beside {parts[0].name}: give one of the two")
    return [inner for part in parts for inner in _divided(part)] or [folder]


def _files(folder: Path) -> list[Path]:
    """The aligned files of a folder in the order of names; raises SourceError for none or two kinds."""
    segments = sorted(folder.glob("*.segments"))
    files = sorted([*folder.glob("*.parquet"), *folder.glob("*.arrows")]) or segments
    if not files:
        raise SourceError(
            f"no *.parquet in {folder}, nor *.arrows or *.segments: give the folder of aligned rows"
        )
    if segments and files != segments:
        raise SourceError(f"{folder} holds {segments[0].name} beside {files[0].name}: one folder each")
    return files


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


def _stream_schema(file: Path) -> pa.Schema:
    with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as reader:
        return reader.schema


def _segments_schema(file: Path) -> pa.Schema:
    return read_footer(file).schema


READERS: Final[dict[str, Any]] = {".parquet": _row_groups, ".arrows": _stream, ".segments": _segments}
SCHEMAS: Final[dict[str, Any]] = {
    ".parquet": pq.read_schema,
    ".arrows": _stream_schema,
    ".segments": _segments_schema,
}
