"""The laws of times at import: each unit, zone and mark for no time is taken for what it is, or named."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from replay.errors import HistoryError, SourceError
from replay.imports.folder import import_folder
from replay.imports.report import ImportReport
from replay.imports.units import LOWER_NS, PER_UNIT, UPPER_NS, units_of
from replay.store.days import HistoryStore
from schemas.clocks import SOURCE, ZONE
from tests.stage.days import DATE, NOON_NS, rows_of, write_file

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
FAR_DAYS = 2_932_896  # 9999-12-31


def imported(tmp_path: Path, **options: Any) -> tuple[HistoryStore, ImportReport]:
    store = HistoryStore(tmp_path / "history")
    return store, import_folder(store, tmp_path / "data", **options)


def wall_times(unit: str, *texts: str) -> pa.Array:
    return pa.array(texts).cast(pa.timestamp(unit))


def event_times(store: HistoryStore, stream: str = "trade") -> list[int | None]:
    times: list[int | None] = rows_of(store.day(stream, DATE)).column("event_ns").to_pylist()
    return times


@pytest.mark.parametrize(("unit", "word"), [("us", "microseconds"), ("ms", "milliseconds"), ("s", "seconds")])
@pytest.mark.parametrize("column", ["event_ns", "known_ns"])
def test_a_count_of_another_unit_is_named_with_the_flag_that_reads_it(
    tmp_path: Path, unit: str, word: str, column: str
) -> None:
    count = NOON_NS // PER_UNIT[unit]
    clocks = {"event_ns": [NOON_NS, NOON_NS], "known_ns": [NOON_NS, NOON_NS]} | {column: [NOON_NS, count]}
    write_file(tmp_path / "data", "trades.parquet", **clocks, symbol=["A", "B"])
    store, report = imported(tmp_path)
    assert store.day("trade", DATE).rows == 1
    (line,) = (line for line in report.lines() if "not imported" in line)
    assert line.startswith(
        f"trade: 1 rows not imported: trades.parquet: {column} is in {word}, not nanoseconds"
    )
    assert f"--unit {unit}" in line
    assert f"row 2: {column}" in report.examples[0]
    assert f"({count}, which is 1970-01-" in report.examples[0]
    assert f"and {DATE} in {word})" in report.examples[0]


@pytest.mark.parametrize("unit", ["us", "ms", "s"])
def test_a_file_in_another_unit_is_refused_until_the_unit_is_stated(tmp_path: Path, unit: str) -> None:
    per = PER_UNIT[unit]
    write_file(tmp_path / "data", "trades.parquet", event_ns=[NOON_NS // per] * 2, symbol=["A", "B"])
    with pytest.raises(SourceError, match=rf"trades\.parquet: .*--unit {unit}.*2 of 2 rows.*row 1 holds"):
        imported(tmp_path)
    assert not (tmp_path / "history").exists()
    store, _ = imported(tmp_path, unit=unit)
    assert event_times(store) == [NOON_NS // per * per] * 2


def test_units_mixed_in_one_file_are_told_apart_by_size(tmp_path: Path) -> None:
    counts = [NOON_NS // per for per in PER_UNIT.values()]
    write_file(tmp_path / "data", "trades.parquet", event_ns=counts, symbol=["A"] * 4)
    store, report = imported(tmp_path, unit="auto")
    assert event_times(store) == [NOON_NS] * 4
    assert not report.refused
    _, stated = imported(tmp_path, unit="us")
    assert sum(stated.refused.values()) == 3


@pytest.mark.parametrize("mark", [0, INT64_MIN, INT64_MAX])
def test_a_mark_for_no_time_is_no_time(tmp_path: Path, mark: int) -> None:
    data = tmp_path / "data"
    write_file(data, "trades.parquet", event_ns=[NOON_NS, mark], symbol=["A", "A"])
    write_file(
        data, "quotes.parquet", event_ns=[NOON_NS, mark], known_ns=[NOON_NS, NOON_NS], symbol=["A", "A"]
    )
    store, report = imported(tmp_path)
    assert store.day("trade", DATE).rows == 1
    assert report.refused == {("trade", "no event_ns: 0 and the ends of int64 are no time"): 1}
    assert event_times(store, "quote") == [NOON_NS, None]
    assert "quotes.parquet: event_ns of 1 rows is 0 or an end of int64, which is no time" in report.lines()


@pytest.mark.parametrize("kind", [pa.uint64(), pa.int64()])
def test_whole_numbers_of_any_type_are_times(tmp_path: Path, kind: pa.DataType) -> None:
    write_file(tmp_path / "data", "trades.parquet", event_ns=pa.array([NOON_NS], kind), symbol=["A"])
    store, _ = imported(tmp_path)
    assert event_times(store) == [NOON_NS]


def test_times_without_a_zone_are_refused_until_one_is_stated(tmp_path: Path) -> None:
    wall = wall_times("us", "2024-01-15 12:00")
    write_file(tmp_path / "data", "trades.parquet", event_ns=wall, symbol=["A"])
    with pytest.raises(
        SourceError, match=r"'event_ns' of .*trades\.parquet is timestamp\[us\] without.*--naive-as"
    ):
        imported(tmp_path)
    store, _ = imported(tmp_path, naive_as="America/New_York")
    assert event_times(store) == [NOON_NS]
    with pytest.raises(HistoryError, match="'Mars' is not a time zone"):
        imported(tmp_path, naive_as="Mars")


@pytest.mark.parametrize(("naive", "zoned"), [("trades", "quotes"), ("quotes", "trades")])
def test_times_without_a_zone_beside_times_with_one_are_refused_and_both_named(
    tmp_path: Path, naive: str, zoned: str
) -> None:
    wall = wall_times("ns", "2024-01-15 12:00")
    data = tmp_path / "data"
    write_file(data, f"{naive}.parquet", event_ns=wall, symbol=["A"])
    there = pa.array([NOON_NS], pa.int64()).cast(pa.timestamp("ns", "America/New_York"))
    write_file(data, f"{zoned}.parquet", event_ns=there, symbol=["A"])
    with pytest.raises(SourceError) as refused:
        imported(tmp_path)
    for part in (
        f"{naive}.parquet is timestamp[ns] without",
        f"{zoned}.parquet is timestamp[ns, tz=America/New_York]",
    ):
        assert part in str(refused.value)
    assert not (tmp_path / "history").exists()
    store, _ = imported(tmp_path, naive_as="America/New_York")
    assert event_times(store) == event_times(store, "quote") == [NOON_NS]


def test_a_wall_time_that_comes_twice_or_never_is_named(tmp_path: Path) -> None:
    walls = wall_times("us", "2024-11-03 01:30", "2024-03-10 02:30", "2024-01-15 12:00")
    write_file(tmp_path / "data", "trades.parquet", event_ns=walls, symbol=["A"] * 3)
    store, report = imported(tmp_path, naive_as="America/New_York")
    assert event_times(store) == [NOON_NS]
    reason = "event_ns is no single moment in America/New_York, where clocks were changed"
    assert report.refused == {("trade", reason): 2}
    assert report.examples[0] == f"trades.parquet row 1: {reason} (2024-11-03T01:30:00.000000000)"


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("2024-01-15T17:00:00Z", {}),
        ("2024-01-15 12:00:00.000000000-05:00", {}),
        ("2024-01-15 12:00:00", {"naive_as": "America/New_York"}),
        ("15.01.2024 12:00:00.000", {"naive_as": "America/New_York", "time_format": "%d.%m.%Y %H:%M:%S.%f"}),
        ("20240115 17:00:00.0+0000", {"time_format": "%Y%m%d %H:%M:%S%.f%z"}),
    ],
)
def test_text_is_a_time_in_iso_8601_or_as_stated(tmp_path: Path, text: str, options: dict[str, Any]) -> None:
    write_file(tmp_path / "data", "trades.parquet", event_ns=[text, "soon"], symbol=["A", "B"])
    store, report = imported(tmp_path, **options)
    assert event_times(store) == [NOON_NS]
    assert sum(report.refused.values()) == 1
    assert "row 2" in report.examples[0]
    assert "'soon'" in report.examples[0]


def test_fractions_of_text_are_exact(tmp_path: Path) -> None:
    write_file(tmp_path / "data", "trades.parquet", event_ns=["15.01.2024 17:00:00.000000123"], symbol=["A"])
    store, _ = imported(tmp_path, naive_as="UTC", time_format="%d.%m.%Y %H:%M:%S.%f")
    assert event_times(store) == [NOON_NS + 123]


def test_text_without_a_zone_is_refused_and_so_is_text_that_is_none(tmp_path: Path) -> None:
    write_file(tmp_path / "data", "trades.parquet", event_ns=["2024-01-15 12:00"], symbol=["A"])
    with pytest.raises(SourceError, match="is text without a time zone"):
        imported(tmp_path)
    write_file(
        tmp_path / "data", "trades.parquet", event_ns=["soon", "2024-13-01T00:00:00Z"], symbol=["A", "B"]
    )
    with pytest.raises(SourceError, match=r"not a time in ISO 8601.*2 of 2 rows.*'soon'"):
        imported(tmp_path, naive_as="UTC")


def write_int96(folder: Path, name: str, **columns: pa.Array) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / name, use_deprecated_int96_timestamps=True)


def int96_with(column: str, values: list[int]) -> dict[str, pa.Array]:
    """Columns of a file in which one has INT96 times, given in ns and written as they are."""
    rows = {"event_ns": pa.array([NOON_NS] * len(values)), "symbol": pa.array(["A"] * len(values))}
    return rows | {column: pa.array(values, pa.int64()).cast(pa.timestamp("ns"))}


@pytest.mark.parametrize("far_ns", [NOON_NS, 9_223_372_036 * 10**9, 2**63 - 1, -(2**63) + 1])
def test_int96_within_nanoseconds_keeps_them(tmp_path: Path, far_ns: int) -> None:
    values = [NOON_NS + 123, far_ns]
    write_int96(tmp_path / "data", "trades.parquet", **int96_with("expiry", values))
    store, _ = imported(tmp_path)
    expiry = rows_of(store.day("trade", DATE)).column("expiry")
    assert (expiry.type, expiry.cast(pa.int64()).to_pylist()) == (pa.timestamp("ns"), values)


def test_an_int96_clock_has_no_zone(tmp_path: Path) -> None:
    write_int96(tmp_path / "data", "trades.parquet", **int96_with("event_ns", [NOON_NS + 123]))
    with pytest.raises(SourceError, match="--naive-as"):
        imported(tmp_path)
    store, _ = imported(tmp_path, naive_as="UTC")
    assert event_times(store) == [NOON_NS + 123]


def patched_int96(path: Path, old_ns: int, days: int, nanos: int = 0) -> None:
    """Change a time in an uncompressed file to one that no int64 of nanoseconds holds (Julian day and ns)."""
    day, rest = divmod(old_ns, 86_400 * 10**9)
    raw = path.read_bytes()
    old = int(rest).to_bytes(8, "little") + int(day + 2_440_588).to_bytes(4, "little")
    assert raw.count(old) == 1
    path.write_bytes(raw.replace(old, nanos.to_bytes(8, "little") + days.to_bytes(4, "little")))


@pytest.mark.parametrize("column", ["expiry", "event_ns"])
def test_int96_beyond_nanoseconds_keeps_its_value_or_is_refused_by_name(tmp_path: Path, column: str) -> None:
    def written(values: list[int], days: int) -> None:
        (tmp_path / "data").mkdir(exist_ok=True)
        pq.write_table(
            pa.table(int96_with(column, values)),
            tmp_path / "data" / "trades.parquet",
            use_deprecated_int96_timestamps=True,
            compression="none",
            use_dictionary=False,
            write_statistics=False,
        )
        patched_int96(tmp_path / "data" / "trades.parquet", values[0], days)

    far = FAR_DAYS + 2_440_588
    written([NOON_NS + 1, NOON_NS], far)
    if column == "expiry":
        store, _ = imported(tmp_path)
        values = rows_of(store.day("trade", DATE)).column("expiry")
        assert values.type == pa.timestamp("us")
        assert values.cast(pa.int64()).to_pylist() == [FAR_DAYS * 86_400 * 10**6, NOON_NS // 1000]
    else:
        with pytest.raises(SourceError, match=r"'event_ns'.*beyond int64 ns"):
            imported(tmp_path, naive_as="UTC")
    written([NOON_NS + 1, NOON_NS + 2], far)
    with pytest.raises(SourceError, match=f"'{column}'.*INT96.*microseconds cannot hold.*--drop {column}"):
        imported(tmp_path, naive_as="UTC")
    written([NOON_NS + 1, NOON_NS], 2**31 - 1)
    with pytest.raises(SourceError, match=f"'{column}'.*INT96.*beyond int64 microseconds"):
        imported(tmp_path, naive_as="UTC")


INTEGERS = [getattr(pa, f"{sign}int{bits}")() for sign in ("", "u") for bits in (8, 16, 32, 64)]


@pytest.mark.parametrize("kind", INTEGERS, ids=str)
def test_a_sequence_of_any_whole_number_orders_rows(tmp_path: Path, kind: pa.DataType) -> None:
    numbers = pa.array([2, 1], kind)
    write_file(
        tmp_path / "data", "trades.parquet", event_ns=[NOON_NS] * 2, symbol=["A"] * 2, sequence=numbers
    )
    store, _ = imported(tmp_path)
    stream = store.day("trade", DATE).stream
    assert (stream.sequence, stream.schema.field("sequence").type) == ("sequence", pa.int64())
    assert rows_of(store.day("trade", DATE)).column("sequence").to_pylist() == [2, 1]


def test_a_sequence_beyond_int64_is_refused_and_one_of_text_is_named(tmp_path: Path) -> None:
    rows: dict[str, Any] = {"event_ns": [NOON_NS], "symbol": ["A"]}
    write_file(tmp_path / "data", "trades.parquet", **rows, sequence=pa.array([2**63], pa.uint64()))
    with pytest.raises(SourceError, match=r"trades\.parquet: column 'sequence' \(uint64\).*--rename"):
        imported(tmp_path)
    write_file(tmp_path / "data", "trades.parquet", **rows, sequence=["7"])
    store, report = imported(tmp_path)
    assert store.day("trade", DATE).stream.sequence is None
    assert "trades.parquet: sequence is string, no whole number: it does not order rows" in report.notes


def test_what_2200_is_in_a_unit_is_where_the_next_finer_unit_begins() -> None:
    for code, per in enumerate(PER_UNIT.values()):
        lower, upper = -(-LOWER_NS // per), UPPER_NS // per
        codes = units_of(np.array([lower, upper - 1, upper], dtype=np.int64)).tolist()
        assert codes == [code, code, code + 1 if per > 1 else -1]


@pytest.mark.parametrize(("kind", "options"), [("zoned", {}), ("naive", {"naive_as": "America/New_York"})])
def test_the_history_keeps_the_name_and_the_zone_of_a_clocks_source(
    tmp_path: Path, kind: str, options: dict[str, str]
) -> None:
    moments = pa.array([NOON_NS], pa.timestamp("ns", "America/New_York" if kind == "zoned" else None))
    write_file(tmp_path / "data", "trades.parquet", Time=moments, symbol=["A"])
    store, _ = imported(tmp_path, event="Time", timezone="UTC", **options)
    source = store.day("trade", store.dates()[0]).stream.schema.field("event_ns").metadata
    assert source.items() >= {SOURCE: b"Time", ZONE: b"America/New_York"}.items()
