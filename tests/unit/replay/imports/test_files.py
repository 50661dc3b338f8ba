"""The laws of what is in a folder: every format, parts, empty days, and what is none of these."""

import gzip
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.cli import main
from replay.errors import SourceError
from replay.imports.folder import import_folder
from replay.imports.report import ImportReport
from replay.store.days import HistoryStore
from tests.stage.days import DATE, NOON_NS, rows_of, write_file

DAY_NS = 86_400 * 10**9
CSV = "event_ns,symbol,price,size,code,order,flag,empty\n"
ROWS = (
    f"{NOON_NS},0700,1.5,7,007,18446744073709551615,true,\n"
    f'{NOON_NS + 1},NA,2,8,"a,\nb",1,false,\n'
    f"{NOON_NS + 2},true,nan,,x,2,,\n"
)


def imported(tmp_path: Path, **options: Any) -> tuple[HistoryStore, ImportReport]:
    store = HistoryStore(tmp_path / "history")
    return store, import_folder(store, tmp_path / "data", **options)


def put(tmp_path: Path, name: str, text: str | bytes) -> Path:
    path = tmp_path / "data" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("name", ["trades.csv", "trades.csv.gz"])
def test_csv_takes_a_type_only_where_it_keeps_every_value(tmp_path: Path, name: str) -> None:
    text = (CSV + ROWS).encode()
    put(tmp_path, name, gzip.compress(text) if name.endswith("gz") else text)
    store, _ = imported(tmp_path)
    rows = rows_of(store.day("trade", DATE))
    kinds = {field.name: str(field.type) for field in rows.schema}
    assert kinds == {
        "event_ns": "int64",
        "symbol": "string",
        "price": "double",
        "size": "int64",
        "code": "string",
        "order": "uint64",
        "flag": "bool",
        "empty": "string",
    }
    assert rows.column("symbol").to_pylist() == ["0700", "NA", "true"]
    assert rows.column("code").to_pylist() == ["007", "a,\nb", "x"]
    assert rows.column("order").to_pylist() == [2**64 - 1, 1, 2]
    assert rows.column("size").to_pylist() == [7, 8, None]
    assert rows.column("flag").to_pylist() == [True, False, None]


@pytest.mark.parametrize(
    "values",
    [
        ["123456789012345678901", "1.5"],
        ["9007199254740993", "0.5"],
        ["123456789012345678.5", "1"],
        ["0.12345678901234567891", "1"],
        ["-1.2345678901234567891e-05", "1"],
        ["1.5e999", "1"],
        ["1.5e-999", "1"],
        ["1E5", "2"],
        ["12e4", "2.5"],
        ["1.50E", "2"],
    ],
    ids=lambda values: values[0],
)
def test_a_csv_column_stays_text_where_a_double_is_another_number_or_it_looks_like_a_code(
    tmp_path: Path, values: list[str]
) -> None:
    assert csv_column(tmp_path, values) == ("string", values)


@pytest.mark.parametrize(
    "values",
    [
        ["0.1", "1e-05"],  # Python and pandas
        ["1e+16", "5e-324"],
        ["1.0E-5", "1.5e3"],  # Java
        ["0.30000000000000004", "1.7976931348623157e+308"],  # shortest of 17 digits
        ["5.960464477539063e-08", "1"],  # 2^-24, half-way between two texts of its length
        ["0.10000000000000001", "1.000000000000000056e-01"],  # %.17g and %.18e
        ["9007199254740992", "0.5"],
        ["100.00000000000000000000", "-0.000000000000000000000"],
        [".5", "1."],
        ["nan", "-inf"],
    ],
    ids=lambda values: values[0],
)
def test_a_csv_column_is_double_where_each_number_can_be_written_from_it_again(
    tmp_path: Path, values: list[str]
) -> None:
    kind, column = csv_column(tmp_path, values)
    assert kind == "double"
    assert list(map(repr, column)) == [repr(float(value)) for value in values]


def test_whole_numbers_within_int64_are_exact(tmp_path: Path) -> None:
    ends = [2**63 - 1, -(2**63), 2**53 + 1]
    assert csv_column(tmp_path, list(map(str, ends))) == ("int64", ends)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1), st.sampled_from([17, 18, 25]))
@settings(max_examples=50, deadline=None)
def test_doubles_written_in_full_come_back_from_csv_as_they_were(values: list[float], digits: int) -> None:
    for texts in ([*map(repr, values)], [f"{value:.{digits - 1}e}" for value in values]):
        with TemporaryDirectory() as folder:
            kind, column = csv_column(Path(folder), texts)
        assert kind == "double"
        assert column == values


