"""An import marks rows by ids, corrections, conditions and quotes, and leaves out kinds that are named."""

from pathlib import Path

import pytest

from replay.cli import main
from replay.quality.bad_ticks import BadTick
from replay.store.days import HistoryStore
from tests.stage.days import DATE, NOON_NS, rows_of, write_file

CHECKS = [
    "--flag-bad-ticks",
    *("--ids", "trade=trade_id"),
    *("--corrections", "trade=corr"),
    *("--conditions", "trade=cond"),
    *("--against", "trade=quote"),
]
MARKS = [0, BadTick.OFF_QUOTE, BadTick.DUPLICATE, BadTick.CORRECTION]


def write_days(folder: Path, *, ask: float = 100.02) -> None:
    """Four trades: a good one, one off its quote, one twice, and a correction; quotes come in two pieces."""
    write_file(
        folder,
        "trades.parquet",
        ts_ns=[NOON_NS + number for number in range(1, 5)],
        symbol=["A"] * 4,
        price=[100.0, 101.0, 100.0, 100.0],
        trade_id=[7, 8, 7, 9],
        corr=["00", "00", "00", "08"],
        cond=["@", "@O", "@ T", "?"],
    )
    write_file(
        folder,
        "quotes.parquet",
        ts_ns=[NOON_NS + 1, NOON_NS],
        symbol=["A", "A"],
        bid_price=[100.0, 1.0],
        ask_price=[ask, 1.0],
    )


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(list(arguments)) == code
    printed = capsys.readouterr()
    return printed.out + printed.err


def test_rows_are_marked_and_say_what_they_count_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, store = tmp_path / "data", tmp_path / "history"
    write_days(data)
    command = ["import", str(data), "--store", str(store), *CHECKS]
    assert f"trade {DATE}: 4 rows imported, 3 flagged as bad ticks\n" in run(capsys, *command)
    rows = rows_of(HistoryStore(store).day("trade", DATE))
    assert rows.column("bad_tick").to_pylist() == MARKS
    words = ("price_ok", "last_ok", "volume_ok", "auction", "extended")
    assert [[row[name] for name in words] for row in rows.to_pylist()] == [
        [True, True, True, False, False],
        [True, True, True, True, False],
        [False, False, True, False, True],
        [False, False, False, False, False],
    ]
    assert f"trade {DATE}: 4 rows imported before\n" in run(capsys, *command)
    write_days(data, ask=100.99)  # other quotes are another verdict of the same trades
    assert f"trade {DATE}: 4 rows imported, 2 flagged as bad ticks\n" in run(capsys, *command, "--replace")


def test_kinds_that_are_named_are_left_out_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, store = tmp_path / "data", tmp_path / "history"
    write_days(data)
    command = ["import", str(data), "--store", str(store), "--leave-out", "duplicate,correction"]
    command += ["--ids", "trade=trade_id", "--corrections", "trade=corr"]
    assert f"trade {DATE}: 2 rows would be imported, 2 left out\n" in run(capsys, *command, "--dry-run")
    assert f"trade {DATE}: 2 rows imported, 2 left out\n" in run(capsys, *command)
    rows = rows_of(HistoryStore(store).day("trade", DATE))
    assert rows.column("trade_id").to_pylist() == [7, 8]
    assert "bad_tick" not in rows.schema.names


def test_a_day_in_the_history_is_measured_by_the_same_rules(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, store = tmp_path / "data", tmp_path / "history"
    write_days(data)
    run(capsys, "import", str(data), "--store", str(store))
    answer = run(capsys, "quality", "--store", str(store), *CHECKS[1:], "--trimmed-mean")
    assert (
        "checks: 0 far, 1 off quote, 1 duplicate, 1 correction, 2 price ok, 2 last ok, 3 volume ok, "
        "1 auction, 1 extended, 1 unknown condition\n"
    ) in answer
    assert (
        f"trade {DATE}: degraded: 1 rows with an id that was there; "
        "1 rows with a condition that the table lacks\n"
    ) in answer
    alone = run(capsys, "quality", "--store", str(store), "--ids", "trade=trade_id", "--dedup-seconds", "0")
    assert "checks: 0 duplicate\n" in alone


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--ids", "trade=trade_id"], "say --flag-bad-ticks for the column, or --leave-out"),
        (["--leave-out", "bad"], "'bad' is no kind of bad tick"),
        (["--flag-bad-ticks", "--ids", "bar=id"], "there is no stream bar to check"),
        (["--flag-bad-ticks", "--ids", "trade=no"], "trade has no column no, which --ids names"),
        (["--flag-bad-ticks", "--against", "trade"], "write it as --against trade=quote"),
        (["--conditions", "trade=cond/a,b"], "a tape is one column"),
        (["--conditions", "trade=cond", "--rename", "corr=auction"], "--rename auction=NEW"),
        (["--odd-lots", "volume", "--condition-table", "codes.csv"], "--odd-lots is of the US tapes"),
        (["--condition-table", "nowhere.csv"], "is no table of conditions"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], reason: str
) -> None:
    write_days(tmp_path / "data")
    store = tmp_path / "history"
    answer = run(capsys, "import", str(tmp_path / "data"), "--store", str(store), *flags, code=2)
    assert reason in answer
    assert answer.count("\n") == 1
    assert not HistoryStore(store).dates()
