"""The laws of columns at import: equal values are one column, and what cannot pass is said at once."""

import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from replay.errors import SourceError
from replay.imports.common_types import common_type
from replay.imports.folder import import_folder
from replay.imports.report import ImportReport
from replay.store.days import HistoryStore
from tests.stage.days import DATE, NOON_NS, rows_of, write_file

KEY = uuid.UUID(int=0x0123456789ABCDEF0123456789ABCDEF)
VIEW = pa.string_view()


def imported(tmp_path: Path, **options: Any) -> tuple[HistoryStore, ImportReport]:
    store = HistoryStore(tmp_path / "history")
    return store, import_folder(store, tmp_path / "data", **options)


def column_of(tmp_path: Path, *files: Any, **options: Any) -> pa.ChunkedArray:
    """The column `x` of a day whose files hold these arrays in it."""
    for number, values in enumerate(files):
        rows = {"event_ns": [NOON_NS] * len(values), "symbol": ["A"] * len(values), "x": values}
        write_file(tmp_path / "data", f"trades_{number}.parquet", **rows)
    store, _ = imported(tmp_path, **options)
    return rows_of(store.day("trade", DATE)).column("x").combine_chunks()


def listed(items: pa.Array, offsets: list[int]) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), items)


def dictionary(*values: str | None) -> pa.Array:
    return pa.array(values, pa.dictionary(pa.int8(), pa.string()))


PLAIN: list[tuple[pa.Array, pa.Array]] = [
    (pa.array(["@", None], VIEW), pa.array(["@", None], pa.string())),
    (pa.array([b"@", None], pa.binary_view()), pa.array([b"@", None], pa.binary())),
    (dictionary("N", None, "N"), pa.array(["N", None, "N"])),
    (pa.array([KEY.bytes, None], pa.uuid()), pa.array([str(KEY), None])),
    (pa.array([1.5, None], pa.float16()), pa.array([1.5, None], pa.float32())),
    (pa.array([Decimal("1.50")], pa.decimal256(40, 2)), pa.array([Decimal("1.50")], pa.decimal128(38, 2))),
    (pa.array([Decimal("1.50")], pa.decimal32(5, 2)), pa.array([Decimal("1.50")], pa.decimal128(5, 2))),
    (pa.array(["{}"], pa.json_()), pa.array(["{}"])),
    (pa.array([1, None], pa.bool8()), pa.array([1, None], pa.int8())),
    (pa.nulls(2), pa.nulls(2, pa.string())),
    (pa.array([["@", None], None, []]), pa.array([["@", None], None, []])),
    (pa.array([["@"], None], pa.large_list(VIEW)), pa.array([["@"], None])),
    (pa.array([[1.0, 2.0], None], pa.list_(pa.float64(), 2)), pa.array([[1.0, 2.0], None])),
    (pa.array([[1], None], pa.list_view(pa.int8())), pa.array([[1], None], pa.list_(pa.int8()))),
    (listed(dictionary("N"), [0, 1]), pa.array([["N"]])),
    (listed(pa.array([KEY.bytes, None], pa.uuid()), [0, 2, 2]), pa.array([[str(KEY), None], []])),
    (pa.array([[], None]), pa.array([[], None], pa.list_(pa.string()))),
]


@pytest.mark.parametrize(("values", "expected"), PLAIN, ids=[str(values.type) for values, _ in PLAIN])
def test_values_come_in_one_plain_type(tmp_path: Path, values: pa.Array, expected: pa.Array) -> None:
    assert column_of(tmp_path, values).equals(expected)


def test_keys_may_be_views_and_dictionaries(tmp_path: Path) -> None:
    write_file(tmp_path / "data", "trades_0.parquet", event_ns=[NOON_NS], symbol=pa.array(["A"], VIEW))
    write_file(tmp_path / "data", "trades_1.parquet", event_ns=[NOON_NS], symbol=dictionary("B"))
    store, _ = imported(tmp_path)
    assert store.day("trade", DATE).summary.keys == 2


