"""Databento's DBN files as columns: their bytes are records of one layout, which the vendor's library tells.

No object is made per row: the library reads the header and names the fields of a record, numpy takes those
from the bytes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from replay.errors import SourceError
from replay.imports.dbn_symbols import SymbolMap, read_symbols
from schemas.batch import Int64s
from schemas.clocks import EVENT_NS, KNOWN_NS, NS_PER_S

BATCH_ROWS: Final = 2**17  # read at once
READ_SIZE: Final = 2**20  # bytes asked for at once: a length in a broken header takes no memory
PRICE_SCALE: Final = 10**9
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_HEADER_SIZE: Final = 8  # DBN, version, and the size of what follows of the header
_UTC_NS: Final = pa.timestamp("ns", "UTC")
_NONE_FROM_NS: Final = np.uint64(
    2**63
)  # from here on: the vendor's mark for none, and what int64 cannot hold
_NO_PRICE: Final = 2**63 - 1
_EXACT_MAX: Final = 2**53
_DAY_NS: Final = np.uint64(86_400 * NS_PER_S)
_LETTERS: Final = 128

# The record of each schema that is read.  TCBBO has an action, as CMBP-1: the vendor's to_df leaves it out.
_RECORDS: Final = {
    "trades": "TradeMsg",
    "tbbo": "MBP1Msg",
    "mbp-1": "MBP1Msg",
    "mbp-10": "MBP10Msg",
    "mbo": "MBOMsg",
    "bbo-1s": "BBOMsg",
    "bbo-1m": "BBOMsg",
    "cmbp-1": "CMBP1Msg",
    "tcbbo": "CMBP1Msg",
    "cbbo-1s": "CBBOMsg",
    "cbbo-1m": "CBBOMsg",
    "ohlcv-1s": "OHLCVMsg",
    "ohlcv-1m": "OHLCVMsg",
    "ohlcv-1h": "OHLCVMsg",
    "ohlcv-1d": "OHLCVMsg",
    "ohlcv-eod": "OHLCVMsg",
}
_SAMPLED: Final = ("bbo-1s", "bbo-1m", "cbbo-1s", "cbbo-1m")
_BAR_S: Final = {"ohlcv-1s": 1, "ohlcv-1m": 60, "ohlcv-1h": 3_600, "ohlcv-1d": 86_400}


@dataclass(frozen=True, slots=True)
class StagedDbn:
    """A DBN file's rows as Parquet, which of its columns are clocks, and what was decided, a line each."""

    path: Path
    clocks: dict[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the records of a file are laid out.

    `dtype` is one record's, `fields` are those that become columns, in their order; `rtypes` are the types of
    record that may occur.
    """

    schema: str
    dtype: npt.DTypeLike
    fields: list[str]
    prices: frozenset[str]
    times: frozenset[str]
    rtypes: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes of a record."""
        return np.dtype(self.dtype).itemsize

    @property
    def clocks(self) -> dict[str, str]:
        """Fields that are clocks, by clock; one that is made beside them has the clock's name already."""
        by_clock = {EVENT_NS: "ts_event", KNOWN_NS: "ts_recv"}
        return {clock: name for clock, name in by_clock.items() if name in self.fields}

    @property
    def notes(self) -> list[str]:
        """What a schema's clocks mean, where that is not what their names say."""
        if self.schema in _SAMPLED:
            return [
                f"{EVENT_NS} is ts_recv, when a row of {self.schema} was sampled (ts_event: its last trade)"
            ]
        if self.schema in _BAR_S:
            return [
                f"{KNOWN_NS} is the end of a bar, {_BAR_S[self.schema]:,} s after ts_event, its beginning"
            ]
        if self.schema == "ohlcv-eod":
            return ["a bar of ohlcv-eod does not say when it was known: ts_event is the session's"]
        return []


def stage_dbn(path: Path, key: tuple[str, ...], scratch: Path) -> StagedDbn:
    """Write a DBN file's rows as Parquet into `scratch`, in bounded memory.

    The format does not say how many records there are: an unpacked file that ends between two is whole.
    Columns have the names of the vendor's `to_df`.  Prices are double, times timestamps in UTC; both are null
    where the file has the vendor's mark for none.  `symbol` is what the header calls the instrument on a
    row's day, by `ts_recv`, else `ts_event`.  Columns of `key` are text.  A row of a sampled schema has
    `event_ns`, a bar `known_ns`: neither may be joined before it was there.

    Raises SourceError for what is no such file, a schema that is not read, a file that is cut off, and where
    the library is not installed; else what pyarrow raises.
    """
    library = _library(path)
    with _opened(path) as stream:
        metadata = _metadata(library, path, stream)
        layout = _layout(library, path, metadata)
        symbols = read_symbols(metadata.mappings, str(metadata.stype_in), str(metadata.stype_out))
        staged = scratch / f"{len(list(scratch.iterdir()))}.parquet"
        schema = _columns(np.empty(0, dtype=layout.dtype), layout, symbols, key).schema
        with pq.ParquetWriter(staged, schema, compression="lz4") as writer:
            for records in _records(path, stream, layout):
                writer.write_batch(_columns(records, layout, symbols, key))
    return StagedDbn(staged, layout.clocks, (*layout.notes, *symbols.notes))


def _library(path: Path) -> Any:
    try:
        return import_module("databento_dbn")
    except ImportError:
        raise SourceError(
            f"{path} is DBN, which Databento's library reads: pip install databento-dbn (or write it as "
            "Parquet, with to_parquet of the databento package)"
        ) from None


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file's bytes, unpacked where they are packed, whatever its name says."""
    with pa.OSFile(str(path)) as file:
        packed = file.read(len(_ZSTD)) == _ZSTD
        file.seek(0)
        if not packed:
            yield file
            return
        with pa.CompressedInputStream(file, "zstd") as stream:
            yield stream


def _metadata(library: Any, path: Path, stream: Any) -> Any:
    begin = _read(stream, _HEADER_SIZE)
    if not begin:
        raise SourceError(f"{path} is empty: fetch it again")
    if begin[:3] != b"DBN" or len(begin) < _HEADER_SIZE:
        raise SourceError(f"{path} is no DBN file: it begins with {begin[:4]!r}")
    size = int.from_bytes(begin[4:], "little")
    rest = _read(stream, size)
    if len(rest) < size:
        raise SourceError(f"{path} is cut off in its header: fetch it again")
    try:
        return library.Metadata.decode(begin + rest, library.VersionUpgradePolicy.AS_IS)
    except library.DBNError as broken:
        raise SourceError(
            f"{path} is DBN of version {begin[3]}, and its header cannot be read: {broken}"
        ) from None


def _layout(library: Any, path: Path, metadata: Any) -> _Layout:
    name = None if metadata.schema is None else str(metadata.schema)
    records = getattr(library, f"v{metadata.version}", None)
    record = getattr(records, _RECORDS.get(name or "", ""), None)
    if record is None:
        what = "several kinds of record (no schema)" if name is None else f"the schema {name}"
        raise SourceError(
            f"{path} has {what} of DBN version {metadata.version}, which is not read, only "
            f"{', '.join(_RECORDS)}: write what is needed as Parquet, with to_parquet(schema=...) of the "
            "databento package, or move it out of the folder"
        )
    # The vendor's own client reads these of its library: no public names say as much.
    fields = list(record._dtypes)  # noqa: SLF001
    columns = list(record._ordered_fields)  # noqa: SLF001
    prices = frozenset(record._price_fields)  # noqa: SLF001
    times = frozenset(record._timestamp_fields)  # noqa: SLF001
    if metadata.ts_out:
        fields.append(("ts_out", "u8"))
        columns.append("ts_out")
        times |= {"ts_out"}
    rtypes = [int(library.RType.from_schema(metadata.schema).__index__())]
    if record.__name__ == "OHLCVMsg":
        rtypes.append(int(library.RType.OHLCV_DEPRECATED.__index__()))
    return _Layout(str(name), np.dtype(fields).newbyteorder("<"), columns, prices, times, tuple(rtypes))


def _records(path: Path, stream: Any, layout: _Layout) -> Iterator[npt.NDArray[np.void]]:
    """Yield a file's records, up to `BATCH_ROWS` at a time."""
    before = 0
    while data := _read(stream, BATCH_ROWS * layout.size):
        whole = len(data) // layout.size
        records = np.frombuffer(data, dtype=layout.dtype, count=whole)
        others = (records["length"] != layout.size // 4) | ~np.isin(records["rtype"], layout.rtypes)
        if others.any():
            place = int(np.flatnonzero(others)[0])
            raise SourceError(
                f"{path}: record {before + place + 1:,} is of type {records['rtype'][place]} and "
                f"{4 * int(records['length'][place])} bytes, not of {layout.schema}, as the header says "
                f"({layout.size} bytes): the file is broken, fetch it again"
            )
        if len(data) % layout.size:
            raise SourceError(f"{path} is cut off in record {before + whole + 1:,}: fetch it again")
        yield records
        before += whole


def _read(stream: Any, size: int) -> bytes:
    """Return this many bytes, fewer at the end of the file."""
    pieces, left = [], size
    while left and (piece := stream.read(min(left, READ_SIZE))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _columns(
    records: npt.NDArray[np.void], layout: _Layout, symbols: SymbolMap, key: tuple[str, ...]
) -> pa.RecordBatch:
    columns = {name: _column(records[name], name, layout) for name in layout.fields}
    if layout.schema in _SAMPLED:
        columns = {EVENT_NS: columns["ts_recv"], **columns}
    if layout.schema in _BAR_S:
        beginning = columns["ts_event"]
        end = np.asarray(beginning.cast(pa.int64()).fill_null(0)) + _BAR_S[layout.schema] * NS_PER_S
        mask = np.asarray(beginning.is_null())
        columns = {KNOWN_NS: pa.array(end, mask=mask).cast(_UTC_NS), **columns}
    columns["symbol"] = symbols.texts(records["instrument_id"].astype(np.int64), _days(records, layout))
    for name in set(key) & set(columns):
        if pa.types.is_integer(columns[name].type):
            columns[name] = columns[name].cast(pa.string())
    return pa.RecordBatch.from_pydict(columns)


def _days(records: npt.NDArray[np.void], layout: _Layout) -> Int64s:
    """Return the UTC day of each row since 1970, by the clock that the vendor maps symbols by."""
    times = records["ts_event"]
    if "ts_recv" in layout.fields:
        times = np.where(records["ts_recv"] < _NONE_FROM_NS, records["ts_recv"], times)
    return (times // _DAY_NS).astype(np.int64)


def _column(values: npt.NDArray[Any], name: str, layout: _Layout) -> pa.Array:
    values = np.ascontiguousarray(values)
    if name in layout.times:
        return pa.array(values.view(np.int64), mask=values >= _NONE_FROM_NS).cast(_UTC_NS)
    if name in layout.prices:
        return _prices(values)
    if values.dtype.kind == "S":
        return _letters(values.view(np.uint8), name)
    return pa.array(values)


def _prices(units: Int64s) -> pa.Array:
    """Return units of 1e-9 as the nearest double; the vendor's rounds twice beyond 2^53 of them."""
    prices = units / PRICE_SCALE
    none = units == _NO_PRICE
    large = ((units > _EXACT_MAX) | (units < -_EXACT_MAX)) & ~none
    if large.any():
        prices[large] = [one / PRICE_SCALE for one in units[large].tolist()]
    return pa.array(prices, mask=none)


def _letters(codes: npt.NDArray[np.uint8], name: str) -> pa.Array:
    """Return one letter a row, null for a byte of 0; raises pa.ArrowInvalid for one that is no ASCII."""
    if codes.size and codes.max() >= _LETTERS:
        raise pa.ArrowInvalid(f"{name} has the byte {codes.max()}, which is no letter")
    words = pa.array([None, *map(chr, range(1, _LETTERS))], pa.string())
    return words.take(pa.array(codes))
