"""What nodes of a batch run are judged by: its aligned rows and the rows of streams, by partition.

Files do not say where a row of a stream stood in its topic.  So rows of one time are put in order by key, and
those of one key and time are numbered, here and in the rows of a node, in place of where they stood.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa

from app.audit.files import ParquetFiles, accepted_rows
from app.audit.findings import PLACE
from app.audit.join import INDEX, OFFSET
from app.audit.joined import Begun, ReadRoot
from app.audit.node_rules import NodeRules
from app.audit.nodes import frames_of
from app.audit.runs import MEMORY_SIZE_MIN, Runs, tiles
from app.config import Settings
from app.task.row_rules import RowRules
from operators.sealed import ALIGNED
from schemas.clocks import clock_column
from schemas.stream import Stream, message_keys
from topics.partitioner import partition_of

OF_ONE_TIME: Final = 1 << 32  # rows of one key and time, at most


class NodeFiles:
    """Rows on disk, in order; `add_stream` takes those of each stream that nodes read."""

    def __init__(
        self,
        settings: Settings,
        streams: dict[str, Stream],
        aligned: ParquetFiles,
        folder: Path,
        memory_size_max: int,
    ) -> None:
        self._settings = settings
        self._streams = streams
        self._aligned = aligned
        self._folder = folder
        self._memory_size_max = max(MEMORY_SIZE_MIN, memory_size_max // len(aligned.files))
        self._on = clock_column(settings.pipeline.clock)
        self._runs: dict[tuple[str, int], Runs] = {}
        self._numbers: dict[tuple[object, ...], int] = {}  # of keys

    def add_stream(self, name: str, files: ParquetFiles) -> None:
        """Take the rows of a stream that the run took, each into the partition of its key."""
        stream = self._streams[name]
        sequence = [] if stream.sequence is None else [stream.sequence]
        order = [self._on, *stream.key, *sequence, OFFSET, INDEX]
        partitions = len(self._aligned.files)
        for number in range(partitions):
            stem = f"{name}-{number}"
            self._runs[name, number] = Runs(self._folder, stem, order, self._memory_size_max)
        rules = RowRules(stream, self._settings.stream(name).rules)
        for rows, _ in accepted_rows(self._on, files, stream, rules):
            homes = _homes(rows, stream, partitions)
            for number in range(partitions):
                self._runs[name, number].add(rows.filter(homes == number))
        for number in range(partitions):
            self._runs[name, number].end()

    def reader(self, partition: int) -> ReadRoot:
        """Reads the rows of roots in one partition."""

        def read(root: str, begun: Begun, /) -> Iterator[pl.DataFrame]:
            begun(0)
            if root == ALIGNED:
                batches = self._aligned.batches(self._aligned.files[partition])
                yield from frames_of(batches, self._on, repeats=False)
            else:
                for rows in self._in_order(self._runs[root, partition]):
                    named = rows.rename(dict(zip((OFFSET, INDEX), PLACE, strict=True)))
                    yield self._placed(named, self._streams[root].key)

        return read

    def rows_of(
        self, rules: NodeRules, batches: Iterator[pa.RecordBatch], partition: int
    ) -> Iterator[pa.RecordBatch]:
        """Rows of a node as they are to be compared with those of what it is made of."""
        if _first_root(rules) == ALIGNED:
            yield from batches
            return
        frames = frames_of(batches, self._on, repeats=False)
        for rows in self._by_key(rules, frames, f"{rules.name}-made-{partition}"):
            yield from rows.to_arrow().to_batches()

    def wanted_of(
        self, rules: NodeRules, frames: Iterator[pl.DataFrame], partition: int
    ) -> Iterator[pl.DataFrame]:
        """What a node is made of, placed as its rows are: bars have the places of trades."""
        if _first_root(rules) == ALIGNED or not rules.has_bars:
            yield from frames
        else:
            yield from self._by_key(rules, frames, f"{rules.name}-wanted-{partition}")

    def _by_key(self, rules: NodeRules, frames: Iterator[pl.DataFrame], stem: str) -> Iterator[pl.DataFrame]:
        """Rows of each time in the order of their keys, with places of their own."""
        order = [self._on, *rules.key, *rules.identity[len(PLACE) :]]
        runs = Runs(self._folder, stem, order, self._memory_size_max)
        for rows in frames:
            runs.add(rows)
        runs.end()
        for rows in self._in_order(runs):
            yield self._placed(rows, rules.key)

    def _in_order(self, runs: Runs) -> Iterator[pl.DataFrame]:
        for tile in tiles([runs], self._memory_size_max):
            yield runs.read(tile.first_ns, tile.last_ns)

    def _placed(self, rows: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
        """Rows, all of each time, placed by time and, among those of one time, by key and number."""
        names = list(key)
        nth = pl.int_range(pl.len(), dtype=pl.Int64).over([self._on, *names])
        alone = pl.repeat(0, rows.height, dtype=pl.Int64, eager=True)
        number = _of_keys(rows, names, self._number) if names else alone
        offset, index = PLACE
        return rows.with_columns(
            pl.col(self._on).cast(pl.Int64).alias(offset), (number * OF_ONE_TIME + nth).alias(index)
        )

    def _number(self, keys: pl.DataFrame) -> list[int]:
        return [self._numbers.setdefault(key, len(self._numbers)) for key in keys.rows()]


def _first_root(rules: NodeRules) -> str:
    """The root whose rows a node has, or makes its rows of."""
    while rules.source is not None:
        rules = rules.source.upstream
    return rules.root


def _homes(rows: pl.DataFrame, stream: Stream, partitions: int) -> pl.Series:
    """The partition of each row, by its key."""

    def homes(keys: pl.DataFrame) -> list[int]:
        kinds = pa.schema([(name, _plain(stream.schema.field(name).type)) for name in stream.key])
        texts = message_keys(keys.to_arrow().cast(kinds), stream.key).to_pylist()
        return [partition_of(text, partitions) for text in texts]

    if not stream.key:
        return pl.repeat(partition_of(b"", partitions), rows.height, dtype=pl.Int64, eager=True)
    return _of_keys(rows, list(stream.key), homes)


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _of_keys(
    rows: pl.DataFrame, key: list[str], number: Callable[[pl.DataFrame], Sequence[int]]
) -> pl.Series:
    """For each row the number of its key; `number` gives those of distinct keys."""
    distinct = rows.select(key).unique(maintain_order=True)
    numbered = distinct.with_columns(pl.Series("audit_number", number(distinct), pl.Int64))
    joined = rows.select(key).join(numbered, on=key, how="left", nulls_equal=True, maintain_order="left")
    return joined["audit_number"]
