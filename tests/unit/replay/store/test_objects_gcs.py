"""A history at Google's object store, against a server of ours of its protocol: rows, commits, refusals."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from replay import history
from replay.capture.session import capture
from replay.errors import FencedCommitError, HistoryError
from replay.store.cache import CacheSettings, use_cache
from replay.store.compact import compact, plan_compaction
from replay.store.objects import CREDENTIALS, ObjectFolder, parse_store
from replay.store.table import Change, HistoryTable, create_table, table_streams
from replay.store.upkeep import verify
from tests.stage.captured import QuoteTopic
from tests.stage.gcs_server import BUCKET, GcsServer
from tests.stage.history_tables import RULES, SCHEMA, draw_rows, placed, table_of, write_parts

pytestmark = [pytest.mark.slow, pytest.mark.takes_s(30)]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GcsServer]:
    (tmp_path / "accounts").mkdir()
    server = GcsServer(tmp_path / "accounts")
    server.environment(monkeypatch)
    use_cache(CacheSettings(folder=tmp_path / "cache"))
    yield server
    use_cache(CacheSettings())
    server.close()


def store_at(name: str) -> ObjectFolder:
    store = parse_store(f"gs://{BUCKET}/{name}")
    assert isinstance(store, ObjectFolder)
    return store


def test_a_bucket_answers_as_a_folder_does_and_refuses_the_second_writer(
    server: GcsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket, batches = store_at("one"), [draw_rows(60, seed) for seed in range(3)]
    table_of(tmp_path, *batches)
    table = table_of(bucket, *batches)
    rows = [pa.Table.from_batches(history.batches("quote", store=each)) for each in (tmp_path, bucket)]
    assert rows[0] == rows[1]
    query = "select symbol, count(*) as rows from quote group by symbol order by symbol"
    assert history.sql(query, store=bucket) == history.sql(query, store=tmp_path)
    late = HistoryTable(bucket, "quote")
    change = Change(
        adds=write_parts(table, placed(draw_rows(20, seed=9), 180)),
        transactions={"capture": 200},
        expected={"capture": None},
    )
    table.commit(change)
    with pytest.raises(FencedCommitError, match="another has committed to gs://"):
        late.commit(change)
    for group in plan_compaction(table.snapshot()):
        compact(table, group, by="a test")
    assert table.snapshot().rows == 200
    assert list(verify(table.snapshot())) == []
    assert table_streams(bucket) == ["quote"]
    with pytest.raises(HistoryError, match="there is no such bucket"):
        create_table(parse_store("gs://nobody-has-this"), RULES, SCHEMA)
    server.environment(monkeypatch, "stranger")
    with pytest.raises(HistoryError, match="access is refused") as wrong:
        HistoryTable(bucket, "quote")
    assert CREDENTIALS["gs"] in str(wrong.value)
    assert "PRIVATE" not in str(wrong.value)


def test_of_many_who_write_one_new_object_one_does(server: GcsServer) -> None:
    for number in range(5):
        new = store_at("races") / f"object-{number}"
        with ThreadPoolExecutor(8) as writers:
            won = list(writers.map(new.put_new, [bytes([each]) for each in range(8)]))
        assert won.count(True) == 1
        assert new.range(0, 1) == bytes([won.index(True)])


def test_names_come_in_pages_and_an_object_that_is_not_there_is_said(server: GcsServer) -> None:
    store = store_at("many")
    for number in range(230):
        (store / f"{number:03d}").put_new(b"x")
    assert store.names() == [f"{number:03d}" for number in range(230)]
    with pytest.raises(FileNotFoundError):
        (store / "nothing").digest()


def test_a_topic_is_captured_there_each_row_once(server: GcsServer, tmp_path: Path) -> None:
    topic = QuoteTopic(store_at("captured"), partitions=2, schemas=tmp_path / "schemas")
    for seed in range(3):
        topic.publish(draw_rows(40, seed))
        capture([topic.captured_topic()], topic.target())
    snapshot = HistoryTable(topic.store, "quote").snapshot()
    assert snapshot.rows == 120
    places = "select count(distinct (_partition, _offset, _index)) as places from quote"
    assert history.sql(places, store=topic.store).to_pylist() == [{"places": 120}]
