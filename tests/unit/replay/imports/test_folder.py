"""The laws of importing a folder."""

import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from replay.errors import SourceError
from replay.imports.folder import import_folder
from replay.imports.report import ImportReport
from replay.store.days import HistoryStore
from tests.stage.days import DATE, NOON_NS, rows_of, write_file


def imported(tmp_path: Path, **options: Any) -> tuple[HistoryStore, ImportReport]:
    store = HistoryStore(tmp_path / "history")
    return store, import_folder(store, tmp_path / "data", **options)


def test_columns_pass_through_and_the_clock_is_renamed(tmp_path: Path) -> None:
    write_file(tmp_path / "data", "trades_1.parquet", price=[1.5], ts_ns=[NOON_NS], symbol=["A"], odd=[b"x"])
    store, _ = imported(tmp_path)
    rows = rows_of(store.day("trade", DATE))
    assert rows.schema.names == ["price", "event_ns", "symbol", "odd"]
    assert rows.to_pylist() == [{"price": 1.5, "event_ns": NOON_NS, "symbol": "A", "odd": b"x"}]


@pytest.mark.parametrize(("unit", "per_s"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
def test_a_timestamp_of_any_unit_becomes_exact_utc_nanoseconds(
    tmp_path: Path, unit: str, per_s: int, zone: str | None
) -> None:
    count = NOON_NS // 10**9 * per_s + (per_s - 1)
    times = pa.array([count], pa.int64()).cast(pa.timestamp(unit, zone))
    write_file(tmp_path / "data", "trades.parquet", event_ns=times, symbol=["A"])
    store, _ = imported(tmp_path, naive_as="UTC")
    assert rows_of(store.day("trade", DATE)).column("event_ns").to_pylist() == [count * (10**9 // per_s)]


def test_the_index_that_pandas_writes_without_a_name_is_a_column_and_no_clock(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("trades", "quotes"):
        (tmp_path / f"data/{name}.csv").write_text(
            ",event_ns,symbol\n0,2024-01-15T17:00:00Z,A\n1,2024-01-15T17:00:01Z,A\n"
        )
    store, report = imported(tmp_path)
    assert not report.refused
    assert rows_of(store.day("trade", "2024-01-15")).drop_columns("event_ns").to_pydict() == {
        "_": [0, 1],
        "symbol": ["A", "A"],
    }


def test_a_timestamp_beyond_int64_nanoseconds_is_refused(tmp_path: Path) -> None:
    times = pa.array([10**15], pa.int64()).cast(pa.timestamp("ms"))
    write_file(tmp_path / "data", "trades.parquet", event_ns=times, symbol=["A"])
    with pytest.raises(SourceError, match=r"trades\.parquet.*event_ns.*beyond int64"):
        imported(tmp_path, naive_as="UTC")


def test_a_session_is_one_day_even_when_it_crosses_midnight_utc(tmp_path: Path) -> None:
    late_ns = NOON_NS + 8 * 3_600 * 10**9  # 01:00 UTC of the next day, 20:00 in New York
    write_file(tmp_path / "data", "trades.parquet", event_ns=[NOON_NS, late_ns], symbol=["A", "A"])
    store, _ = imported(tmp_path)
    assert store.dates() == [DATE]
    in_utc = HistoryStore(tmp_path / "utc")
    import_folder(in_utc, tmp_path / "data", timezone="UTC")
    assert in_utc.dates() == [DATE, "2024-01-16"]


def test_rows_without_event_time_belong_to_the_day_they_were_known(tmp_path: Path) -> None:
    event_ns = pa.array([None, NOON_NS], pa.int64())
    write_file(
        tmp_path / "data",
        "quotes.parquet",
        event_ts_ns=event_ns,
        recv_ts_ns=[NOON_NS, NOON_NS + 1],
        symbol=["A", "A"],
    )
    store, _ = imported(tmp_path)
    rows = rows_of(store.day("quote", DATE))
    assert rows.column("event_ns").to_pylist() == [None, NOON_NS]
    assert rows.column("known_ns").to_pylist() == [NOON_NS, NOON_NS + 1]


def test_rows_are_kept_in_publish_order_and_ties_in_file_order(tmp_path: Path) -> None:
    known_ns = [NOON_NS + late for late in (5, 1, 5, 1)]
    write_file(
        tmp_path / "data",
        "trades.parquet",
        known_ns=known_ns,
        event_ns=[NOON_NS] * 4,
        symbol=["A"] * 4,
        n=[0, 1, 2, 3],
    )
    store, _ = imported(tmp_path)
    assert rows_of(store.day("trade", DATE)).column("n").to_pylist() == [1, 3, 0, 2]


def test_bad_rows_are_named_by_file_and_row_and_left_out(tmp_path: Path) -> None:
    write_file(
        tmp_path / "data",
        "trades.parquet",
        event_ns=pa.array([NOON_NS, None, -1, NOON_NS, 2**62 + 2**61 + 2**60], pa.int64()),
        symbol=["A", "A", "A", None, "A"],
    )
    store, report = imported(tmp_path)
    assert store.day("trade", DATE).rows == 1
    bounds = "event_ns not between 1970-03-26 and 2200-01-01"
    assert report.refused == {
        ("trade", "no event_ns"): 1,
        ("trade", "null symbol"): 1,
        ("trade", bounds): 2,
    }
    assert sorted(report.examples) == [
        "trades.parquet row 2: no event_ns",
        f"trades.parquet row 3: {bounds} (-1)",
        "trades.parquet row 4: null symbol",
        f"trades.parquet row 5: {bounds}",
    ]


def test_the_same_files_are_imported_once_and_changed_ones_again(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    write_file(folder, "trades.parquet", event_ns=[NOON_NS], symbol=["A"])
    store, first = imported(tmp_path)
    part = store.day("trade", DATE).summary.parts
    _, second = imported(tmp_path)
    assert [day.written for day in (*first.days, *second.days)] == [True, False]
    assert store.day("trade", DATE).summary.parts == part
    write_file(folder, "trades.parquet", event_ns=[NOON_NS, NOON_NS], symbol=["A", "B"])
    _, third = imported(tmp_path)
    assert [day.rows for day in third.days if day.written] == [2]


def test_a_day_has_the_columns_of_every_file_with_rows_of_it(tmp_path: Path) -> None:
    day_ns = 86_400 * 10**9
    write_file(tmp_path / "data", "trades_a.parquet", event_ns=[NOON_NS], symbol=["A"], price=[1.0])
    write_file(
        tmp_path / "data",
        "trades_b.parquet",
        event_ns=[NOON_NS, NOON_NS + day_ns],
        symbol=["B", "B"],
        size=[7, 8],
    )
    store, _ = imported(tmp_path)
    assert rows_of(store.day("trade", DATE)).to_pylist() == [
        {"event_ns": NOON_NS, "symbol": "A", "price": 1.0, "size": None},
        {"event_ns": NOON_NS, "symbol": "B", "price": None, "size": 7},
    ]
    assert store.day("trade", "2024-01-16").stream.schema.names == ["event_ns", "symbol", "size"]


def test_one_column_of_two_types_in_one_day_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    write_file(tmp_path / "data", "trades_a.parquet", event_ns=[NOON_NS], symbol=["A"], size=[1.0])
    write_file(tmp_path / "data", "trades_b.parquet", event_ns=[NOON_NS], symbol=["A"], size=[1])
    with pytest.raises(SourceError, match=r"'size' is double in .*trades_a.* and int64 in .*trades_b"):
        imported(tmp_path)
    assert not (tmp_path / "history").exists()


BROKEN_TEXT = pa.Array.from_buffers(pa.string(), 1, [None, *pa.array([b"\xff"]).buffers()[1:]])
FAR = pa.array([10**12], pa.int64()).cast(pa.timestamp("s"))
WRONG = {
    "text": ("venue", pa.array(["x"]), BROKEN_TEXT),
    "sequence": ("sequence", pa.array([1], pa.uint64()), pa.array([2**63], pa.uint64())),
    "cast": ("expiry", pa.array([1], pa.timestamp("s")), FAR),
}


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(("column", "right", "wrong"), WRONG.values(), ids=list(WRONG))
def test_what_is_wrong_on_the_last_day_leaves_the_first_as_it_was_and_a_dry_run_says_so(
    tmp_path: Path, column: str, right: pa.Array, wrong: pa.Array, dry_run: bool
) -> None:
    data, later = tmp_path / "data", NOON_NS + 86_400 * 10**9
    write_file(data, "trades_0.parquet", event_ns=[NOON_NS], symbol=["before"])
    store, _ = imported(tmp_path)
    before = contents(Path(str(store.root)))
    write_file(data, "trades_0.parquet", event_ns=[NOON_NS], symbol=["A"], **{column: right})
    write_file(data, "trades_1.parquet", event_ns=[later], symbol=["A"], **{column: wrong})
    if column == "expiry":
        finer = right.cast(pa.timestamp("ns"))
        write_file(data, "trades_2.parquet", event_ns=[later], symbol=["A"], expiry=finer)
    with pytest.raises(SourceError, match=f"column '{column}'"):
        imported(tmp_path, dry_run=dry_run)
    assert contents(Path(str(store.root))) == before


def contents(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_market_beside_symbol_makes_the_instrument(tmp_path: Path) -> None:
    columns = {"event_ns": [NOON_NS, NOON_NS], "market": ["spot", "usdm"], "symbol": ["BTC", "BTC"]}
    write_file(tmp_path / "data", "trades.parquet", **columns)
    store, report = imported(tmp_path)
    assert store.day("trade", DATE).stream.key == ("market", "symbol")
    assert store.day("trade", DATE).summary.keys == 2
    assert any("market:symbol" in note for note in report.notes)
    imported(tmp_path, symbol="symbol")
    assert store.day("trade", DATE).stream.key == ("symbol",)


def test_market_in_some_files_only_is_a_column_like_any_other(tmp_path: Path) -> None:
    write_file(tmp_path / "data", "trades.parquet", event_ns=[NOON_NS], market=["spot"], symbol=["BTC"])
    write_file(tmp_path / "data", "quotes.parquet", event_ns=[NOON_NS], symbol=["BTC"])
    store, _ = imported(tmp_path)
    assert {store.day(name, DATE).stream.key for name in ("trade", "quote")} == {("symbol",)}


def test_a_sequence_column_orders_equal_times(tmp_path: Path) -> None:
    write_file(tmp_path / "data", "trades.parquet", event_ns=[NOON_NS], symbol=["A"], sequence=[4])
    store, _ = imported(tmp_path)
    assert store.day("trade", DATE).stream.sequence == "sequence"


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"symbol": ["A"], "price": [1.0]}, r"no time column.*symbol, price"),
        ({"event_ns": [1.5], "symbol": ["A"]}, r"'event_ns' is double, expected int64"),
        ({"event_ns": [NOON_NS]}, r"no column 'symbol'"),
        ({"event_ns": [NOON_NS], "symbol": [7]}, r"'symbol' is int64, expected string"),
        (
            {"event_ns": pa.array([None], pa.int64()), "symbol": ["A"]},
            r"no row can be imported.*row 1: no event_ns",
        ),
    ],
)
def test_a_file_that_cannot_be_a_stream_is_named_with_what_was_expected(
    tmp_path: Path, columns: dict[str, Any], said: str
) -> None:
    write_file(tmp_path / "data", "trades.parquet", **columns)
    with pytest.raises(SourceError, match=said):
        imported(tmp_path)
    assert not (tmp_path / "history").exists()


def test_columns_named_outright_are_the_clocks(tmp_path: Path) -> None:
    write_file(tmp_path / "data", "trades.parquet", ts_ns=[1], seen=[NOON_NS + 1], at=[NOON_NS], symbol=["A"])
    store, _ = imported(tmp_path, event="at", known="seen")
    assert rows_of(store.day("trade", DATE)).to_pylist() == [
        {"ts_ns": 1, "known_ns": NOON_NS + 1, "event_ns": NOON_NS, "symbol": "A"}
    ]


def test_a_folder_without_files_and_no_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is not a folder"):
        imported(tmp_path)
    (tmp_path / "data").mkdir()
    with pytest.raises(SourceError, match="neither"):
        imported(tmp_path)


def test_a_file_that_is_not_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "trades.parquet").write_bytes(b"not this")
    with pytest.raises(SourceError, match=r"trades\.parquet cannot be read as Parquet"):
        imported(tmp_path)


def test_dbn_without_the_library_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "databento_dbn", None)
    path = tmp_path / "data" / "trades.dbn"
    path.parent.mkdir()
    path.write_bytes(b"DBN\x03")
    with pytest.raises(SourceError) as refused:
        import_folder(HistoryStore(tmp_path / "history"), tmp_path / "data")
    text = f"{path} is DBN, which Databento's library reads: pip install databento-dbn"
    assert str(refused.value).startswith(text)


def test_a_folder_without_trades_says_that_no_day_of_it_can_be_replayed(tmp_path: Path) -> None:
    write_file(tmp_path / "data", "quotes.parquet", event_ns=[NOON_NS], symbol=["A"])
    _, report = imported(tmp_path)
    assert "trade: no file is named trades*, and no day can be replayed without" in report.lines()
    write_file(tmp_path / "data", "trades.parquet", event_ns=[NOON_NS], symbol=["A"])
    _, report = imported(tmp_path)
    assert not any("no day can be replayed" in line for line in report.lines())
