"""Files of every common writer, in each type it writes: values are kept, or the column is refused by name."""

import datetime as dt
import os
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.errors import SourceError
from replay.imports.folder import import_folder
from replay.store.days import HistoryStore
from schemas.stream import Stream
from tests.stage.days import DATE, NOON_NS, rows_of
from topics.avro.encode import RowEncoder
from topics.registry.folder import FileRegistry

pytestmark = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="rows are encoded by instructions that are compiled"
)

Write = Callable[[Path, list[Any]], None]

INT64S = st.integers(-(2**63) + 1, 2**63 - 1)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9)
DATES = st.dates(dt.date(1700, 1, 1), dt.date(2200, 1, 1))
MOMENTS = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))  # noqa: DTZ001 - no zone is meant
TIMES = st.times()
DECIMALS = st.decimals(-(10**9), 10**9, places=3)
FLOATS = st.floats(allow_nan=False)
UUIDS = st.uuids()


def whole(bits: int, *, signed: bool = True) -> st.SearchStrategy[int]:
    lower, upper = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return st.integers(lower, upper)


def by_pyarrow(kind: pa.DataType, **options: Any) -> Write:
    def write(path: Path, values: list[Any]) -> None:
        pq.write_table(with_rows(pa.array(values, kind)), path, **options)

    return write


def counted_by_pyarrow(kind: pa.DataType, **options: Any) -> Write:
    def write(path: Path, values: list[Any]) -> None:
        pq.write_table(with_rows(pa.array(values, pa.int64()).cast(kind)), path, **options)

    return write


def by_polars(kind: Any) -> Write:
    def write(path: Path, values: list[Any]) -> None:
        frame = pl.DataFrame({"x": pl.Series(values, dtype=kind, strict=False)})
        size = len(values)
        frame.with_columns(
            event_ns=pl.Series([NOON_NS] * size), symbol=pl.Series(["A"] * size)
        ).write_parquet(path)

    return write


def by_pandas(kind: str) -> Write:
    def write(path: Path, values: list[Any]) -> None:
        frame = pd.DataFrame({"event_ns": [NOON_NS] * len(values), "symbol": "A"})
        frame["x"] = pd.Series(values, dtype="object").astype(kind)
        frame.to_parquet(path)

    return write


def by_duckdb(kind: str) -> Write:
    def write(path: Path, values: list[Any]) -> None:
        with duckdb.connect() as database:
            database.execute("set timezone = 'UTC'")
            database.execute(f"create table t (event_ns bigint, symbol varchar, x {kind})")
            database.executemany("insert into t values (?, 'A', ?)", [[NOON_NS, value] for value in values])
            database.execute(f"copy t to '{path}' (format parquet)")

    return write


def with_rows(values: pa.Array) -> pa.Table:
    return pa.table({"x": values, "event_ns": [NOON_NS] * len(values), "symbol": ["A"] * len(values)})


