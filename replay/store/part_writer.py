"""Writes one part: rows in the order of the store become a Parquet file that says what it holds.

The file is written under a temporary name, brought to the disk, and renamed: who stops in between leaves a
file that nothing reads.  At an object store it is put whole, and only where no object has its name.
"""

import os
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from replay.errors import NotWrittenError
from replay.order import as_int64s, disorder, order_times
from replay.store.content_hash import combined, content_hash
from replay.store.encodings import (
    COMPRESSION,
    COMPRESSION_LEVEL,
    DIFFERENCES,
    FALSE_POSITIVES,
    ROW_GROUP_ROWS,
    leaf_paths,
    rising_columns,
)
from replay.store.objects import Folder, ObjectFolder, digest_of
from replay.store.part import FOOTER_KEY, ClockSpan, Covered, Part, PartFooter, among, fingerprint, folder_of
from replay.store.places import TableRules
from schemas.clocks import BEGINNING_NS, EVENT_NS, KNOWN_NS
from schemas.stream import message_keys

KEYS_EXPECTED: Final = 1_024  # distinct keys of a row group, for the size of its Bloom filter
_NAME_DIGITS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PartPlace:
    """Where a part goes, and where its rows came from; `name` is its name but for the end."""

    name: str
    date: str
    bucket: int
    covered: tuple[Covered, ...] = ()
    source: str


class PartWriter:
    """Writes the rows of one day and bucket as they come; a row group of them is held at most.

    `root` is the table's folder.  What was not finished when the context ends is gone.
    """

    def __init__(self, root: Folder, place: PartPlace, rules: TableRules, schema: pa.Schema) -> None:
        self._root, self._place, self._schema = root, place, schema
        self._facts = _Facts(rules)
        self._held: list[pa.RecordBatch] = []
        self._held_rows = 0
        self._file: pq.ParquetWriter | None = None
        self._unfinished = ExitStack()

    def __enter__(self) -> Self:
        with self._refusals():
            folder = self._unfinished.enter_context(_writing_in(self._root, self._place))
        self._partial = folder / f"_{self._place.name}-{uuid.uuid4().hex}.new"
        self._unfinished.callback(self._partial.unlink, missing_ok=True)
        return self

    def __exit__(self, *raised: object) -> None:
        self._unfinished.close()

    def add(self, rows: pa.RecordBatch) -> None:
        """Take the next rows, which have the stored columns and the order of the store.

        Raises HistoryError where the disk refuses.
        """
        self._held.append(rows)
        self._held_rows += rows.num_rows
        while self._held_rows >= ROW_GROUP_ROWS:
            joined = pa.concat_batches(self._held)
            self._write(joined.slice(0, ROW_GROUP_ROWS))
            self._held = [joined.slice(ROW_GROUP_ROWS)]
            self._held_rows -= ROW_GROUP_ROWS

    def finish(self) -> Part:
        """Write the rest, and return the part, which may have no rows; raises HistoryError as `add`."""
        if self._held_rows or self._file is None:
            empty = pa.RecordBatch.from_pylist([], schema=self._schema)
            self._write(pa.concat_batches(self._held or [empty]))
        place, root = self._place, self._root
        footer = self._facts.footer(place, self._schema)
        with self._refusals():
            assert self._file is not None
            self._file.add_key_value_metadata({FOOTER_KEY: footer.to_json()})
            self._file.close()
            bring_to_disk(self._partial)
            digest = digest_of(self._partial)[:_NAME_DIGITS]
            name = f"{place.name}{among(self._facts.rules.buckets)}-{digest}.parquet"
            path = f"{folder_of(place.date, place.bucket)}/{name}"
            size = self._partial.stat().st_size
            if isinstance(root, ObjectFolder):
                (root / path).put_new(self._partial)  # where it is there, it has the same bytes
            else:
                self._partial.replace(root / path)
                bring_to_disk(self._partial.parent)
        return Part(path=path, date=place.date, bucket=place.bucket, size=size, footer=footer)

    def _write(self, group: pa.RecordBatch) -> None:
        with self._refusals():
            if self._file is None:
                options = _options(group, self._facts.rules)
                file = pq.ParquetWriter(self._partial, self._schema, **options)
                self._file = self._unfinished.enter_context(file)
            self._facts.add(group)
            self._file.write_batch(group, row_group_size=ROW_GROUP_ROWS)

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except OSError as refused:
            where = self._root.parent
            raise NotWrittenError(f"the history at {where} cannot be written: {refused}") from None