def test_dictionaries_that_differ_by_row_group_and_file_are_their_values(tmp_path: Path) -> None:
    words = [f"w{number}" for number in range(300)]
    first = pa.chunked_array([dictionary(word) for word in words[:150]])
    assert column_of(tmp_path, first, dictionary(*words[150:270])).to_pylist() == words[:270]


SAME: list[tuple[Any, Any, list[Any], pa.DataType]] = [
    (pa.array(["a"]), pa.array(["b"], pa.large_string()), ["a", "b"], pa.large_string()),
    (pa.array(["a"]), dictionary("b"), ["a", "b"], pa.string()),
    (pa.array(["a"], VIEW), pa.array(["b"]), ["a", "b"], pa.string()),
    (pa.nulls(1), pa.array([1.5]), [None, 1.5], pa.float64()),
    (pa.array([["a"]]), pa.array([["b"]], pa.large_list(VIEW)), [["a"], ["b"]], pa.list_(pa.string())),
    (pa.array([[]]), pa.array([[1.5]]), [[], [1.5]], pa.list_(pa.float64())),
    (pa.array([[1]], pa.list_(pa.int8())), pa.array([[2]]), [[1], [2]], pa.list_(pa.int64())),
    (pa.array([1], pa.int32()), pa.array([2], pa.int64()), [1, 2], pa.int64()),
    (pa.array([1], pa.uint32()), pa.array([-2], pa.int8()), [1, -2], pa.int64()),
    (pa.array([1.5], pa.float32()), pa.array([0.1]), [1.5, 0.1], pa.float64()),
    (
        pa.array([Decimal("1.5")], pa.decimal128(5, 1)),
        pa.array([Decimal("0.25")], pa.decimal128(9, 2)),
        [Decimal("1.50"), Decimal("0.25")],
        pa.decimal128(9, 2),
    ),
    (
        pa.array([1], pa.int64()).cast(pa.timestamp("ms", "UTC")).cast(pa.timestamp("us", "Asia/Tokyo")),
        pa.array([2], pa.int64()).cast(pa.timestamp("ns", "UTC")),
        [1_000_000, 2],
        pa.timestamp("ns", "UTC"),
    ),
]


@pytest.mark.parametrize(
    ("one", "other", "values", "kind"), SAME, ids=[f"{a.type} {b.type}" for a, b, *_ in SAME]
)
def test_types_of_one_meaning_are_one_column(
    tmp_path: Path, one: Any, other: Any, values: list[Any], kind: pa.DataType
) -> None:
    column = column_of(tmp_path, one, other)
    assert column.type == kind
    assert (column.cast(pa.int64()) if pa.types.is_timestamp(kind) else column).to_pylist() == values


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.array([1]), pa.array([1.5])),
        (pa.array(["1"]), pa.array([1])),
        (pa.array([True]), pa.array([1])),
        (pa.array([1], pa.uint64()), pa.array([1], pa.int8())),
        (pa.array([1], pa.timestamp("ns")), pa.array([1], pa.timestamp("ns", "UTC"))),
        (pa.array([b"a"]), pa.array(["a"])),
        (pa.array([["a"]]), pa.array(["a"])),
        (pa.array([["a"]]), pa.array([[1]])),
    ],
    ids=lambda values: str(values.type),
)
def test_types_of_two_meanings_are_refused_and_both_named(
    tmp_path: Path, one: pa.Array, other: pa.Array
) -> None:
    with pytest.raises(SourceError, match=r"'x' is .* in .*trades_0.* and .* in .*trades_1.*--drop 'x'"):
        column_of(tmp_path, one, other)
    assert common_type([other.type, one.type]) is None


def test_a_time_that_the_finer_unit_of_another_file_cannot_hold_is_refused(tmp_path: Path) -> None:
    far = pa.array([10**12], pa.int64()).cast(pa.timestamp("s"))
    with pytest.raises(SourceError, match=r"trades_0\.parquet: column 'x' .*does not fit.*--drop 'x'"):
        column_of(tmp_path, far, pa.array([1], pa.int64()).cast(pa.timestamp("ns")))


