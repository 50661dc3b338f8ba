"""The laws of `python -m replay`."""

import shlex
from pathlib import Path

import pytest

from replay.cli import app, main
from replay.publish.session import count_partitions
from replay.store.days import HistoryStore
from tests.stage.days import DATE, NOON_NS, write_file
from tests.stage.programs import started
from tests.stage.typed import examples, helps, reached
from topics.bus import BusError, TopicSpec
from topics.catalogue import CoPartitionError
from topics.memory.bus import MemoryBus

TABLE_COMMANDS = (
    "upgrade",
    "compact",
    "verify",
    "restore",
    "retain",
    "rebucket",
    "vacuum",
    "sql",
    "quality",
)
COMMANDS = ("import", "generate", "catalog", "publish", *TABLE_COMMANDS)


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must fail as bad input does, and return its one line."""
    assert main(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_with_examples_that_can_be_typed(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    shown = examples(helps(app)[command])
    assert shown
    for words in shown:
        assert words[:3] == ["python", "-m", "replay"]
        assert reached(app, words[3:]) == command
        assert f"Example: {shlex.join(words)}" in printed


def test_no_command_lists_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    assert set(helps(app)) == {*COMMANDS, "capture"}  # which answers with the help of `python -m app capture`
    assert all(command in out for command in COMMANDS)


def test_a_date_not_in_the_history_names_those_that_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "--date", DATE, "--quotes", "9", "--trades", "3", "--store", str(tmp_path)]) == 0
    capsys.readouterr()
    said = error_of(capsys, "publish", "--date", "2020-01-01", "--store", str(tmp_path))
    assert f"it has {DATE}" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["import", "nowhere"], "nowhere is not a folder"),
        (["generate", "--date", "15.1.2024"], "YYYY-MM-DD"),
        (["generate", "--date", DATE, "--trades", "0"], "trades is 0"),
        (["generate"], "--date"),
        (["publish", "--date", DATE, "--shape", "heap"], "'heap' is not one of"),
        (["publish", "--date", DATE, "--speed", "fast"], "speed 'fast'"),
        (["publish", "--date", DATE, "--grace-ns", "-1"], "grace_ns -1"),
        (["forget"], "forget"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in error_of(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_settings_file_is_read_by_the_program_that_knows_settings(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text("[pipeline]\nclok = 'event'")
    asked = ["publish", "--date", DATE, "-c", str(file), "--speed", "10"]
    with started("replay", *asked) as publisher:
        out, err = publisher.communicate(timeout=60)
    assert (publisher.returncode, out) == (2, "")
    assert err.startswith(f"error: {file}: unknown key pipeline.clok")


def test_the_catalog_is_a_line_a_day_where_no_terminal_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_file(tmp_path / "data", "trades.parquet", event_ns=[NOON_NS] * 2, symbol=["A", "B"])
    store = str(tmp_path / "history")
    assert main(["import", str(tmp_path / "data"), "--store", store]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"quote: no rows of {DATE}: no trade of such a day has a match in it",
        f"trade {DATE}: 2 rows imported",
    ]
    assert main(["catalog", "--store", store]) == 0
    heading, empty, line = capsys.readouterr().out.splitlines()
    assert empty.split("\t") == [DATE, "quote", "0", "0", "-", "-", "-/-", "no rows"]
    assert heading.split("\t")[:4] == ["date", "stream", "rows", "symbols"]
    assert line.split("\t") == [DATE, "trade", "2", "2", "17:00:00", "17:00:00", "0/-", "trades.parquet"]


def test_an_empty_history_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "--store", str(tmp_path)]) == 0
    assert "is empty" in capsys.readouterr().out
    assert HistoryStore(tmp_path).dates() == []


def test_topics_must_be_there_with_equal_partition_counts() -> None:
    bus = MemoryBus()
    bus.admin().create([TopicSpec(name=f"t.{n}", partitions=n, configs={}) for n in (2, 3)])
    assert count_partitions(bus, ["t.2"]) == 2
    with pytest.raises(BusError, match=r"no topic t\.4: create it"):
        count_partitions(bus, ["t.2", "t.4"])
    with pytest.raises(CoPartitionError, match=r"t\.2 has 2, t\.3 has 3"):
        count_partitions(bus, ["t.2", "t.3"])
