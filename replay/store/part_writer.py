"""Writes one part: rows in the order of the store become a Parquet file that says what it holds.

The file is written under a temporary name, brought to the disk, and renamed: who stops in between leaves a
file that nothing reads.
"""

import hashlib
import os
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from replay.errors import HistoryError
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


def write_part(
    root: Path, place: PartPlace, rules: TableRules, schema: pa.Schema, batches: Iterable[pa.RecordBatch]
) -> Part:
    """Write the rows of one day and bucket, and return the part; `root` is the table's folder.

    `batches` have the stored columns of `schema` and the order of the store.  Raises HistoryError where the
    disk refuses; nothing is then left of it.
    """
    folder = root / folder_of(place.date, place.bucket)
    partial = folder / f"_{place.name}-{uuid.uuid4().hex}.new"
    facts = _Facts(rules)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        footer = _write(partial, _row_groups(batches, schema), place, schema, facts)
        name = f"{place.name}{among(rules.buckets)}-{_digest(partial)[:_NAME_DIGITS]}.parquet"
        size = partial.stat().st_size
        partial.replace(folder / name)
        bring_to_disk(folder)
    except OSError as refused:
        raise HistoryError(f"the history at {root.parent} cannot be written: {refused}") from None
    finally:
        if partial.is_file():
            partial.unlink()
    path = f"{folder_of(place.date, place.bucket)}/{name}"
    return Part(path=path, date=place.date, bucket=place.bucket, size=size, footer=footer)


def bring_to_disk(path: Path) -> None:
    """Return when a file, or the names in a folder, would be there after the power failed."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(
    path: Path, groups: Iterator[pa.RecordBatch], place: PartPlace, schema: pa.Schema, facts: "_Facts"
) -> PartFooter:
    first = next(groups)
    with pq.ParquetWriter(path, schema, **_options(first, facts.rules)) as writer:
        for group in chain((first,), groups):
            facts.add(group)
            writer.write_batch(group, row_group_size=ROW_GROUP_ROWS)
        footer = facts.footer(place, schema)
        writer.add_key_value_metadata({FOOTER_KEY: footer.to_json()})
    bring_to_disk(path)
    return footer


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


def _row_groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows, so many at once as a row group has; one without rows where there are none."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        while rows >= ROW_GROUP_ROWS:
            joined = pa.concat_batches(held)
            yield joined.slice(0, ROW_GROUP_ROWS)
            held, rows = [joined.slice(ROW_GROUP_ROWS)], rows - ROW_GROUP_ROWS
    if rows or not held:
        yield pa.concat_batches(held) if held else schema.empty_table().to_batches()[0]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
        for entry in message_keys(rows, self.rules.key).value_counts().to_pylist():
            self._keys[entry["values"]] += entry["counts"]
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