def test_a_column_without_values_has_the_type_of_other_days(tmp_path: Path) -> None:
    later = {"event_ns": [NOON_NS + 86_400 * 10**9], "symbol": ["A"]}
    write_file(tmp_path / "data", "trades_1.parquet", **later, x=[7])
    assert column_of(tmp_path, pa.nulls(1)).type == pa.int64()


@pytest.mark.parametrize(
    "empty",
    [
        pd.DataFrame({"symbol": [], "event_ns": [], "x": []}),
        pd.DataFrame({"symbol": [], "event_ns": [], "x": []}, dtype="object"),
        pd.DataFrame(),
        pd.DataFrame({"symbol": pd.Series([], dtype="str"), "other": pd.Series([], dtype="int8")}),
    ],
    ids=["doubles", "objects", "nothing", "others"],
)
def test_a_file_without_rows_is_no_obstacle_and_is_named(tmp_path: Path, empty: pd.DataFrame) -> None:
    write_file(tmp_path / "data", "trades_1.parquet", event_ns=[NOON_NS], symbol=["A"], x=[1])
    empty.to_parquet(tmp_path / "data" / "trades_0.parquet")
    store, report = imported(tmp_path)
    assert rows_of(store.day("trade", DATE)).column("x").to_pylist() == [1]
    assert "trades_0.parquet: no rows" in report.notes


NOT_CARRIED = [
    pa.array([{"a": 1}]),
    pa.array([[["@"], ["F"]]]),
    pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
    pa.array([[pa.MonthDayNano([1, 2, 3])]]),
    pa.array([pa.MonthDayNano([1, 2, 3])]),
]


@pytest.mark.parametrize("values", NOT_CARRIED, ids=lambda values: str(values.type))
def test_what_messages_cannot_carry_is_refused_at_import_and_can_be_dropped(
    tmp_path: Path, values: pa.Array
) -> None:
    data = tmp_path / "data" / "trades.arrow"
    data.parent.mkdir()
    rows = pa.table({"event_ns": [NOON_NS], "symbol": ["A"], "my x": values, "y": [1]})
    with pa.ipc.new_file(data, rows.schema) as writer:
        writer.write(rows)
    with pytest.raises(SourceError) as refused:
        imported(tmp_path)
    for part in (str(data), "'my_x'", str(values.type), "--drop 'my x'"):
        assert part in str(refused.value)
    assert not (tmp_path / "history").exists()
    store, report = imported(tmp_path, drop=["my x"])
    assert store.day("trade", DATE).stream.schema.names == ["event_ns", "symbol", "y"]
    assert "trades.arrow: my x is left out" in report.notes


def test_a_decimal_beyond_38_digits_is_refused_by_name(tmp_path: Path) -> None:
    values = pa.array([Decimal(10**39)], pa.decimal256(40, 0))
    with pytest.raises(
        SourceError, match=r"trades_0\.parquet: column 'x' \(decimal256\(40, 0\)\).*--drop 'x'"
    ):
        column_of(tmp_path, values)


def test_text_that_is_not_utf_8_is_refused_by_name(tmp_path: Path) -> None:
    broken = pa.Array.from_buffers(pa.string(), 1, [None, *pa.array([b"\xff"]).buffers()[1:]])
    with pytest.raises(SourceError, match=r"trades_0\.parquet: column 'x' \(string\).*--drop 'x'"):
        column_of(tmp_path, broken)


