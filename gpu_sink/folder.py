"""Aligned Parquet files as frames: the same rows, read back as history."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from gpu_sink.errors import SourceError
from gpu_sink.frames import Frame, Place


class FolderFrames:
    """One frame per row group, file after file in the order of their names."""

    def __init__(self, folder: Path) -> None:
        """Raises SourceError where there is no folder or no Parquet file in it."""
        if not folder.is_dir():
            raise SourceError(f"no folder {folder}: give the one that holds the aligned *.parquet")
        self._files = sorted(folder.glob("*.parquet"))
        if not self._files:
            raise SourceError(f"no *.parquet in {folder}: give the folder that holds the aligned rows")

    def __iter__(self) -> Iterator[Frame]:
        """Yield the row groups that have rows; raises SourceError naming a file that cannot be read."""
        for number, file in enumerate(self._files):
            try:
                with pq.ParquetFile(file) as parquet:
                    for group in range(parquet.num_row_groups):
                        table = parquet.read_row_group(group).combine_chunks()
                        for rows in table.to_batches():
                            yield Frame(rows, None, Place(str(file), number, group))
            except (pa.ArrowInvalid, OSError) as broken:
                raise SourceError(f"cannot read {file}: {broken}") from broken
