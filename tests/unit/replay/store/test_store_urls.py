"""Where a history is, as it is typed; and what is said of a URL that is wrong, or of what a client said."""

from pathlib import Path

import pytest

from replay.errors import HistoryError
from replay.store.objects import Folder, ObjectFolder, parse_store, store_error
from replay.store.table import HistoryTable, has_table
from tests.stage.history_tables import draw_rows, table_of
from tests.stage.object_server import SECRET


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
    message = str(wrong.value)
    assert "://" in message
    assert SECRET not in message


def test_what_a_client_says_is_one_line_without_signatures() -> None:
    text = f"Generic error GET https://a.example/x?sig={SECRET}&b=1 failed\n  at once\nDebug source: {SECRET}"
    assert str(store_error("az://a/x", ValueError(text))) == (
        "az://a/x: the object store refuses: Generic error GET https://a.example/x failed at once"
    )


def test_memory_is_one_folder_for_the_whole_process() -> None:
    table_of(parse_store("memory://of-a-test/a"), draw_rows(20, seed=1))
    assert HistoryTable(parse_store("memory://of-a-test/a"), "quote").snapshot().rows == 20
    assert not has_table(parse_store("memory://another/a"), "quote")