def test_names_that_messages_cannot_carry_are_changed_and_said(tmp_path: Path) -> None:
    rows = {"Trade Time": [NOON_NS], "symbol": ["A"], "last price": [1.5], "1st": [2]}
    write_file(tmp_path / "data", "trades.parquet", **rows)
    store, report = imported(tmp_path, event="Trade Time")
    assert rows_of(store.day("trade", DATE)).to_pylist() == [
        {"event_ns": NOON_NS, "symbol": "A", "last_price": 1.5, "_1st": 2}
    ]
    assert "trades.parquet: last price becomes last_price" in report.notes
    write_file(tmp_path / "data", "trades.parquet", **rows, last_price=[3])
    with pytest.raises(SourceError, match=r"'last price' and 'last_price' would both be .*--rename"):
        imported(tmp_path, event="Trade Time")


def test_columns_are_renamed_dropped_and_kept_as_stated(tmp_path: Path) -> None:
    rows = {"Time": [NOON_NS], "sym": ["A"], "px": [1.5], "note": ["x"], "sequence": [1]}
    write_file(tmp_path / "data", "trades.parquet", **rows)
    store, _ = imported(tmp_path, rename=["Time=event_ns", "sym=symbol", "px=price"], drop=["note"])
    expected = {"event_ns": NOON_NS, "symbol": "A", "price": 1.5, "sequence": 1}
    assert rows_of(store.day("trade", DATE)).to_pylist() == [expected]
    store, _ = imported(tmp_path, rename=["Time=event_ns", "px=price"], symbol="sym", keep="price")
    expected = {"event_ns": NOON_NS, "sym": "A", "price": 1.5, "sequence": 1}
    assert rows_of(store.day("trade", DATE)).to_pylist() == [expected]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drop": ["none"]}, "--drop none: no file has such a column; there are event_ns, symbol, x"),
        ({"keep": "none"}, "--keep none: no file has"),
        ({"rename": ["none=x"]}, "--rename none: no file has"),
        ({"rename": ["x"]}, "--rename 'x' must be OLD=NEW"),
        ({"rename": ["x=y"], "drop": ["x"]}, "'x' cannot be dropped and kept or renamed"),
        ({"unit": "days"}, "--unit 'days' must be one of ns, us, ms, s, auto"),
        ({"symbol": ","}, "--symbol ','"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    write_file(tmp_path / "data", "trades.parquet", event_ns=[NOON_NS], symbol=["A"], x=[1])
    with pytest.raises(SourceError) as refused:
        imported(tmp_path, **options)
    assert message in str(refused.value)


def test_a_day_read_otherwise_is_imported_anew(tmp_path: Path) -> None:
    write_file(tmp_path / "data", "trades.parquet", event_ns=[NOON_NS], symbol=["A"], x=[1])
    imported(tmp_path)
    _, again = imported(tmp_path)
    _, dropped = imported(tmp_path, drop=["x"])
    assert [day.written for day in (*again.days, *dropped.days)] == [False, True]


def test_rows_of_a_slice_keep_their_uuids(tmp_path: Path) -> None:
    keys = [uuid.UUID(int=number) for number in range(5)]
    values = pa.array([key.bytes for key in keys], pa.uuid()).slice(2)
    (tmp_path / "data").mkdir()
    rows = pa.table({"event_ns": [NOON_NS] * 3, "symbol": ["A"] * 3, "x": values})
    with pa.ipc.new_file(tmp_path / "data" / "trades.feather", rows.schema) as writer:
        writer.write(rows)
    store, _ = imported(tmp_path)
    assert rows_of(store.day("trade", DATE)).column("x").to_pylist() == [str(key) for key in keys[2:]]


def test_runs_are_their_values(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    runs = pc.run_end_encode(pa.array([1, 1, 2]))
    rows = pa.table({"event_ns": [NOON_NS] * 3, "symbol": ["A"] * 3, "x": runs})
    with pa.ipc.new_file(tmp_path / "data" / "trades.arrow", rows.schema) as writer:
        writer.write(rows)
    store, _ = imported(tmp_path)
    assert rows_of(store.day("trade", DATE)).column("x").to_pylist() == [1, 1, 2]
    assert pq.read_schema(next((tmp_path / "history").rglob("*.parquet"))).field("x").type == pa.int64()
