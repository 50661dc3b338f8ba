"""What is pruned, merged and given back equals the whole table, filtered and sorted row by row in Python."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay import history
from replay.store.prune import Wanted
from replay.store.scan import Scan
from replay.store.snapshot import Snapshot
from schemas.clocks import NS_PER_S, Clock
from tests.oracles.history import rows_slowly
from tests.stage.history_tables import DAY_NS, SYMBOLS, draw_rows, table_of

SPAN_S = 2 * 24 * 3_600


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    batches = [draw_rows(rows, seed) for seed, rows in enumerate((400, 1, 90, 700, 30))]
    return table_of(tmp_path_factory.mktemp("history"), *batches).snapshot()


def all_rows() -> list[dict[str, object]]:
    rows, offset = [], 0
    for seed, count in enumerate((400, 1, 90, 700, 30)):
        for row in draw_rows(count, seed).to_pylist():
            rows.append({**row, "_partition": 0, "_offset": offset, "_index": 0})
            offset += 1
    return rows


BOUND = st.none() | st.integers(-3_600, SPAN_S + 3_600).map(lambda second: DAY_NS + second * NS_PER_S)
KEYS = st.none() | st.frozensets(st.sampled_from([*SYMBOLS, "none"]).map(str.encode), max_size=3)


@settings(max_examples=60, deadline=None)
@given(
    from_ns=BOUND,
    to_ns=BOUND,
    keys=KEYS,
    clock=st.sampled_from([None, "event", "known"]),
    rows_max=st.integers(1, 500),
)
def test_a_query_equals_the_whole_table_filtered(
    snapshot: Snapshot,
    from_ns: int | None,
    to_ns: int | None,
    keys: frozenset[bytes] | None,
    clock: Clock | None,
    rows_max: int,
) -> None:
    wanted = Wanted(from_ns=from_ns, to_ns=to_ns, keys=keys, clock=clock)
    expected = rows_slowly(all_rows(), from_ns, to_ns, keys, f"{clock or 'known'}_ns")
    scan = Scan(snapshot, wanted, snapshot.schema.names)
    batches = list(scan.batches(rows_max))
    assert [row for batch in batches for row in batch.to_pylist()] == expected
    assert all(batch.num_rows <= rows_max for batch in batches)
    assert scan.report.rows_returned == len(expected)
    frame = Scan(snapshot, wanted, snapshot.schema.names).frame().collect()
    assert sorted(frame.rows(), key=str) == sorted((tuple(row.values()) for row in expected), key=str)


def test_the_report_counts_what_is_left_at_each_level(snapshot: Snapshot) -> None:
    morning = Wanted(from_ns=DAY_NS, to_ns=DAY_NS + 6 * 3_600 * NS_PER_S, keys=frozenset({b"A"}))
    scan = Scan(snapshot, morning, ["price"])
    list(scan.batches())
    report = scan.report
    assert report.parts.total > report.parts.by_date > report.parts.by_bucket > 0
    assert report.parts.by_key == len(scan.parts) <= report.parts.by_time <= report.parts.by_bucket
    assert 0 < report.bytes_read < report.bytes_total
    assert report.rows_returned <= report.rows_read < snapshot.rows
    assert report.lines()[0].startswith(f"parts: {report.parts.total}")


def test_a_key_that_is_nowhere_opens_no_part(snapshot: Snapshot) -> None:
    scan = Scan(snapshot, Wanted(keys=frozenset({b"absent"})), ["price"])
    assert list(scan.batches()) == []
    assert scan.report.parts.by_key == 0


def test_columns_come_in_the_order_of_the_table_and_places_only_where_they_are_wanted(
    snapshot: Snapshot,
) -> None:
    (batch, *_) = Scan(snapshot, Wanted(), None).batches()
    assert batch.schema.names == ["event_ns", "known_ns", "symbol", "price", "sequence"]
    (batch, *_) = Scan(snapshot, Wanted(), ["price", "symbol"]).batches()
    assert batch.schema.names == ["symbol", "price"]


def test_no_more_parts_are_open_than_overlap() -> None:
    with TemporaryDirectory() as folder:
        days = [draw_rows(200, seed, days=1) for seed in range(3)]
        later = [_moved(rows, number) for number, rows in enumerate(days)]
        table = table_of(Path(folder), *later)
        scan = Scan(table.snapshot(), Wanted(), None)
        batches = scan.batches(50)
        next(batches)
        opened_at_first = scan.report.row_groups_total
        list(batches)
        assert opened_at_first <= 4
        assert scan.report.row_groups_total == 12


def _moved(rows: pa.RecordBatch, days: int) -> pa.RecordBatch:
    moved = rows.to_pydict()
    for name in ("event_ns", "known_ns"):
        moved[name] = [
            None if time_ns is None else time_ns + days * 86_400 * NS_PER_S for time_ns in moved[name]
        ]
    return pa.RecordBatch.from_pydict(moved, schema=rows.schema)


def test_a_frame_reads_a_version_as_it_was() -> None:
    with TemporaryDirectory() as folder:
        table_of(Path(folder), draw_rows(40, 1), draw_rows(60, 2))
        rows = history.scan("quote", ["price"], version=1, store=Path(folder)).select(pl.len()).collect()
        assert rows.item() == 40
        assert sum(batch.num_rows for batch in history.batches("quote", store=Path(folder))) == 100
        assert np.all(
            np.diff(
                np.concatenate([b.column(1).to_numpy() for b in history.batches("quote", store=Path(folder))])
            )
            >= 0
        )
        total = history.sql("select sum(sequence) as total from quote", store=Path(folder)).to_pylist()
        assert total == [
            {
                "total": sum(
                    row["sequence"] for b in (draw_rows(40, 1), draw_rows(60, 2)) for row in b.to_pylist()
                )
            }
        ]
