"""The key is what the message keys are, or else a column, with how many messages lie where it says."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.stage.proposals import Messages, Topic

MS = 1_705_311_000_000
SYMBOLS = ("AAPL", "MSFT", "BRK/B", "ÄÖ")


def rows(**columns: str) -> list[dict[str, Any]]:
    """Rows with a symbol each, in a column of that name."""
    name = columns.get("name", "symbol")
    return [{"ts": MS + n, name: symbol, "venue": "N", "v": n} for n, symbol in enumerate(SYMBOLS * 3)]


def topic_of(folder: Path, messages: Messages, partitions: int = 3) -> Topic:
    return Topic(folder, messages, partitions=partitions)


def as_json(row: dict[str, Any]) -> bytes:
    return json.dumps(row).encode()


def test_keys_that_are_the_text_of_symbol_need_nothing(tmp_path: Path) -> None:
    topic = topic_of(tmp_path, [(row["symbol"].encode(), as_json(row)) for row in rows()])
    assert not {"key", "key_from"} & topic.table().keys()
    assert "12 of 12 messages (100 %) lie in the partition" in topic.proposal()


def test_keys_that_are_the_text_of_another_column_name_it(tmp_path: Path) -> None:
    topic = topic_of(tmp_path, [(row["s"].encode(), as_json(row)) for row in rows(name="s")])
    assert topic.table()["key"] == ["s"]
    assert "key_from" not in topic.table()


def test_keys_of_several_columns_name_them_in_their_order(tmp_path: Path) -> None:
    topic = topic_of(tmp_path, [(f"N:{row['symbol']}".encode(), as_json(row)) for row in rows()])
    assert topic.table()["key"] == ["venue", "symbol"]


def test_plain_keys_that_no_column_has_fill_the_column_symbol(tmp_path: Path) -> None:
    topic = topic_of(tmp_path, [(row.pop("symbol").encode(), as_json(row)) for row in rows()])
    assert not {"key", "key_from"} & topic.table().keys()
    assert "the column symbol is filled from them" in " ".join(topic.proposal().split())


@pytest.mark.parametrize(
    "key", [None, b'"AAPL"', b'{"symbol": "AAPL"}', b"\0\0\0\0\7\2A", b"\xff", b"order-17"]
)
def test_keys_that_are_something_else_are_made_from_the_column(tmp_path: Path, key: bytes | None) -> None:
    topic = topic_of(tmp_path, [(key, as_json(row)) for row in rows()])
    table = topic.table()
    assert table["key_from"] == "columns"
    assert "key" not in table
    text = " ".join(topic.proposal().replace("#", "").split())
    assert "topics repartition --from md.trades" in text
    assert "(100 %)" not in text


def test_without_a_usual_name_the_text_with_the_fewest_values_is_a_guess(tmp_path: Path) -> None:
    values = [(None, as_json({"ts": MS, "note": f"n{n}", "about": SYMBOLS[n % 2]})) for n in range(8)]
    topic = topic_of(tmp_path, values)
    assert topic.table()["key"] == ["about"]
    assert "about is a guess" in topic.proposal()


def test_rows_without_anything_like_a_key_are_joined_without(tmp_path: Path) -> None:
    topic = topic_of(tmp_path, [(None, as_json({"ts": MS, "v": n})) for n in range(8)])
    table = topic.table()
    assert table["key"] == []
    assert "key_from" not in table


def test_messages_without_key_among_others_are_counted(tmp_path: Path) -> None:
    messages = [(row["symbol"].encode(), as_json(row)) for row in rows()]
    topic = topic_of(tmp_path, [*messages, (None, messages[0][1])])
    assert "1 of 13 messages have no key" in topic.proposal()
    assert "1 would be dead letters, the first of md.trades[0] offset" in topic.proposal()