SIZES = (8, 16, 32, 64)
PYARROW: list[tuple[str, Write, st.SearchStrategy[Any]]] = [
    *((f"int{bits}", by_pyarrow(pa.type_for_alias(f"int{bits}")), whole(bits)) for bits in SIZES),
    *(
        (f"uint{bits}", by_pyarrow(pa.type_for_alias(f"uint{bits}")), whole(bits, signed=False))
        for bits in SIZES
    ),
    ("float16", by_pyarrow(pa.float16()), st.floats(width=16, allow_nan=False)),
    ("float32", by_pyarrow(pa.float32()), st.floats(width=32, allow_nan=False)),
    ("float64", by_pyarrow(pa.float64()), FLOATS),
    ("bool", by_pyarrow(pa.bool_()), st.booleans()),
    *((str(kind), by_pyarrow(kind), TEXTS) for kind in (pa.string(), pa.large_string(), pa.string_view())),
    *((str(kind), by_pyarrow(kind), st.binary(max_size=9)) for kind in (pa.binary(), pa.binary_view())),
    ("fixed", by_pyarrow(pa.binary(3)), st.binary(min_size=3, max_size=3)),
    ("dictionary", by_pyarrow(pa.dictionary(pa.int8(), pa.string())), TEXTS),
    ("dictionary of numbers", by_pyarrow(pa.dictionary(pa.int32(), pa.int64())), INT64S),
    *((str(kind), by_pyarrow(kind), DECIMALS) for kind in (pa.decimal128(20, 4), pa.decimal256(60, 3))),
    ("date32", by_pyarrow(pa.date32()), DATES),
    ("date64", by_pyarrow(pa.date64()), DATES),
    ("time32", by_pyarrow(pa.time32("ms")), TIMES.map(lambda at: at.replace(microsecond=0))),
    ("time64", counted_by_pyarrow(pa.time64("ns")), st.integers(0, 86_399_999_999_999)),
    *(
        (str(kind), counted_by_pyarrow(kind), INT64S)
        for kind in (pa.duration("ns"), pa.timestamp("us", "Asia/Tokyo"))
    ),
    ("timestamp[ns]", counted_by_pyarrow(pa.timestamp("ns")), INT64S),
    ("int96", counted_by_pyarrow(pa.timestamp("ns"), use_deprecated_int96_timestamps=True), INT64S),
    ("null", by_pyarrow(pa.null()), st.none()),
    ("list", by_pyarrow(pa.list_(pa.int64())), st.lists(INT64S)),
    ("struct", by_pyarrow(pa.struct([("a", pa.int64())])), st.fixed_dictionaries({"a": INT64S})),
    (
        "map",
        by_pyarrow(pa.map_(pa.string(), pa.int64())),
        st.dictionaries(TEXTS, INT64S).map(lambda d: [*d.items()]),
    ),
    ("uuid", by_pyarrow(pa.uuid()), UUIDS.map(lambda key: key.bytes)),
    ("json", by_pyarrow(pa.json_()), st.just("{}")),
]
POLARS: list[tuple[str, Write, st.SearchStrategy[Any]]] = [
    *((f"Int{bits}", by_polars(getattr(pl, f"Int{bits}")), whole(bits)) for bits in SIZES),
    *((f"UInt{bits}", by_polars(getattr(pl, f"UInt{bits}")), whole(bits, signed=False)) for bits in SIZES),
    ("Int128", by_polars(pl.Int128), whole(100)),
    ("Float32", by_polars(pl.Float32), st.floats(width=32, allow_nan=False)),
    ("Float64", by_polars(pl.Float64), FLOATS),
    ("Boolean", by_polars(pl.Boolean), st.booleans()),
    ("String", by_polars(pl.String), TEXTS),
    ("Binary", by_polars(pl.Binary), st.binary(max_size=20)),
    ("Categorical", by_polars(pl.Categorical), TEXTS),
    ("Enum", by_polars(pl.Enum(["N", "Q"])), st.sampled_from(["N", "Q"])),
    ("Date", by_polars(pl.Date), DATES),
    ("Time", by_polars(pl.Time), TIMES),
    *((f"Datetime {unit}", by_polars(pl.Datetime(unit)), MOMENTS) for unit in ("us", "ns")),
    ("Datetime UTC", by_polars(pl.Datetime("ms", "UTC")), MOMENTS.map(lambda at: at.replace(microsecond=0))),
    ("Duration", by_polars(pl.Duration("us")), st.timedeltas(dt.timedelta(-999), dt.timedelta(999))),
    ("Decimal", by_polars(pl.Decimal(20, 3)), DECIMALS),
    ("Null", by_polars(pl.Null), st.none()),
    ("List", by_polars(pl.List(pl.Int64)), st.lists(INT64S)),
    ("Array", by_polars(pl.Array(pl.Int64, 2)), st.lists(INT64S, min_size=2, max_size=2)),
    ("Struct", by_polars(pl.Struct({"a": pl.Int64})), st.fixed_dictionaries({"a": INT64S})),
]
PANDAS: list[tuple[str, Write, st.SearchStrategy[Any]]] = [
    *((f"Int{bits}", by_pandas(f"Int{bits}"), whole(bits)) for bits in SIZES),
    *((f"UInt{bits}", by_pandas(f"UInt{bits}"), whole(bits, signed=False)) for bits in SIZES),
    ("Float64", by_pandas("Float64"), FLOATS),
    ("float64", by_pandas("float64"), FLOATS),
    ("boolean", by_pandas("boolean"), st.booleans()),
    *((kind, by_pandas(kind), TEXTS) for kind in ("object", "string", "str", "category")),
    ("object of bytes", by_pandas("object"), st.binary(max_size=9)),
    ("object of dates", by_pandas("object"), DATES),
    ("object of decimals", by_pandas("object"), DECIMALS),
    ("object of lists", by_pandas("object"), st.lists(INT64S)),
    *((f"datetime64[{unit}]", by_pandas(f"datetime64[{unit}]"), MOMENTS) for unit in ("us", "ns")),
    ("datetime64[ns, UTC]", by_pandas("datetime64[ns, UTC]"), MOMENTS),
    ("timedelta64[ns]", by_pandas("timedelta64[ns]"), st.timedeltas(dt.timedelta(-999), dt.timedelta(999))),
]
DUCKDB: list[tuple[str, Write, st.SearchStrategy[Any]]] = [
    *(
        (kind, by_duckdb(kind), whole(bits))
        for kind, bits in {"tinyint": 8, "smallint": 16, "bigint": 64}.items()
    ),
    *(
        (kind, by_duckdb(kind), whole(bits, signed=False))
        for kind, bits in {"utinyint": 8, "ubigint": 64}.items()
    ),
    ("hugeint", by_duckdb("hugeint"), whole(100)),
    ("float", by_duckdb("float"), st.floats(width=32, allow_nan=False)),
    ("double", by_duckdb("double"), FLOATS),
    ("boolean", by_duckdb("boolean"), st.booleans()),
    ("varchar", by_duckdb("varchar"), TEXTS),
    ("blob", by_duckdb("blob"), st.binary(max_size=9)),
    ("enum", by_duckdb("enum('N', 'Q')"), st.sampled_from(["N", "Q"])),
    ("uuid", by_duckdb("uuid"), UUIDS),
    ("json", by_duckdb("varchar"), st.just("{}")),
    ("decimal", by_duckdb("decimal(20, 3)"), DECIMALS),
    ("date", by_duckdb("date"), DATES),
    ("time", by_duckdb("time"), TIMES),
    *(
        (kind, by_duckdb(kind), MOMENTS)
        for kind in ("timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns")
    ),
    ("timestamptz", by_duckdb("timestamptz"), MOMENTS.map(lambda at: at.replace(tzinfo=dt.UTC))),
    ("interval", by_duckdb("interval"), st.timedeltas(dt.timedelta(0), dt.timedelta(99))),
    ("list", by_duckdb("bigint[]"), st.lists(INT64S)),
    ("struct", by_duckdb("struct(a bigint)"), st.fixed_dictionaries({"a": INT64S})),
]
WRITERS = {"pyarrow": PYARROW, "polars": POLARS, "pandas": PANDAS, "duckdb": DUCKDB}
ALL = [(f"{name} {kind}", write, values) for name, kinds in WRITERS.items() for kind, write, values in kinds]
REFUSED = {
    "pyarrow struct",
    "pyarrow map",
    "polars Struct",
    "duckdb struct",
}


