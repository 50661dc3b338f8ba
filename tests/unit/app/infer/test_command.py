"""The command prints tables that load, and a mistake is one line that says what to do."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from app.commands import infer
from app.config import load_settings
from app.errors import UsageError
from app.infer.propose import stream_name
from tests.stage.proposals import Topic

ROW = json.dumps({"symbol": "A", "ts": 1_705_311_000_000, "price": 1.5}).encode()
Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command on an embedded bus with two topics, and returns what it prints."""
    first = Topic(tmp_path, [(b"A", ROW)], name="md.trades.v1", partitions=4)
    Topic(tmp_path, [(b"A", ROW)], name="md.quotes", partitions=4, bus=first.bus)
    monkeypatch.setattr(infer, "open_bus", lambda _: first.bus)

    def run(*topics: str, stream: str | None = None, config: Path | None = None) -> str:
        infer.topics_infer(list(topics), stream, 10, config, None)
        return capsys.readouterr().out

    return run


def test_the_tables_of_several_topics_make_a_file_of_settings(run: Run, tmp_path: Path) -> None:
    text = run("md.trades.v1", "md.quotes")
    file = tmp_path / "tidemark.toml"
    file.write_text(text)
    settings = load_settings(file)
    assert settings.topic("trade") == "md.trades.v1"
    assert settings.stream("quote").fields.keys() == {"symbol", "price"}


def test_the_name_of_the_stream_can_be_said(run: Run) -> None:
    assert tomllib.loads(run("md.quotes", stream="book"))["streams"].keys() == {"book"}


def test_a_stream_of_the_settings_keeps_its_name(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "tidemark.toml"
    file.write_text('[streams.quote]\ntopic = "md.quotes"\n')
    assert tomllib.loads(run("md.quotes", config=file))["streams"].keys() == {"quote"}


def test_streams_that_are_not_finished_do_not_keep_a_file_from_being_used(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "tidemark.toml"
    file.write_text(
        '[streams.quote]\ntopic = "md.quotes"\nformat = "json"\n[streams.other]\nformat = "json"\n'
    )
    with pytest.raises(UsageError, match=r"needs fields.*topics infer"):
        load_settings(file)
    assert tomllib.loads(run("md.quotes", config=file))["streams"].keys() == {"quote"}


def test_a_topic_that_does_not_exist_is_answered_with_those_like_it(run: Run) -> None:
    with pytest.raises(UsageError, match=r"md.quote does not exist \(there is md.quotes\): name topics"):
        run("md.trades.v1", "md.quote")


@pytest.mark.parametrize(
    ("stream", "words"),
    [("Big", "small letters"), ("1st", "a letter first"), ("aligned", "an output of the pipeline")],
)
def test_a_name_that_no_stream_can_have_is_refused(run: Run, stream: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        run("md.quotes", stream=stream)
    with pytest.raises(UsageError, match="names one stream, and 2 topics"):
        run("md.quotes", "md.trades.v1", stream="book")


@pytest.mark.parametrize(
    ("topic", "name"),
    [
        ("md.trades.v1", "trade"),
        ("md.orders.v1", "orders"),
        ("Binance-Book_Ticker", "binance_book_ticker"),
        ("2024", "stream_2024"),
        ("x.7z", "stream_7z"),
        ("a.aligned", "aligned_2"),
        ("...", "stream"),
        ("tidemark.quote", "quote"),
    ],
)
def test_a_topic_names_its_stream(run: Run, tmp_path: Path, topic: str, name: str) -> None:
    assert stream_name(topic, load_settings(None), []) == name
    assert stream_name(topic, load_settings(None), [name]) != name
