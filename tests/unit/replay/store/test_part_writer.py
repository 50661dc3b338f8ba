"""A part says what it holds, has a name of its own, and is there whole or not at all."""

from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from replay.errors import HistoryError
from replay.store.content_hash import combined, content_hash
from replay.store.footers import read_footer
from replay.store.part import Covered, Part, PartFooter, captured_name, merged_ranges
from replay.store.stored_types import to_stored
from replay.store.table import HistoryTable, create_table
from tests.oracles.replay import disorder_slowly
from tests.stage.history_tables import RULES, SCHEMA, draw_rows, folder_of, placed, write_parts


def parts_of(
    store: Path, rows: pa.RecordBatch, covered: Covered | None = None
) -> tuple[HistoryTable, list[Part]]:
    table = create_table(store, RULES, SCHEMA)
    return table, write_parts(table, placed(rows), covered)


def test_a_footer_says_what_the_rows_are(tmp_path: Path) -> None:
    rows = draw_rows(300, seed=1)
    table, parts = parts_of(tmp_path, rows)
    footers = [read_footer(table.root / part.path) for part in parts]
    assert footers == [part.footer for part in parts]
    counts: dict[bytes, int] = {}
    for footer in footers:
        for key, count in footer.keys.items():
            counts[key] = counts.get(key, 0) + count
    symbols = rows.column("symbol").to_pylist()
    assert counts == {symbol.encode(): symbols.count(symbol) for symbol in set(symbols)}
    assert sum(footer.rows for footer in footers) == 300
    whole = content_hash(to_stored(placed(rows), table.stored))
    assert combined(*(footer.content_hash for footer in footers)) == whole


def test_the_disorder_of_a_clock_is_that_of_the_rows_in_the_order_of_the_store(tmp_path: Path) -> None:
    table, parts = parts_of(tmp_path, draw_rows(300, seed=2))
    for part in parts:
        read = pq.read_table(table.root / part.path)
        for name in ("event_ns", "known_ns"):
            times = [time_ns for time_ns in read.column(name).to_pylist() if time_ns is not None]
            span = part.footer.clocks[name]
            assert (span.first_ns, span.last_ns) == (min(times), max(times))
            assert span.nulls == read.column(name).null_count
            assert span.disorder_ns == disorder_slowly(times)


def test_the_same_rows_have_the_same_name_and_others_another(tmp_path: Path) -> None:
    names = [
        [part.path for part in parts_of(tmp_path / folder, draw_rows(100, seed))[1]]
        for folder, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert names[0] == names[1]
    assert not set(names[0]) & set(names[2])


def test_a_captured_part_names_its_partition_and_its_offsets(tmp_path: Path) -> None:
    covered = Covered("quotes", 3, 120_000, 184_512)
    assert captured_name("quote", covered) == "quote-3-0000000000120000-0000000000184512"
    table, parts = parts_of(tmp_path, draw_rows(50, seed=1), covered)
    assert all("/quote-3-0000000000120000-0000000000184512-" in part.path for part in parts)
    assert read_footer(folder_of(table) / parts[0].path).covered == (covered,)


def test_clocks_and_places_are_written_as_differences_and_other_engines_read_them(tmp_path: Path) -> None:
    table, parts = parts_of(tmp_path, draw_rows(500, seed=3))
    path = folder_of(table) / parts[0].path
    group = pq.ParquetFile(path).metadata.row_group(0)
    encodings = {
        group.column(place).path_in_schema: group.column(place).encodings
        for place in range(group.num_columns)
    }
    for name in ("event_ns", "known_ns", "sequence", "_offset"):
        assert "DELTA_BINARY_PACKED" in encodings[name]
    assert "RLE_DICTIONARY" in encodings["symbol"]
    ours = pq.read_table(path).to_pylist()
    assert pl.read_parquet(path, hive_partitioning=False).to_dicts() == ours
    theirs = duckdb.connect().execute("select * from read_parquet(?, hive_partitioning=false)", [str(path)])
    assert theirs.fetchall() == [tuple(row.values()) for row in ours]


def test_the_key_has_a_bloom_filter_for_engines_that_read_one(tmp_path: Path) -> None:
    table, parts = parts_of(tmp_path, draw_rows(500, seed=3))
    path = folder_of(table) / parts[0].path
    question = "select * from parquet_bloom_probe(?, 'symbol', 'nowhere')"
    rows = duckdb.connect().execute(question, [str(path)]).fetchall()
    assert [row[-1] for row in rows] == [True]


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    table = create_table(tmp_path, RULES, SCHEMA)
    (folder_of(table) / "date=2025-11-28").write_text("in the way")
    with pytest.raises(HistoryError, match="cannot be written"):
        write_parts(table, placed(draw_rows(50, seed=1, days=1)))
    assert not list(folder_of(table).rglob("*.new"))


def test_ranges_that_touch_are_one_and_those_that_overlap_are_refused() -> None:
    ranges = [Covered("t", 0, 10, 20), Covered("t", 1, 5, 9), Covered("t", 0, 0, 10), Covered("t", 0, 25, 30)]
    assert merged_ranges(ranges) == (Covered("t", 0, 0, 20), Covered("t", 0, 25, 30), Covered("t", 1, 5, 9))
    with pytest.raises(HistoryError, match=r"rows of t\[0\] from offset 15 to 20 are there twice"):
        merged_ranges([Covered("t", 0, 0, 20), Covered("t", 0, 15, 30)])


def test_a_footer_of_keys_that_are_no_text_comes_back(tmp_path: Path) -> None:
    _, parts = parts_of(tmp_path, draw_rows(20, seed=1))
    footer = parts[0].footer
    odd = replace(footer, keys={b"\xff\x00": 3, "é".encode(): 1})
    assert PartFooter.from_json(odd.to_json()) == odd


def test_a_hash_knows_neither_order_nor_cut_nor_a_column_that_came_later() -> None:
    rows = to_stored(placed(draw_rows(400, seed=5)), create_stored())
    shuffled = rows.take(pa.array(np.random.default_rng(1).permutation(400)))
    assert content_hash(shuffled) == content_hash(rows)
    assert combined(content_hash(rows.slice(0, 123)), content_hash(rows.slice(123))) == content_hash(rows)
    later = rows.append_column("venue", pa.nulls(400, pa.string()))
    assert content_hash(later) == content_hash(rows)
    changed = rows.set_column(3, "price", pa.array([9.75, *rows.column(3).to_pylist()[1:]]))
    assert content_hash(changed) != content_hash(rows)


def create_stored() -> pa.Schema:
    return pa.schema([*SCHEMA, ("_partition", pa.int64()), ("_offset", pa.int64()), ("_index", pa.int64())])
