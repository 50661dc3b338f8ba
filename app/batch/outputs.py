"""The outputs of a batch run: a folder of Parquet for each, a file for each partition, all or nothing."""

import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import pyarrow as pa

from app.errors import UsageError
from app.reading.row_files import Metadata, as_in_files, file_schema, open_writer
from app.task.sink import Sink
from operators.hashing.parity import Parity, sealed_hashes

GROUP_ROWS: Final = 131_072  # a row group of a size that Parquet readers like
HELD_ROWS_MAX: Final = 1_048_576  # over all files: with many of them their row groups are smaller
GROUP_ROWS_MIN: Final = 4_096
FILES_MAX: Final = 800  # open at once: few systems let a process open more than 1,024


class OutputFile:
    """The file of one output and partition, of `rows` so far; they are gathered into row groups.

    `parity` is that of its rows, where it was asked for.
    """

    def __init__(
        self, path: Path, sink: Sink, schema: pa.Schema, group_rows: int, parity: Parity | None = None
    ) -> None:
        """`schema` is that of the file; `parity` that of the rows before, None where nobody asks for it."""
        self.parity = parity
        self.sink = sink
        self._schema = schema
        self._group_rows = group_rows
        self._held: list[pa.RecordBatch] = []
        self.rows = 0
        self._written = 0
        self._writer = open_writer(path, schema)

    def write(self, rows: pa.RecordBatch) -> None:
        """Add sealed rows, at least one."""
        self._held.append(rows)
        self.rows += rows.num_rows
        if self.parity is not None:
            self.parity = self.parity.roll(sealed_hashes(rows))
        if self.rows - self._written >= self._group_rows:
            self._flush()

    def close(self) -> None:
        """Write what is held, and the end of the file."""
        try:
            self._flush()
        finally:
            self._writer.close()

    def abandon(self) -> None:
        """Close a file that nobody is to read."""
        with suppress(OSError, pa.ArrowException):  # the error that led here is the one to tell
            self._writer.close()

    def _flush(self) -> None:
        if self._held:
            rows = pa.Table.from_batches(self._held, self.sink.schema)
            self._writer.write_table(as_in_files(rows, self._schema))
            self._held, self._written = [], self.rows


def group_rows_of(files: int) -> int:
    """The rows of a row group where so many files are written at once."""
    return min(GROUP_ROWS, max(GROUP_ROWS_MIN, HELD_ROWS_MAX // files))


class Outputs:
    """All files of a run.  Until `keep` they lie in folders of `scratch` that no reader takes for rows."""

    def __init__(
        self,
        sinks: Iterable[Mapping[str, Sink]],
        folders: Mapping[str, Path],
        scratch: Path,
        rights: Iterable[str],
        sources: Mapping[str, Metadata],
    ) -> None:
        """`sinks` are those of each partition, by name; `folders` says where the rows of each output go.

        `rights` and `sources` are those of `file_schema`.  Raises UsageError where there would be more files
        than a process may open.
        """
        by_partition, rights = list(sinks), list(rights)
        count = len(by_partition) * len(folders)
        if count > FILES_MAX:
            raise UsageError(
                f"{len(by_partition)} partitions of {len(folders)} outputs make {count} files, more than "
                f"{FILES_MAX} at once: run with fewer partitions, or with --through-wire"
            )
        group_rows = group_rows_of(count)
        self._folders = dict(folders)
        self._unfinished = {name: scratch / f"_{folder.name}.unfinished" for name, folder in folders.items()}
        for folder in self._unfinished.values():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        self.files = [
            {
                name: OutputFile(
                    self._unfinished[name] / f"partition-{partition:05d}.parquet",
                    sink,
                    file_schema(sink.schema, rights, sources),
                    group_rows,
                )
                for name, sink in of_partition.items()
            }
            for partition, of_partition in enumerate(by_partition)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        if kind is not None:
            for files in self.files:
                for file in files.values():
                    file.abandon()

    def keep(self) -> None:
        """End all files and put the folders in the place of those that were there."""
        for files in self.files:
            for file in files.values():
                file.close()
        for name, folder in self._folders.items():
            shutil.rmtree(folder, ignore_errors=True)
            folder.parent.mkdir(parents=True, exist_ok=True)
            self._unfinished[name].rename(folder)
