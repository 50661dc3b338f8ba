"""A hot copy gives the rows that the table gives, of any range and columns, and touches no others."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from replay import history
from replay.errors import HistoryError
from replay.store.hot import write_hot
from replay.store.prune import Wanted
from replay.store.scan import Scan
from replay.store.table import HistoryTable
from schemas.clocks import NS_PER_MS
from tests.stage.history_tables import append, draw_rows, placed, table_of


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("history")
    table_of(folder, *(draw_rows(150, seed) for seed in range(2)))
    return folder


def slow(rows: pa.Table, columns: list[str] | None, from_ns: int | None, to_ns: int | None) -> pa.Table:
    """Rows by the table's own reader, filtered one by one."""
    kept = [
        row
        for row in rows.to_pylist()
        if (from_ns is None or row["known_ns"] >= from_ns) and (to_ns is None or row["known_ns"] < to_ns)
    ]
    table = pa.Table.from_pylist(kept, schema=rows.schema)
    return table if columns is None else table.select(columns)


@pytest.mark.parametrize("rows_max", [1, 7, 65_536])
def test_any_range_of_a_copy_has_the_rows_of_the_table(store: Path, tmp_path: Path, rows_max: int) -> None:
    path = tmp_path / "copies" / "quote.arrow"
    snapshot = HistoryTable(store, "quote").snapshot()
    assert write_hot(path, snapshot, Scan(snapshot, Wanted()), rows_max) == 300
    whole = pa.Table.from_batches(list(history.batches("quote", store=store)))
    times_ns = whole.column("known_ns").to_pylist()
    draw = np.random.default_rng(rows_max)
    spans = [(None, None), (times_ns[0], times_ns[-1]), (times_ns[-1] + 1, None), (None, times_ns[0])]
    spans += [tuple(sorted(draw.choice(times_ns, 2).tolist())) for _ in range(12)]
    for from_ns, to_ns in spans:
        for columns in (None, ["symbol", "price"], ["known_ns"]):
            rows = history.read_ipc(path, columns, from_ns, to_ns).replace_schema_metadata(None)
            assert rows.equals(slow(whole, columns, from_ns, to_ns))


def test_a_copy_says_its_version_and_stays_as_it_is(store: Path, tmp_path: Path) -> None:
    own = tmp_path / "history"
    table = table_of(own, draw_rows(40, seed=1))
    path = tmp_path / "quote.arrow"
    assert history.write_ipc(path, "quote", ["price"], store=own) == 40
    before = history.read_ipc(path)
    assert b'"version": 1' in before.schema.metadata[b"tidemark.hot"]
    assert before.column_names == ["known_ns", "price"]
    append(table, placed(draw_rows(40, seed=2), 40))
    assert history.read_ipc(path).num_rows == 40
    assert history.write_ipc(path, "quote", ["price"], store=own) == 80
    assert (before.num_rows, history.read_ipc(path).num_rows) == (40, 80)
    first_ns = int(table.commits()[-2]["timestamp"]) * NS_PER_MS
    assert history.write_ipc(path, "quote", ["price"], as_of_ns=first_ns, store=own) == 40
    some = history.write_ipc(tmp_path / "none.arrow", "quote", symbols=["nobody"], store=own)
    assert (some, history.read_ipc(tmp_path / "none.arrow").num_rows) == (0, 0)
    assert list(tmp_path.glob(".*.new")) == []


def test_what_is_no_copy_is_cut_or_lacks_a_column_is_one_error(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "quote.arrow"
    history.write_ipc(path, "quote", store=store)
    with pytest.raises(HistoryError, match=r"has no column venue; it has event_ns, known_ns"):
        history.read_ipc(path, ["venue"])
    cut = tmp_path / "cut.arrow"
    cut.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(HistoryError, match=r"cannot be read .* write it again"):
        history.read_ipc(cut)
    with pytest.raises(HistoryError, match="cannot be read"):
        history.read_ipc(tmp_path / "absent.arrow")
    other = tmp_path / "other.arrow"
    with pa.ipc.new_file(other, pa.schema([("a", pa.int64())])):
        pass
    with pytest.raises(HistoryError, match="is no hot copy"):
        history.read_ipc(other)
    (tmp_path / "file").write_text("")
    with pytest.raises(HistoryError, match="cannot be written"):
        history.write_ipc(tmp_path / "file" / "quote.arrow", "quote", store=store)
