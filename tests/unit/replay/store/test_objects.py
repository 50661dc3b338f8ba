"""A history at an object store is as one in a folder, and says what is wrong with its store in one line."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from replay import history
from replay.capture.session import capture
from replay.cli import main
from replay.errors import FencedCommitError, HistoryError, StoreAwayError
from replay.store.cache import CacheSettings, current_cache, use_cache
from replay.store.compact import compact, plan_compaction
from replay.store.content_hash import combined, content_hash
from replay.store.coverage import covered_ranges
from replay.store.days import HistoryStore
from replay.store.footers import read_footer
from replay.store.objects import CREDENTIALS, Folder, ObjectFolder, parse_store, store_error
from replay.store.prune import Wanted
from replay.store.rebucket import rebucket
from replay.store.scan import Scan, stored_rows
from replay.store.table import Change, HistoryTable, create_table, has_table, table_streams
from replay.store.upgrade import upgrade
from replay.store.upkeep import restore, vacuum, verify
from schemas.stream import Stream
from tests.stage.captured import QuoteTopic
from tests.stage.history_tables import RULES, SCHEMA, append, draw_rows, placed, table_of, write_parts
from tests.stage.object_server import SECRET, ObjectServer, Refusal

QUERY = "select symbol, count(*) as rows, max(price) as highest from quote group by symbol order by symbol"


pytestmark = pytest.mark.takes_s(15)


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    running = ObjectServer()
    yield running
    running.close()


@pytest.fixture
def bucket(
    server: ObjectServer, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Folder]:
    """A store in a bucket of this test alone, and a cache of its own."""
    server.environment(monkeypatch)
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[-50:].strip("-")
    use_cache(CacheSettings(folder=tmp_path / "cache", size_max=2**26))
    yield parse_store(f"{server.bucket(name)}/history")
    server.order()
    use_cache(CacheSettings())


def hash_of(table: HistoryTable) -> int:
    snapshot = table.snapshot()
    return combined(*(content_hash(rows) for rows in stored_rows(snapshot, snapshot.parts)))


def said(problem: pytest.ExceptionInfo[HistoryError]) -> str:
    """The message, which is one line and has no secret."""
    text = str(problem.value)
    assert "\n" not in text
    assert SECRET not in text
    return text


@pytest.mark.parametrize(
    ("text", "store"),
    [
        ("build/history", Path("build/history")),
        ("/a/b", Path("/a/b")),
        ("s3://bucket", ObjectFolder("s3://bucket")),
        ("S3://bucket/a/b/", ObjectFolder("s3://bucket/a/b")),
        ("gs://bucket/a", ObjectFolder("gs://bucket/a")),
        ("az://container/a", ObjectFolder("az://container/a")),
    ],
)
def test_a_store_is_a_folder_or_a_bucket(text: str, store: Folder) -> None:
    assert parse_store(text) == store


@pytest.mark.parametrize(
    "text",
    [
        "ftp://bucket/a",
        "s3:/bucket/a",
        "s3://",
        f"s3://key:{SECRET}@bucket/a",
        f"az://container/a?sig={SECRET}",
        "s3://bucket/a//b",
    ],
)
def test_what_is_neither_is_refused_without_what_it_may_hold(text: str) -> None:
    with pytest.raises(HistoryError) as wrong:
        parse_store(text)
    assert "://" in said(wrong)


def test_what_a_client_says_is_one_line_without_signatures() -> None:
    text = f"Generic error GET https://a.example/x?sig={SECRET}&b=1 failed\n  at once\nDebug source: {SECRET}"
    assert str(store_error("az://a/x", ValueError(text))) == (
        "az://a/x: the object store refuses: Generic error GET https://a.example/x failed at once"
    )


def test_memory_is_one_folder_for_the_whole_process() -> None:
    table_of(parse_store("memory://of-a-test/a"), draw_rows(20, seed=1))
    assert HistoryTable(parse_store("memory://of-a-test/a"), "quote").snapshot().rows == 20
    assert not has_table(parse_store("memory://another/a"), "quote")


def test_a_bucket_answers_as_a_folder_does(bucket: Folder, tmp_path: Path) -> None:
    batches = [draw_rows(150, seed) for seed in range(3)]
    near, far = table_of(tmp_path, *batches), table_of(bucket, *batches)
    first_ns = int(batches[0].column("known_ns")[0].as_py())
    wanted: list[dict[str, Any]] = [
        {},
        {"symbols": ["A", "D"]},
        {"columns": ["price"], "from_ns": first_ns + 10**13, "to_ns": first_ns + 9 * 10**13},
        {"symbols": ["B"], "from_ns": first_ns + 10**14, "version": 2},
    ]
    for asked in wanted:
        rows = [list(history.batches("quote", store=each, **asked)) for each in (tmp_path, bucket)]
        assert pa.Table.from_batches(rows[0]) == pa.Table.from_batches(rows[1])
        frames = [history.scan("quote", store=each, **asked).collect() for each in (tmp_path, bucket)]
        order = frames[0].columns
        assert frames[0].sort(order).equals(frames[1].sort(order))
    assert history.sql(QUERY, store=bucket) == history.sql(QUERY, store=tmp_path)
    assert (near.rules, table_streams(bucket)) == (far.rules, ["quote"])
    assert hash_of(near) == hash_of(far)


def test_a_frame_of_a_bucket_fetches_when_it_is_collected_and_takes_what_polars_asks(
    bucket: Folder, server: ObjectServer
) -> None:
    table_of(bucket, draw_rows(200, seed=4))
    server.order()
    frame = history.scan("quote", store=bucket)
    assert not server.parts_read()
    chosen = frame.filter(pl.col("price") > 0.5).select("symbol", "price").head(7).collect()
    assert chosen.columns == ["symbol", "price"]
    assert chosen.height == 7
    assert chosen["price"].min() > 0.5  # type: ignore[operator]
    assert frame.select(pl.len()).collect().item() == 200


def test_of_two_writers_one_is_refused(bucket: Folder) -> None:
    table = create_table(bucket, RULES, SCHEMA)
    late = HistoryTable(bucket, "quote")
    parts = write_parts(table, placed(draw_rows(30, seed=1)))
    change = Change(adds=parts, transactions={"capture": 30}, expected={"capture": None})
    assert table.commit(change) == 1
    with pytest.raises(FencedCommitError, match="another has committed to s3://"):
        late.commit(change)
    assert HistoryTable(bucket, "quote").snapshot().rows == 30


def test_rows_written_again_have_the_same_name_and_nothing_is_written_over(bucket: Folder) -> None:
    table = create_table(bucket, RULES, SCHEMA)
    first, second = (write_parts(table, placed(draw_rows(30, seed=1))) for _ in range(2))
    assert first == second
    assert isinstance(table.root, ObjectFolder)
    assert not (table.root / first[0].path).put_new(b"other bytes")
    assert list(verify(table.snapshot())) == []


@pytest.mark.slow
def test_compaction_rebucketing_restoring_and_vacuum_keep_every_row(bucket: Folder) -> None:
    table = table_of(bucket, *(draw_rows(60, seed) for seed in range(3)))
    before, version = hash_of(table), table.version
    for group in plan_compaction(table.snapshot()):
        compact(table, group, by="a test")
    assert len(table.snapshot().parts) < len(HistoryTable(bucket, "quote", version).snapshot().parts)
    rebucket(table, 8, by="a test")
    assert hash_of(table) == before
    restore(table, version, by="a test")
    assert hash_of(HistoryTable(bucket, "quote")) == before
    assert list(verify(HistoryTable(bucket, "quote").snapshot())) == []
    assert vacuum(HistoryTable(bucket, "quote"), 720, dry_run=False) == []  # nothing is so old


def test_a_capture_takes_each_row_once_and_another_in_its_place_is_refused(
    bucket: Folder, tmp_path: Path
) -> None:
    topic = QuoteTopic(bucket, schemas=tmp_path / "schemas")
    rows = [draw_rows(80, seed) for seed in range(3)]
    topic.publish(rows[0])
    assert capture([topic.captured_topic()], topic.target()) == 0
    topic.publish(rows[1], garbage=b"no Avro")
    one, other = topic.capture(), topic.capture()
    for work in (one, other):
        while work.turn(0, wait_ms=0):
            continue
        work.commit(0)
    assert (one.counts.fenced, other.counts.fenced) == (0, 1)
    topic.publish(rows[2])
    assert capture([topic.captured_topic()], topic.target()) == 0
    snapshot = HistoryTable(bucket, "quote").snapshot()
    assert snapshot.rows == 240
    assert all(len(ranges) == 1 for ranges in covered_ranges(snapshot).values())
    assert HistoryTable(bucket, "quote_dead").snapshot().rows == 1


def test_a_capture_waits_for_a_store_that_goes_away(
    bucket: Folder, tmp_path: Path, server: ObjectServer, capsys: pytest.CaptureFixture[str]
) -> None:
    topic = QuoteTopic(bucket, schemas=tmp_path / "schemas")
    topic.publish(draw_rows(80, seed=1))
    assert capture([topic.captured_topic()], topic.target()) == 0
    topic.publish(draw_rows(80, seed=2))
    server.order(Refusal(r"PUT .*\.parquet", 501, "NotImplemented", times=11))  # with all its retries
    assert capture([topic.captured_topic()], topic.target()) == 0
    assert "the object store does not answer (status 501)" in capsys.readouterr().err
    assert HistoryTable(bucket, "quote").snapshot().rows == 160


def test_a_day_comes_from_a_folder_into_a_bucket_and_is_read_as_a_day(bucket: Folder, tmp_path: Path) -> None:
    near, far = HistoryStore(tmp_path / "near"), HistoryStore(bucket)
    stream = Stream(name="quote", schema=SCHEMA, sequence="sequence")
    rows = draw_rows(300, seed=7, days=1).sort_by([("known_ns", "ascending"), ("sequence", "ascending")])
    day = near.write(stream, "2025-11-28", [rows], order="known", made={"timezone": "UTC"})
    assert [one.problem for one in upgrade(near, 4, bucket)] == [""]
    assert near.folder_days()
    assert (far.dates(), far.streams("2025-11-28"), far.folder_days()) == (["2025-11-28"], ["quote"], [])
    there = far.day("quote", "2025-11-28")
    assert pa.Table.from_batches(there.batches()) == pa.Table.from_batches(day.batches())
    assert (there.zone, there.root) == ("UTC", bucket)
    append(HistoryTable(bucket, "quote"), placed(draw_rows(40, seed=8), 300))
    assert far.dates() == ["2025-11-28", "2025-11-29"]
    with pytest.raises(HistoryError, match="keeps days in tables: make the day in a folder"):
        far.write(stream, "2025-11-30", [rows], order="known", made={})


@pytest.mark.slow
def test_every_command_takes_a_url(
    bucket: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    near = HistoryStore(tmp_path / "near")
    stream = Stream(name="quote", schema=SCHEMA, sequence="sequence")
    near.write(stream, "2025-11-28", [draw_rows(90, seed=7, days=1)], order="known", made={"timezone": "UTC"})
    assert main(["upgrade", "--store", str(near.root), "--to", str(bucket), "--why", "a move"]) == 0
    for command, said in (
        (["catalog"], "quote"),
        (["sql", "select count(*) as rows from quote", "--explain"], "90"),
        (["sql", "select command, why, outcome from audit_log order by known_ns"], "a move\tdone"),
        (["compact", "--stream", "quote"], "small parts"),
        (["verify", "--stream", "quote"], "90 rows, 0 faults"),
        (["rebucket", "--stream", "quote", "--buckets", "8"], "are in 8 buckets"),
        (["retain", "--stream", "quote", "--before", "2025-11-28", "--dry-run"], "0 parts"),
        (["vacuum", "--stream", "quote", "--yes"], "0 files deleted"),
        (["quality", "--no-table"], "quote 2025-11-28"),
    ):
        assert main([*command, "--store", str(bucket)]) == 0, command
        assert said in capsys.readouterr().out, command


def test_a_command_says_where_copies_are_and_how_many_bytes(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert main(["--cache", str(cache), "--cache-size", "4000", "catalog", "--store", str(tmp_path)]) == 0
    assert current_cache().settings == CacheSettings(folder=cache, size_max=4_000)
    use_cache(CacheSettings())


def test_a_second_query_asks_for_no_part(bucket: Folder, server: ObjectServer) -> None:
    table_of(bucket, draw_rows(200, seed=1), draw_rows(200, seed=2))
    read_footer.cache_clear()
    for store_reads in (True, False):
        server.order()
        history.sql(QUERY, symbols=["A"], store=bucket)
        list(history.batches("quote", symbols=["A"], store=bucket))
        history.scan("quote", symbols=["A"], store=bucket).collect()
        assert bool(server.parts_read()) == store_reads
    assert current_cache().counts.bypasses == 0


def test_a_narrow_query_fetches_its_parts_and_no_other(bucket: Folder, server: ObjectServer) -> None:
    table = table_of(bucket, draw_rows(400, seed=1))
    read_footer.cache_clear()
    server.order()
    assert history.sql("select count(*) from quote", symbols=["A"], store=bucket)[0][0].as_py() > 0
    scan = Scan(table.snapshot(), Wanted(keys=frozenset({b"A"})))
    asked = set(server.parts_read())
    assert len(asked) <= scan.report.parts.by_bucket < scan.report.parts.total


def test_what_the_cache_cannot_keep_is_read_by_ranges_and_said_of_queries(
    bucket: Folder, tmp_path: Path
) -> None:
    rows = draw_rows(300, seed=1)
    table_of(bucket, rows)
    use_cache(CacheSettings(folder=tmp_path / "small", size_max=2_000))
    read = pa.Table.from_batches(history.batches("quote", store=bucket))
    assert read.num_rows == 300
    assert current_cache().counts.bypasses > 0
    for ask in (
        lambda: history.sql(QUERY, store=bucket),
        lambda: history.scan("quote", store=bucket).collect(),
    ):
        with pytest.raises((HistoryError, pl.exceptions.ComputeError), match="has room for 2,000"):
            ask()


def test_a_part_that_is_gone_or_cut_is_named(bucket: Folder, server: ObjectServer) -> None:
    table = table_of(bucket, draw_rows(100, seed=1))
    gone, cut = table.snapshot().parts[:2]
    assert isinstance(table.root, ObjectFolder)
    (table.root / gone.path).delete()
    (table.root / cut.path).delete()
    (table.root / cut.path).put_new(b"PAR1")
    read_footer.cache_clear()
    with pytest.raises(HistoryError) as wrong:
        history.sql(QUERY, store=bucket)
    assert re.search(r"(is not there|came with).*python -m replay verify", said(wrong))
    assert sorted(fault.what.split(":")[0] for fault in verify(table.snapshot())) == [
        "has other bytes than it was named for",
        "is not there",
    ]


def test_no_bucket_is_said_before_anything_is_read(
    bucket: Folder, server: ObjectServer, capsys: pytest.CaptureFixture[str]
) -> None:
    none = parse_store("s3://nobody-has-this/history")
    for ask in (
        lambda: HistoryTable(none, "quote"),
        lambda: create_table(none, RULES, SCHEMA),
        lambda: HistoryStore(none).dates(),
        lambda: has_table(none, "quote"),
    ):
        with pytest.raises(HistoryError) as wrong:
            ask()
        assert "there is no such bucket; make it first" in said(wrong)
    assert main(["sql", "select * from quote", "--store", str(none)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_no_right_is_said_with_where_rights_come_from(bucket: Folder, server: ObjectServer) -> None:
    table = table_of(bucket, draw_rows(20, seed=1))
    server.order(Refusal(""))
    read_footer.cache_clear()
    for ask in (
        lambda: HistoryTable(bucket, "quote"),
        lambda: append(table, placed(draw_rows(20, seed=2), 20)),
        lambda: table_streams(bucket),
        lambda: list(Scan(table.snapshot(), Wanted()).batches()),
    ):
        with pytest.raises(HistoryError) as wrong:
            ask()
        assert "access is refused" in said(wrong)
        assert CREDENTIALS["s3"] in said(wrong)


def test_a_right_to_read_alone_is_found_before_rows_are_written(bucket: Folder, server: ObjectServer) -> None:
    table = table_of(bucket, draw_rows(20, seed=1))
    server.order(Refusal("^(PUT|POST|DELETE)"))
    assert pa.Table.from_batches(Scan(table.snapshot(), Wanted()).batches()).num_rows == 20
    with pytest.raises(HistoryError, match="access is refused"):
        create_table(bucket / "another", RULES, SCHEMA)


def test_a_store_that_writes_over_new_objects_is_refused(bucket: Folder, server: ObjectServer) -> None:
    server.order(heeds_conditions=False)
    with pytest.raises(HistoryError, match=r"does not heed If-None-Match.*nothing is written there"):
        create_table(bucket / "another", RULES, SCHEMA)
    assert not has_table(bucket / "another", "quote")


def test_a_store_that_does_not_answer_is_told_from_one_that_refuses(
    bucket: Folder, monkeypatch: pytest.MonkeyPatch, server: ObjectServer
) -> None:
    table_of(bucket, draw_rows(20, seed=1))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StoreAwayError) as wrong:
        HistoryTable(bucket, "quote")
    assert "the object store does not answer; is its endpoint right?" in said(wrong)
