"""The bytes of parts on this machine: in the table's own folder, or as copies of objects in the cache."""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from replay.errors import HistoryError
from replay.store.cache import Cache, Entry, Held, current_cache
from replay.store.objects import ObjectFolder, digest_of, errors_at
from replay.store.part import digest_in
from replay.store.snapshot import PartEntry, Snapshot

if TYPE_CHECKING:
    import polars as pl

FETCHED_AT_ONCE: Final = 16
CODED_ROWS_MIN: Final = (
    32_768  # of a part whose texts are read as dictionaries: it is opened twice, for 0.4 ms
)
DICTIONARY_SIZE_MAX: Final = 4_096  # compressed bytes, about a thousand texts: those of many parts are joined


@contextmanager
def local_files(snapshot: Snapshot, parts: Sequence[PartEntry]) -> Iterator[list[Path]]:
    """Files with the bytes of some parts, which stay while this lasts; objects are fetched several at once.

    Raises HistoryError naming a part that is gone, and where the cache has no room for all of them.
    """
    root = snapshot.root
    if isinstance(root, Path):
        yield [snapshot.local_file(part) for part in parts]
        return
    cache = current_cache()
    with ExitStack() as held:
        with ThreadPoolExecutor(FETCHED_AT_ONCE) as fetching:
            wanted = [fetching.submit(_hold, cache, snapshot, part) for part in parts]
        for one in wanted:
            if one.exception() is None and (copy := one.result()) is not None:
                held.callback(copy.close)
        copies = [one.result() for one in wanted]
        paths = [copy.path for copy in copies if copy is not None]
        if len(paths) < len(parts):
            raise HistoryError(
                f"{root}: {len(parts):,} parts with {sum(part.size for part in parts):,} bytes are needed at "
                f"once, and the cache {cache.settings.folder} has room for {cache.settings.size_max:,}, a "
                "quarter of it for each: allow it more, or ask for less"
            )
        yield paths


@contextmanager
def open_part(snapshot: Snapshot, part: PartEntry, texts: Collection[str] = ()) -> Iterator[pq.ParquetFile]:
    """Open a part; raises HistoryError naming it, the version and the rows at stake.

    An object is read from its copy in the cache, or by ranges where the cache has no room for it.  Of the
    columns `texts`, those with few distinct ones are read as dictionaries.
    """
    file = snapshot.root / part.path
    with ExitStack() as held:
        try:
            if isinstance(file, ObjectFolder):
                held.enter_context(errors_at(file))
                copy = _hold(current_cache(), snapshot, part)
                if copy is not None:
                    held.callback(copy.close)
                source = file.reader(part.size) if copy is None else copy.path
            else:
                source = snapshot.local_file(part)
            opened = held.enter_context(pq.ParquetFile(source))
            if few := _few_distinct(opened.metadata, texts):
                again = pq.ParquetFile(source, metadata=opened.metadata, read_dictionary=few)
                opened = held.enter_context(again)
            snapshot.require_rows(part, opened.metadata.num_rows)
            yield opened
        except FileNotFoundError:
            raise snapshot.unreadable(part, "is not there") from None
        except (OSError, pa.ArrowInvalid) as broken:
            raise snapshot.unreadable(part, f"cannot be read ({broken})") from None


def require_bytes(snapshot: Snapshot, parts: Sequence[PartEntry]) -> None:
    """Raise HistoryError naming a part that has other bytes than its name says; copies of objects never have.

    For whoever takes parts out of a table: the newest version has their names no more.
    """
    if not isinstance(snapshot.root, Path):
        return
    for part in parts:
        digest = digest_of(snapshot.local_file(part))
        if not digest.startswith(digest_in(part.path)):
            raise snapshot.unreadable(part, f"has other bytes than it was named for: {digest[:8]}")


def _few_distinct(metadata: pq.FileMetaData, names: Collection[str]) -> list[str]:
    """Which of these columns have a small dictionary in a part, as its first row group tells."""
    if not names or metadata.num_rows < CODED_ROWS_MIN:
        return []
    first = metadata.row_group(0)
    columns = [first.column(number) for number in range(first.num_columns)]
    return [
        each.path_in_schema
        for each in columns
        if each.path_in_schema in names
        and each.has_dictionary_page
        and each.data_page_offset - each.dictionary_page_offset <= DICTIONARY_SIZE_MAX
    ]


def parts_frame(
    snapshot: Snapshot, parts: Sequence[PartEntry], kinds: "Mapping[str, pl.DataType]"
) -> "pl.LazyFrame":
    """Some parts as one lazy frame with columns of these kinds; objects are fetched when it is collected."""
    root = snapshot.root
    if isinstance(root, Path):
        return _files_frame([snapshot.local_file(part) for part in parts], kinds)
    from polars.io.plugins import register_io_source

    def read(
        columns: list[str] | None, condition: "pl.Expr | None", rows: int | None, _: int | None
    ) -> "Iterator[pl.DataFrame]":
        with local_files(snapshot, parts) as files:
            frame = _files_frame(files, kinds)
            frame = frame if condition is None else frame.filter(condition)
            frame = frame if columns is None else frame.select(columns)
            yield (frame if rows is None else frame.head(rows)).collect()

    return register_io_source(read, schema=dict(kinds))


def _files_frame(files: Sequence[Path], kinds: "Mapping[str, pl.DataType]") -> "pl.LazyFrame":
    import polars as pl

    return pl.scan_parquet(
        list(files),
        schema=dict(kinds),
        missing_columns="insert",
        extra_columns="ignore",
        hive_partitioning=False,
        glob=False,
    )


def _hold(cache: Cache, snapshot: Snapshot, part: PartEntry) -> Held | None:
    file = snapshot.root / part.path
    assert isinstance(file, ObjectFolder)
    place = hashlib.sha256(str(file).encode()).hexdigest()[:16]
    entry = Entry(name=f"{place}-{file.name}", size=part.size, digest=digest_in(part.path))
    try:
        return cache.hold(entry, file.copy_into)
    except FileNotFoundError:
        raise snapshot.unreadable(part, "is not there") from None