def csv_column(tmp_path: Path, values: list[str]) -> tuple[str, list[Any]]:
    """The type and the values of a column of a CSV file."""
    put(tmp_path, "trades.csv", "event_ns,symbol,x\n" + "".join(f"{NOON_NS},A,{value}\n" for value in values))
    store, _ = imported(tmp_path)
    column = rows_of(store.day("trade", DATE)).column("x")
    return str(column.type), column.to_pylist()


def test_csv_beside_parquet_is_read_and_its_times_need_a_zone(tmp_path: Path) -> None:
    put(tmp_path, "trades.csv", "Time,sym,px\n2024-01-15 12:00:00.000001,A,1.5\n")
    times = pa.array([NOON_NS // 1000], pa.int64()).cast(pa.timestamp("us", "America/New_York"))
    write_file(tmp_path / "data", "quotes.parquet", Time=times, sym=["A"])
    options = {"event": "Time", "symbol": "sym"}
    with pytest.raises(
        SourceError, match=r"trades\.csv is text without a time zone.*quotes\.parquet is timestamp"
    ):
        imported(tmp_path, **options)
    store, _ = imported(tmp_path, **options, naive_as="America/New_York")
    assert rows_of(store.day("trade", DATE)).column("event_ns").to_pylist() == [NOON_NS + 1000]
    assert store.day("quote", DATE).rows == 1


@pytest.mark.parametrize("text", ["", CSV])
def test_a_csv_file_without_rows_is_no_obstacle(tmp_path: Path, text: str) -> None:
    put(tmp_path, "trades_0.csv", text)
    put(tmp_path, "trades_1.csv", CSV + ROWS)
    store, report = imported(tmp_path)
    assert store.day("trade", DATE).rows == 3
    assert "trades_0.csv: no rows" in report.notes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"event_ns,symbol\n{NOON_NS},A,3\n", "cannot be read as CSV"),
        (f"event_ns,symbol,symbol\n{NOON_NS},A,A\n", "has columns twice: symbol"),
        (b"event_ns,symbol\n1,\xff\n", "cannot be read as CSV"),
        (f"event_ns;symbol\n{NOON_NS};A\n", "has ';' between the names and no comma"),
    ],
)
def test_a_csv_file_that_is_none_is_named(tmp_path: Path, text: str | bytes, message: str) -> None:
    put(tmp_path, "trades.csv", text)
    with pytest.raises(SourceError, match=rf"trades\.csv.*{message}"):
        imported(tmp_path)


@pytest.mark.parametrize("name", ["trades.arrow", "trades.feather", "trades.ipc", "trades.arrows"])
@pytest.mark.parametrize("stream", [False, True])
def test_arrow_files_and_streams_are_read(tmp_path: Path, name: str, stream: bool) -> None:
    rows = pa.table({"event_ns": [NOON_NS, NOON_NS + 1], "symbol": ["A", "B"], "x": [1, 2]})
    path = put(tmp_path, name, b"")
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(path, rows.schema) as writer:
        for batch in rows.to_batches(max_chunksize=1):
            writer.write(batch)
    store, _ = imported(tmp_path)
    assert rows_of(store.day("trade", DATE)).equals(rows)


def test_arrow_of_polars_with_its_views_is_read(tmp_path: Path) -> None:
    frame = pl.DataFrame({"event_ns": [NOON_NS], "symbol": ["A"], "x": ["a long text, out of line"]})
    frame.write_ipc(put(tmp_path, "trades.arrow", b""), compression="zstd")
    store, _ = imported(tmp_path)
    assert rows_of(store.day("trade", DATE)).column("x").to_pylist() == ["a long text, out of line"]


