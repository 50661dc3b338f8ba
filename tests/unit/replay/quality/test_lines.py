"""Two recordings of one feed become the feed: what one lost is the other's, and nothing is there twice."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replay.cli import main
from replay.store.day import Day
from replay.store.days import HistoryStore
from tests.stage.days import DATE, NOON_NS, keep_day, rows_of

MS = 1_000_000
ROWS = 400
COMMAND = ("--number", "quote=sequence/channel", "--date", DATE)


def feed() -> dict[str, Any]:
    """The feed itself: two channels, their numbers, and a price for each row."""
    channel = np.arange(ROWS) % 2
    return {
        "event_ns": NOON_NS + np.arange(ROWS) * MS,
        "symbol": np.where(channel == 0, "A", "B"),
        "channel": channel,
        "sequence": np.arange(ROWS) // 2,
        "price": np.random.default_rng(5).random(ROWS),
    }


def record(folder: Path, line: str, *, lost: list[int], late_ms: int, changed: int | None = None) -> None:
    """One line's recording: some rows lost, each up to some milliseconds late."""
    rows = feed()
    waits = np.random.default_rng(late_ms).integers(0, late_ms, ROWS)
    known = rows["event_ns"] + np.where(np.arange(ROWS) < 2, 0, waits) * MS
    order = [int(row) for row in np.argsort(known, kind="stable") if row not in lost]
    if changed is not None:
        rows["price"] = np.where(np.arange(ROWS) == changed, -1.0, rows["price"])
    own = {name: values[order] for name, values in rows.items()}
    keep_day(HistoryStore(folder / line), "quote", own | {"known_ns": known[order]})


def arbitrated(folder: Path, capsys: pytest.CaptureFixture[str], *more: str, code: int = 0) -> str:
    places = [str(folder / "a"), str(folder / "b")]
    assert main(["arbitrate", *places, *COMMAND, "--store", str(folder / "feed"), *more]) == code
    printed = capsys.readouterr()
    return printed.out + printed.err


def day(folder: Path) -> Day:
    return HistoryStore(folder / "feed").day("quote", DATE)


def test_what_one_line_lost_comes_from_the_other_and_what_both_lost_is_a_gap(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path, "a", lost=[10, 11, 12, 50, 51], late_ms=8)
    record(tmp_path, "b", lost=[50, 51, 200], late_ms=12, changed=300)
    answer = arbitrated(tmp_path, capsys)
    assert f"{ROWS - 2:,} rows, " in answer
    assert f"{ROWS - 6:,} second copies left out, 1 of them with other values" in answer
    assert "2 gaps of 2 numbers, 0 of which came too late" in answer
    rows = rows_of(day(tmp_path))
    expected = feed()
    kept = [row for row in range(ROWS) if row not in (50, 51)]
    for channel in (0, 1):
        numbers = [row["sequence"] for row in rows.to_pylist() if row["channel"] == channel]
        assert numbers == [int(expected["sequence"][row]) for row in kept if row % 2 == channel]
    waits = rows.column("known_ns").to_numpy() - rows.column("event_ns").to_numpy()
    assert waits.min() >= 0
    assert main(["quality", "--store", str(tmp_path / "feed"), "--number", "quote=sequence/channel"]) == 0
    assert "2 gaps, 2 missing, 0 came later, 0 twice" in capsys.readouterr().out


def test_a_line_held_against_itself_is_the_feed_in_its_own_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path, "a", lost=[], late_ms=1)
    record(tmp_path, "b", lost=[], late_ms=1)
    arbitrated(tmp_path, capsys)
    assert rows_of(day(tmp_path)).equals(rows_of(HistoryStore(tmp_path / "a").day("quote", DATE)))


def test_the_same_lines_give_the_same_day(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path, "a", lost=[3, 90], late_ms=8)
    record(tmp_path, "b", lost=[4, 91], late_ms=8)
    first = arbitrated(tmp_path, capsys, "--hold-ms", "2")
    digest = day(tmp_path).summary.digest
    assert arbitrated(tmp_path, capsys, "--hold-ms", "2") == first
    assert day(tmp_path).summary.digest == digest


def test_days_that_are_no_two_lines_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quotes = {"event_ns": [NOON_NS], "symbol": ["A"], "sequence": [1], "channel": [0]}
    for line, more in (("a", {"known_ns": [NOON_NS]}), ("b", {})):
        keep_day(HistoryStore(tmp_path / line), "quote", quotes | more)
    assert "is not ordered by known_ns" in arbitrated(tmp_path, capsys, code=2)
    keep_day(HistoryStore(tmp_path / "b"), "quote", quotes | {"known_ns": [NOON_NS], "odd": [1]})
    assert "the lines have different columns" in arbitrated(tmp_path, capsys, code=2)
    for line in ("a", "b"):
        keep_day(HistoryStore(tmp_path / line), "quote", quotes | {"known_ns": [NOON_NS], "sequence": [1.5]})
    assert "column sequence is double" in arbitrated(tmp_path, capsys, code=2)
    assert not (tmp_path / "feed").exists()


def test_numbers_that_begin_anew_or_are_shared_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = [1, 2, 2, 3, 1, 2, 3]
    times_ns = [NOON_NS + number * MS for number in range(len(numbers))]
    for line in ("a", "b"):
        rows = {"event_ns": times_ns, "known_ns": times_ns, "symbol": ["A"] * 7, "channel": [0] * 7}
        keep_day(HistoryStore(tmp_path / line), "quote", rows | {"sequence": numbers})
    answer = arbitrated(tmp_path, capsys)
    assert "8 rows have a number that their own line had before, and are left out as copies" in answer
    record(tmp_path / "good", "a", lost=[3, 90], late_ms=8)
    record(tmp_path / "good", "b", lost=[4, 91], late_ms=8)
    assert "their own line" not in arbitrated(tmp_path / "good", capsys)
