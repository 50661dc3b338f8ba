"""A history on Azure, against azurite, which checks signatures: rows, commits, refusals."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from replay import history
from replay.errors import FencedCommitError, HistoryError
from replay.store.cache import CacheSettings, use_cache
from replay.store.compact import compact, plan_compaction
from replay.store.objects import CREDENTIALS, Folder, parse_store
from replay.store.table import Change, HistoryTable, create_table
from replay.store.upkeep import verify
from tests.stage.azure_server import AzureServer
from tests.stage.history_tables import RULES, SCHEMA, draw_rows, placed, table_of, write_parts
from tests.stage.object_server import SECRET

pytestmark = pytest.mark.slow


@pytest.fixture
def container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    server = AzureServer()
    server.environment(monkeypatch)
    use_cache(CacheSettings(folder=tmp_path / "cache"))
    yield parse_store(f"{server.container('history')}/one")
    use_cache(CacheSettings())
    server.close()


def test_a_container_answers_as_a_folder_does_and_refuses_the_second_writer(
    container: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = [draw_rows(60, seed) for seed in range(3)]
    table_of(tmp_path, *batches)
    table = table_of(container, *batches)
    rows = [pa.Table.from_batches(history.batches("quote", store=each)) for each in (tmp_path, container)]
    assert rows[0] == rows[1]
    query = "select symbol, count(*) as rows from quote group by symbol order by symbol"
    assert history.sql(query, store=container) == history.sql(query, store=tmp_path)
    late = HistoryTable(container, "quote")
    change = Change(
        adds=write_parts(table, placed(draw_rows(20, seed=9), 180)),
        transactions={"capture": 200},
        expected={"capture": None},
    )
    table.commit(change)
    with pytest.raises(FencedCommitError, match="another has committed to az://"):
        late.commit(change)
    for group in plan_compaction(table.snapshot()):
        compact(table, group, by="a test")
    assert table.snapshot().rows == 200
    assert list(verify(table.snapshot())) == []
    with pytest.raises(HistoryError, match="there is no such bucket"):
        create_table(parse_store("az://nobody-has-this"), RULES, SCHEMA)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "bm90IHRoZSBrZXk=")
    with pytest.raises(HistoryError, match="access is refused") as wrong:
        HistoryTable(container, "quote")
    assert CREDENTIALS["az"] in str(wrong.value)
    assert SECRET not in str(wrong.value)