def test_folders_of_parts_are_one_stream_and_their_names_hold_columns(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for place, columns in {
        "trades/part-0.parquet": {"symbol": ["A"]},
        "trades/symbol=B%20C/part-0.parquet": {},
        "trades/symbol=D/_SUCCESS": None,
        "trades/symbol=D/deep/part-1.parquet": {"symbol": ["E"]},
    }.items():
        (data / place).parent.mkdir(parents=True, exist_ok=True)
        if columns is None:
            (data / place).touch()
        else:
            pq.write_table(pa.table({"event_ns": [NOON_NS], **columns}), data / place)
    store, _ = imported(tmp_path)
    assert sorted(rows_of(store.day("trade", DATE)).column("symbol").to_pylist()) == ["A", "B C", "E"]
    names = [source.name for source in store.day("trade", DATE).summary.sources]
    assert names == [
        "trades/part-0.parquet",
        "trades/symbol=B%20C/part-0.parquet",
        "trades/symbol=D/deep/part-1.parquet",
    ]


def test_folders_behind_links_are_read_and_each_only_once(tmp_path: Path) -> None:
    write_file(tmp_path / "disk" / "deep", "part-0.parquet", event_ns=[NOON_NS], symbol=["A"])
    write_file(tmp_path / "data" / "trades" / "b", "part-1.parquet", event_ns=[NOON_NS], symbol=["B"])
    write_file(tmp_path / "data", "quotes.parquet", event_ns=[NOON_NS], symbol=["Q"])
    trades = tmp_path / "data" / "trades"
    links = {
        trades / "2024": tmp_path / "disk",
        trades / "latest": trades / "b",
        trades / "b" / "up": trades,
        tmp_path / "disk" / "deep" / "round": tmp_path / "data",
        tmp_path / "disk" / "deep" / "above": tmp_path,
    }
    for link, target in links.items():
        link.symlink_to(target, target_is_directory=True)
    store, report = imported(tmp_path)
    assert [source.name for source in store.day("trade", DATE).summary.sources] == [
        "trades/2024/deep/part-0.parquet",
        "trades/b/part-1.parquet",
    ]
    assert rows_of(store.day("trade", DATE)).column("symbol").to_pylist() == ["A", "B"]
    assert {
        "trades/latest is trades/b again: not read twice",
        "trades/b/up is trades again: not read twice",
        f"trades/2024/deep/round leads back to {tmp_path / 'data'}: not read twice",
        f"trades/2024/deep/above leads back to {tmp_path}: not read twice",
    } == set(report.notes)


def test_files_behind_links_belong_to_the_folder_and_may_change(tmp_path: Path) -> None:
    write_file(tmp_path / "disk", "part-0.parquet", event_ns=[NOON_NS], symbol=["A"])
    (tmp_path / "data" / "trades").mkdir(parents=True)
    (tmp_path / "data" / "trades" / "2024").symlink_to(tmp_path / "disk", target_is_directory=True)
    imported(tmp_path)
    write_file(tmp_path / "disk", "part-0.parquet", event_ns=[NOON_NS, NOON_NS], symbol=["A", "B"])
    store, _ = imported(tmp_path)
    assert store.day("trade", DATE).rows == 2


def test_a_folder_that_cannot_be_read_is_named_and_nothing_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_file(tmp_path / "data" / "trades" / "open", "part-0.parquet", event_ns=[NOON_NS], symbol=["A"])
    closed = write_file(
        tmp_path / "data" / "trades" / "closed", "part-1.parquet", event_ns=[NOON_NS], symbol=["A"]
    )
    scandir = os.scandir

    def refusing(path: Any = ".") -> Any:
        if Path(path) == closed.parent:
            raise PermissionError(13, "Permission denied", str(path))  # as for all but root, who may read it
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(SourceError) as refused:
        imported(tmp_path)
    assert str(refused.value).startswith(f"{closed.parent} cannot be read (Permission denied)")
    monkeypatch.undo()
    assert not HistoryStore(tmp_path / "history").dates()


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    write_file(tmp_path / "data" / "trades", "part-0.parquet", event_ns=[NOON_NS], symbol=["A"])
    link = tmp_path / "data" / "trades" / "2024"
    link.symlink_to(tmp_path / "gone", target_is_directory=True)
    with pytest.raises(SourceError, match="is a link to nothing") as refused:
        imported(tmp_path)
    assert str(refused.value).startswith(str(link))


def test_what_is_no_file_of_a_stream_is_named(tmp_path: Path) -> None:
    write_file(tmp_path / "data", "trades.parquet", event_ns=[NOON_NS], symbol=["A"])
    put(tmp_path, "README.md", "")
    put(tmp_path, "raw/a.bin", "")
    put(tmp_path, ".hidden", "")
    _, report = imported(tmp_path)
    assert "not read, since neither trades* nor quotes*: README.md, raw/" in report.notes


@pytest.mark.parametrize("name", ["quotes.json", "quotes.xlsx", "quotes/part-0.avro"])
def test_a_file_of_a_stream_in_another_format_is_refused_by_name(tmp_path: Path, name: str) -> None:
    write_file(tmp_path / "data", "trades.parquet", event_ns=[NOON_NS], symbol=["A"])
    path = put(tmp_path, name, "")
    with pytest.raises(SourceError) as refused:
        imported(tmp_path)
    assert str(refused.value).startswith(f"{path} is not read: write it as Parquet, CSV")


def test_a_file_in_two_formats_is_refused(tmp_path: Path) -> None:
    write_file(tmp_path / "data", "trades.parquet", event_ns=[NOON_NS], symbol=["A"])
    put(tmp_path, "trades.csv", CSV + ROWS)
    with pytest.raises(SourceError, match="one name in two formats"):
        imported(tmp_path)


def test_a_day_without_quotes_is_kept_without_rows_and_said(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_file(data, "trades.parquet", event_ns=[NOON_NS, NOON_NS + DAY_NS], symbol=["A", "A"])
    write_file(data, "quotes.parquet", event_ns=[NOON_NS], symbol=["A"], bid=[1.5])
    store, report = imported(tmp_path)
    empty = store.day("quote", "2024-01-16")
    assert (empty.rows, empty.stream.schema.names) == (0, ["event_ns", "symbol", "bid"])
    assert "quote: no rows of 2024-01-16: no trade of such a day has a match in it" in report.notes
    write_file(
        data, "quotes.parquet", event_ns=[NOON_NS, NOON_NS + DAY_NS], symbol=["A", "A"], bid=[1.5, 2.5]
    )
    store, report = imported(tmp_path)
    assert store.day("quote", "2024-01-16").rows == 1
    assert not report.notes


def test_a_dry_run_says_what_would_be_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    times = pa.array([NOON_NS // 1000] * 2, pa.int64())
    write_file(data, "trades.parquet", at=times, sym=["A", None], px=[1.5, 2.5], note=["", ""])
    write_file(data, "quotes.parquet", at=times, sym=["A", "B"])
    typed = ["import", str(data), "--store", str(tmp_path / "history"), "--event", "at", "--symbol", "sym"]
    assert main([*typed, "--unit", "us", "--drop", "note", "--rename", "px=price", "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "trades.parquet: 2 rows of trade; event_ns from at (int64 in us); sym string, price double",
        "quotes.parquet: 2 rows of quote; event_ns from at (int64 in us); sym string",
        "trades.parquet: at is event_ns",
        "trades.parquet: px becomes price",
        "trades.parquet: note is left out",
        "quotes.parquet: at is event_ns",
        f"trade {DATE}: 1 rows would be imported",
        f"quote {DATE}: 2 rows would be imported",
        "trade: 1 rows not imported: null sym",
        "  trades.parquet row 2: null sym",
        "nothing was written",
    ]
    assert not (tmp_path / "history").exists()
    assert main([*typed, "--dry-run"]) == 2
    assert "--unit us" in capsys.readouterr().err


def test_rows_of_other_files_are_not_replaced_unless_that_is_stated(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path / "history")
    midnight_ns = NOON_NS + 12 * 3_600 * 10**9
    for name, times in {"a": [NOON_NS, midnight_ns - 1], "b": [midnight_ns - 2, midnight_ns]}.items():
        write_file(tmp_path / name, "trades.parquet", event_ns=times, symbol=["A", "A"])
    import_folder(store, tmp_path / "a")
    with pytest.raises(SourceError) as refused:
        import_folder(store, tmp_path / "b")
    for part in (
        f"2 trade rows of {DATE} from {tmp_path / 'a' / 'trades.parquet'}",
        str(tmp_path / "b"),
        "--replace",
    ):
        assert part in str(refused.value)
    assert (store.day("trade", DATE).rows, store.dates()) == (2, [DATE])
    import_folder(store, tmp_path / "b", replace=True)
    assert [store.day("trade", date).rows for date in store.dates()] == [1, 1]


def test_files_of_one_folder_may_change_move_and_be_joined_by_others(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path / "history")
    write_file(tmp_path / "a", "trades.parquet", event_ns=[NOON_NS], symbol=["A"])
    import_folder(store, tmp_path / "a")
    write_file(tmp_path / "a", "trades.parquet", event_ns=[NOON_NS] * 2, symbol=["A", "B"])
    write_file(tmp_path / "a", "trades_2.parquet", event_ns=[NOON_NS], symbol=["C"])
    import_folder(store, tmp_path / "a")
    assert store.day("trade", DATE).rows == 3
    (tmp_path / "a").rename(tmp_path / "b")
    report = import_folder(store, tmp_path / "b")
    assert [day.written for day in report.days] == [False]


def test_a_synthetic_day_is_not_replaced_by_files_unless_that_is_stated(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path / "history")
    typed = ["--date", DATE, "--quotes", "9", "--trades", "3", "--store", str(store.root)]
    assert main(["generate", *typed]) == 0
    write_file(tmp_path / "data", "trades.parquet", event_ns=[NOON_NS], symbol=["A"])
    with pytest.raises(SourceError, match="3 trade rows of 2024-01-15 from a synthetic market"):
        imported(tmp_path)
    store, _ = imported(tmp_path, replace=True)
    assert store.day("trade", DATE).rows == 1