def write_part(
    root: Folder, place: PartPlace, rules: TableRules, schema: pa.Schema, batches: Iterable[pa.RecordBatch]
) -> Part:
    """Write the rows of one day and bucket, and return the part, as `PartWriter` does."""
    with PartWriter(root, place, rules, schema) as writer:
        for rows in batches:
            writer.add(rows)
        return writer.finish()


@contextmanager
def _writing_in(root: Folder, place: PartPlace) -> Iterator[Path]:
    """The folder to write a file in: the part's own, or one for the time until it is an object."""
    if isinstance(root, Path):
        folder = root / folder_of(place.date, place.bucket)
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with TemporaryDirectory(prefix="tidemark-part-") as scratch:
        yield Path(scratch)


def bring_to_disk(path: Path) -> None:
    """Return when a file, or the names in a folder, would be there after the power failed."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _options(first: pa.RecordBatch, rules: TableRules) -> dict[str, Any]:
    rising = rising_columns(first, [rules.sequence] if rules.sequence else [])
    texts = [name for name in rules.key if pa.types.is_string(first.schema.field(name).type)]
    return {
        "version": "2.6",
        "compression": COMPRESSION,
        "compression_level": COMPRESSION_LEVEL,
        "use_dictionary": [path for path in leaf_paths(first.schema) if path not in rising],
        "column_encoding": dict.fromkeys(rising, DIFFERENCES),
        "write_page_index": True,
        "bloom_filter_options": {name: {"ndv": KEYS_EXPECTED, "fpp": FALSE_POSITIVES} for name in texts},
    }


class _Facts:
    """What a footer says, gathered while rows pass in the order of the store."""

    def __init__(self, rules: TableRules) -> None:
        self.rules = rules
        self._rows = 0
        self._hash = 0
        self._keys: Counter[bytes] = Counter()
        self._clocks: dict[str, _Clock] = {}
        self._newest_ns = BEGINNING_NS

    def add(self, rows: pa.RecordBatch) -> None:
        """Take the next rows."""
        trailing, self._newest_ns = disorder(order_times(rows, self.rules.order), self._newest_ns)
        assert trailing == 0, f"rows of {self.rules.stream} are not in the order of the store"
        self._rows += rows.num_rows
        self._hash = combined(self._hash, content_hash(rows))
        counted = message_keys(rows, self.rules.key).value_counts()
        for key, count in zip(*(each.to_pylist() for each in counted.flatten()), strict=True):
            self._keys[key] += count
        for name in (EVENT_NS, KNOWN_NS):
            if name in rows.schema.names:
                self._clocks.setdefault(name, _Clock()).add(rows.column(name))

    def footer(self, place: PartPlace, schema: pa.Schema) -> PartFooter:
        """What the footer says of all of them."""
        return PartFooter(
            rows=self._rows,
            keys=self._keys,
            clocks={name: clock.span for name, clock in self._clocks.items() if clock.span is not None},
            order=self.rules.order,
            content_hash=self._hash,
            covered=place.covered,
            fingerprint=fingerprint(schema),
            source=place.source,
        )


class _Clock:
    """One clock's times as they pass."""

    def __init__(self) -> None:
        self._nulls = 0
        self._newest_ns = BEGINNING_NS
        self._disorder_ns = 0
        self._first_ns: int | None = None

    def add(self, column: pa.Array) -> None:
        """Take the next times."""
        self._nulls += column.null_count
        times_ns = as_int64s(column.drop_null())
        if times_ns.size == 0:
            return
        trailing, self._newest_ns = disorder(times_ns, self._newest_ns)
        self._disorder_ns = max(self._disorder_ns, trailing)
        first_ns = int(times_ns.min())
        self._first_ns = first_ns if self._first_ns is None else min(self._first_ns, first_ns)

    @property
    def span(self) -> ClockSpan | None:
        """What is known of them, None where no row had one."""
        if self._first_ns is None:
            return None
        return ClockSpan(self._first_ns, self._newest_ns, self._nulls, self._disorder_ns)