@pytest.mark.parametrize(("name", "write", "values"), ALL, ids=[name for name, *_ in ALL])
def test_each_value_is_kept_or_its_column_refused(
    name: str, write: Write, values: st.SearchStrategy[Any]
) -> None:
    @given(st.lists(st.none() | values, min_size=1, max_size=8))
    @settings(max_examples=6, deadline=None)
    def check(column: list[Any]) -> None:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "data" / "trades.parquet"
            path.parent.mkdir()
            write(path, column)
            store = HistoryStore(Path(folder) / "history")
            refusal = refusal_of(store, path.parent)
            if refusal is not None:
                assert name in REFUSED or name == "polars Int128"
                assert str(path) in refusal
                assert "'x'" in refusal
                return
            assert name not in REFUSED or pc.all(pq.read_table(path).column("x").is_null()).as_py()
            day = store.day("trade", DATE)
            assert plain(rows_of(day).column("x")) == plain(pq.read_table(path).column("x"))
            require_published(day.stream, rows_of(day), Path(folder))

    check()


def refusal_of(store: HistoryStore, folder: Path) -> str | None:
    try:
        import_folder(store, folder)
    except SourceError as refused:
        return str(refused)
    return None


def require_published(stream: Stream, rows: pa.Table, folder: Path) -> None:
    """Nothing is left for a replay to refuse."""
    encoder = RowEncoder(stream, FileRegistry(folder / "schemas"), "t")
    assert encoder.records(rows.combine_chunks().to_batches()[0]).messages == rows.num_rows


def plain(values: pa.ChunkedArray) -> list[Any]:
    """Values that Python tells apart as exactly as Arrow does."""
    kind = values.type
    if isinstance(kind, pa.BaseExtensionType) and not isinstance(kind, pa.UuidType):
        return plain(values.cast(kind.storage_type))
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind) or pa.types.is_time64(kind):
        return [kind.unit, *values.cast(pa.int64()).to_pylist()]
    if pa.types.is_float16(kind):
        values = pc.cast(values, pa.float32())
    return [str(value) if isinstance(value, uuid.UUID) else _number(value) for value in values.to_pylist()]


def _number(value: Any) -> Any:
    if isinstance(value, float) and np.isnan(value):
        return "nan"
    return value.normalize() if isinstance(value, Decimal) else value
