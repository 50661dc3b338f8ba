"""The laws of DBN files: columns as the vendor's `to_df` names them, clocks that are true, or an error."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from replay.cli import main
from replay.errors import SourceError
from replay.imports import dbn as reader
from replay.imports.folder import import_folder
from replay.imports.report import ImportReport
from replay.store.days import HistoryStore
from tests.stage.days import DATE, NOON_NS, rows_of, write_file

dbn: Any = pytest.importorskip("databento_dbn", reason="databento-dbn is not installed")

S = 10**9
UNIT = 10**9  # of prices
NO_TIME, NO_PRICE = 2**64 - 1, 2**63 - 1
MAPPINGS = {
    "AAPL": [(date(2024, 1, 1), date(2024, 1, 16), "7")],
    "MSFT": [(date(2024, 1, 1), date(2024, 2, 1), "8"), (date(2024, 2, 1), date(2024, 3, 1), "7")],
}


def header(schema: Any, **fields: Any) -> bytes:
    mappings = [
        SimpleNamespace(
            raw_symbol=name,
            intervals=[
                SimpleNamespace(start_date=lower, end_date=upper, symbol=symbol)
                for lower, upper, symbol in intervals
            ],
        )
        for name, intervals in MAPPINGS.items()
    ]
    defaults = {
        "dataset": "XNAS.ITCH",
        "start": NOON_NS,
        "stype_in": dbn.SType.RAW_SYMBOL,
        "stype_out": dbn.SType.INSTRUMENT_ID,
        "schema": schema,
        "mappings": mappings,
        "version": 3,
    }
    encoded: bytes = dbn.Metadata(**defaults | fields).encode()
    return encoded


def trade(after_ns: int = 0, **fields: Any) -> Any:
    defaults = {
        "publisher_id": 2,
        "instrument_id": 7,
        "ts_event": NOON_NS + after_ns,
        "price": 150 * UNIT,
        "size": 100,
        "action": dbn.Action.TRADE,
        "side": dbn.Side.BID,
        "depth": 0,
        "ts_recv": NOON_NS + after_ns + 5,
        "flags": 128,
        "ts_in_delta": -3,
        "sequence": 11,
    }
    return dbn.TradeMsg(**defaults | fields)


def put(tmp_path: Path, name: str, schema: Any, records: Sequence[Any], **fields: Any) -> Path:
    path = tmp_path / "data" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    data = header(schema, **fields) + b"".join(map(bytes, records))
    if name.endswith(".zst"):
        with pa.CompressedOutputStream(str(path), "zstd") as packed:
            packed.write(data)
    else:
        path.write_bytes(data)
    return path


def imported(tmp_path: Path, **options: Any) -> tuple[HistoryStore, ImportReport]:
    store = HistoryStore(tmp_path / "history")
    return store, import_folder(store, tmp_path / "data", **options)


def trades_of(tmp_path: Path, **options: Any) -> pa.Table:
    store, _ = imported(tmp_path, **options)
    return rows_of(store.day("trade", DATE))


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("name", ["trades.dbn", "trades.dbn.zst"])
def test_trades_become_columns_with_their_values(tmp_path: Path, name: str, version: int) -> None:
    records = [trade(), trade(1, instrument_id=8, price=NO_PRICE, side=dbn.Side.NONE, sequence=2**32 - 1)]
    put(tmp_path, name, dbn.Schema.TRADES, records, version=version)
    store, report = imported(tmp_path)
    rows = rows_of(store.day("trade", DATE))
    kinds = {field.name: str(field.type) for field in rows.schema}
    assert kinds == {
        "known_ns": "int64",
        "event_ns": "int64",
        "rtype": "uint8",
        "publisher_id": "uint16",
        "instrument_id": "uint32",
        "action": "string",
        "side": "string",
        "depth": "uint8",
        "price": "double",
        "size": "uint32",
        "flags": "uint8",
        "ts_in_delta": "int32",
        "sequence": "int64",
        "symbol": "string",
    }
    first = [NOON_NS + 5, NOON_NS, 0, 2, 7, "T", "B", 0, 150.0, 100, 128, -3, 11, "AAPL"]
    second = [NOON_NS + 6, NOON_NS + 1, 0, 2, 8, "T", "N", 0, None, 100, 128, -3, 2**32 - 1, "MSFT"]
    assert [list(row.values()) for row in rows.to_pylist()] == [first, second]
    assert report.notes[:3] == [
        f"{name}: ts_event is event_ns",
        f"{name}: ts_recv is known_ns",
        f"{name}: sequence is uint32, kept as int64",
    ]


def test_what_a_file_holds_counts_and_not_what_its_name_says_of_packing(tmp_path: Path) -> None:
    put(tmp_path, "trades.dbn.zst", dbn.Schema.TRADES, [trade()]).rename(tmp_path / "data" / "trades_1.dbn")
    put(tmp_path, "trades.dbn", dbn.Schema.TRADES, [trade()]).rename(tmp_path / "data" / "trades_2.dbn.zst")
    assert trades_of(tmp_path).num_rows == 2


def test_a_price_is_the_double_nearest_to_its_decimal(tmp_path: Path) -> None:
    units = [1, 123_456_789, 2**53, 2**53 + 1, 68_123_456_250_000_001, 2**63 - 2, -(2**63), -1]
    put(tmp_path, "trades.dbn", dbn.Schema.TRADES, [trade(price=price) for price in units])
    assert trades_of(tmp_path).column("price").to_pylist() == [price / UNIT for price in units]


def test_a_symbol_is_the_one_of_the_day_on_which_a_row_came_in(tmp_path: Path) -> None:
    midnight_ns = NOON_NS + 7 * 3600 * S  # UTC; still the same day in New York
    records = [
        trade(ts_event=midnight_ns - 2, ts_recv=midnight_ns - 1),
        trade(ts_event=midnight_ns - 1, ts_recv=midnight_ns),
        trade(ts_event=midnight_ns, ts_recv=NO_TIME),
        trade(ts_event=midnight_ns, ts_recv=midnight_ns, instrument_id=8),
    ]
    put(tmp_path, "trades.dbn", dbn.Schema.TRADES, records)
    store, report = imported(tmp_path)
    rows = rows_of(store.day("trade", DATE))
    assert rows.column("symbol").to_pylist() == ["AAPL", "7", "7", "MSFT"]
    assert rows.column("known_ns").to_pylist()[2] is None
    text = "trades.dbn: instrument_id 7 has no symbol on its day: in 2 rows symbol is the id"
    assert text in report.notes


def test_a_row_without_any_time_is_set_aside_and_named(tmp_path: Path) -> None:
    records = [
        trade(),
        trade(ts_event=NO_TIME, ts_recv=NO_TIME),
        trade(ts_event=NO_TIME),
        trade(ts_event=2**63 + 5, ts_recv=NO_TIME),
        trade(ts_event=0, ts_recv=NO_TIME),
    ]
    put(tmp_path, "trades.dbn", dbn.Schema.TRADES, records)
    store, report = imported(tmp_path)
    assert store.day("trade", DATE).rows == 2
    assert sum(report.refused.values()) == 3


def test_a_sampled_quote_is_of_the_moment_at_which_it_was_sampled(tmp_path: Path) -> None:
    levels = dbn.BidAskPair(149 * UNIT, NO_PRICE, 1, 0, 1, 0)
    quote = dbn.BBOMsg(195, 2, 7, NO_TIME, NO_PRICE, 0, dbn.Side.NONE, NOON_NS, levels=levels)
    earlier = dbn.BBOMsg(
        195, 2, 7, NOON_NS - 90 * S, 5 * UNIT, 1, dbn.Side.ASK, NOON_NS + S, levels=levels, sequence=9
    )
    put(tmp_path, "quotes.dbn", dbn.Schema.BBO_1S, [quote, earlier])
    put(tmp_path, "trades.dbn", dbn.Schema.TRADES, [trade()])
    store, report = imported(tmp_path)
    rows = rows_of(store.day("quote", DATE))
    for clock in ("event_ns", "known_ns"):
        assert rows.column(clock).to_pylist() == [NOON_NS, NOON_NS + S]
    assert rows.column("ts_event").cast(pa.int64()).to_pylist() == [None, NOON_NS - 90 * S]
    assert rows.column("bid_px_00").to_pylist() == [149.0, 149.0]
    assert rows.column("ask_px_00").to_pylist() == [None, None]
    assert any("event_ns is ts_recv" in note for note in report.notes)


@pytest.mark.parametrize(
    ("schema", "rtype", "seconds"), [("1s", 32, 1), ("1m", 33, 60), ("1h", 34, 3600), ("1m", 17, 60)]
)
def test_a_bar_is_known_at_its_end(tmp_path: Path, schema: str, rtype: int, seconds: int) -> None:
    bar = dbn.OHLCVMsg(rtype, 2, 7, NOON_NS, UNIT, 3 * UNIT, UNIT // 2, 2 * UNIT, 2**64 - 1)
    put(tmp_path, "trades.dbn", dbn.Schema.from_str(f"ohlcv-{schema}"), [bar])
    store, report = imported(tmp_path)
    (row,) = rows_of(store.day("trade", DATE)).to_pylist()
    assert (row["event_ns"], row["known_ns"]) == (NOON_NS, NOON_NS + seconds * S)
    assert [row[name] for name in ("open", "high", "low", "close", "volume")] == [1, 3, 0.5, 2, 2**64 - 1]
    text = f"trades.dbn: known_ns is the end of a bar, {seconds:,} s after ts_event, its beginning"
    assert text in report.notes
    _, report = imported(tmp_path, drop=["known_ns"], replace=True)
    assert "known_ns" not in rows_of(store.day("trade", DATE)).schema.names


@pytest.mark.parametrize(
    "schema",
    [schema.value for schema in dbn.Schema.variants()],
)
def test_a_schema_is_read_or_refused_by_name(tmp_path: Path, schema: str) -> None:
    put(tmp_path, "trades.dbn", dbn.Schema.TRADES, [trade()])
    path = put(tmp_path, "quotes.dbn", dbn.Schema.from_str(schema), [])
    if schema in ("definition", "statistics", "status", "imbalance"):
        with pytest.raises(SourceError) as refused:
            imported(tmp_path)
        assert str(refused.value).startswith(f"{path} has the schema {schema} of DBN version 3, which is not")
    else:
        _, report = imported(tmp_path)
        assert "quotes.dbn: no rows" in report.notes


def test_a_recording_of_several_kinds_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path, "trades.dbn", None, [trade()], stype_in=None)
    with pytest.raises(SourceError, match="several kinds of record") as refused:
        imported(tmp_path)
    assert str(path) in str(refused.value)


def test_a_record_of_another_kind_than_the_header_says_is_named(tmp_path: Path) -> None:
    bar = dbn.OHLCVMsg(33, 2, 7, NOON_NS, UNIT, UNIT, UNIT, UNIT, 1)
    put(tmp_path, "trades.dbn", dbn.Schema.TRADES, [trade(), bar])
    text = r"trades\.dbn: record 2 is of type 33 and 56 bytes, not of trades"
    with pytest.raises(SourceError, match=text):
        imported(tmp_path)


def test_a_file_that_is_cut_off_is_named(tmp_path: Path) -> None:
    path = put(tmp_path, "trades.dbn", dbn.Schema.TRADES, [trade(), trade()])
    whole = path.read_bytes()
    begin = len(header(dbn.Schema.TRADES))
    for size in range(len(whole)):
        if size in (begin, begin + 48):
            continue  # between two records: the format has no count
        path.write_bytes(whole[:size])
        with pytest.raises(SourceError, match=r"cut off|is empty|is no DBN file") as refused:
            imported(tmp_path)
        assert str(path) in str(refused.value)


def test_a_packed_file_that_is_cut_off_is_named(tmp_path: Path) -> None:
    path = put(tmp_path, "trades.dbn.zst", dbn.Schema.TRADES, [trade(), trade()])
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(SourceError) as refused:
            imported(tmp_path)
        assert str(path) in str(refused.value)


def test_a_version_that_the_library_does_not_know_is_named(tmp_path: Path) -> None:
    path = put(tmp_path, "trades.dbn", dbn.Schema.TRADES, [trade()])
    path.write_bytes(b"DBN\x63" + path.read_bytes()[4:])
    with pytest.raises(SourceError, match=r"trades\.dbn is DBN of version 99, and its header"):
        imported(tmp_path)


def test_a_byte_that_is_no_letter_is_named(tmp_path: Path) -> None:
    path = put(tmp_path, "trades.dbn", dbn.Schema.TRADES, [trade()])
    data = bytearray(path.read_bytes())
    data[len(header(dbn.Schema.TRADES)) + 28] = 200
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"trades\.dbn cannot be read as DBN: action has the byte 200"):
        imported(tmp_path)


def test_a_file_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "BATCH_ROWS", 3)
    monkeypatch.setattr(reader, "READ_SIZE", 50)
    put(tmp_path, "trades.dbn.zst", dbn.Schema.TRADES, [trade(number, size=number) for number in range(10)])
    assert trades_of(tmp_path).column("size").to_pylist() == list(range(10))


def test_the_gateways_clock_is_a_column(tmp_path: Path) -> None:
    put(tmp_path, "trades.dbn", dbn.Schema.TRADES, [trade(ts_out=NOON_NS + 9)], ts_out=True)
    assert trades_of(tmp_path).column("ts_out").cast(pa.int64()).to_pylist() == [NOON_NS + 9]


def test_columns_are_chosen_as_of_any_file(tmp_path: Path) -> None:
    put(tmp_path, "trades.dbn", dbn.Schema.TRADES, [trade()])
    names = trades_of(tmp_path, drop=["rtype", "ts_recv"], rename=["size=quantity"]).schema.names
    assert not {"rtype", "ts_recv", "known_ns", "size"} & set(names)
    assert "quantity" in names
    names = trades_of(tmp_path, keep="price", replace=True).schema.names
    assert names == ["known_ns", "event_ns", "price", "sequence", "symbol"]


def test_an_option_names_another_clock(tmp_path: Path) -> None:
    put(tmp_path, "trades.dbn", dbn.Schema.TRADES, [trade()])
    rows = trades_of(tmp_path, event="ts_recv", known="ts_event")
    assert rows.column("event_ns").to_pylist() == [NOON_NS + 5]


def test_ids_may_name_the_instrument(tmp_path: Path) -> None:
    put(tmp_path, "trades.dbn", dbn.Schema.TRADES, [trade()])
    store, _ = imported(tmp_path, symbol="publisher_id,symbol")
    day = store.day("trade", DATE)
    assert day.stream.key == ("publisher_id", "symbol")
    assert rows_of(day).column("publisher_id").to_pylist() == ["2"]


def test_a_dry_run_says_what_a_file_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_file(tmp_path / "data", "quotes.parquet", event_ns=[NOON_NS], symbol=["AAPL"])
    put(tmp_path, "trades/2024-01-15.trades.dbn.zst", dbn.Schema.TRADES, [trade()])
    arguments = ["import", str(tmp_path / "data"), "--store", str(tmp_path / "history"), "--dry-run"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    text = "trades/2024-01-15.trades.dbn.zst: 1 rows of trade; "
    assert text in printed
    assert "event_ns from ts_event (timestamp[ns, tz=UTC])" in printed
    assert "nothing was written" in printed
    assert not (tmp_path / "history" / "trade").exists()
