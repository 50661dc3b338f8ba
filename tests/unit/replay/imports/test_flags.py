"""An import can say which prices cannot be meant: every row is kept, and judged by rows before it alone."""

from pathlib import Path

import pytest

from replay.cli import main
from replay.errors import SourceError
from replay.imports.folder import import_folder
from replay.quality.bad_ticks import BadTick, BadTickRules
from replay.store.days import HistoryStore
from tests.stage.days import DATE, NOON_NS, rows_of, write_file

PRICES = [10.0] * 15 + [12.0, 10.0, 0.0]
TIMES_NS = [NOON_NS + number for number in range(18)]


def write_days(folder: Path) -> None:
    """A day of trades in two files, the later rows in the first, and a quote that is locked."""
    for name, part in (("trades_1", slice(9, None)), ("trades_2", slice(0, 9))):
        write_file(folder, f"{name}.parquet", ts_ns=TIMES_NS[part], symbol=["A"] * 9, price=PRICES[part])
    write_file(
        folder,
        "quotes.parquet",
        ts_ns=TIMES_NS[:1],
        symbol=["A"],
        bid_price=[1.0],
        ask_price=[1.0],
        note=["x"],
    )


def test_flags_are_a_column_of_the_day_in_its_order_and_no_row_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_days(tmp_path / "data")
    command = ["import", str(tmp_path / "data"), "--store", str(tmp_path / "history"), "--flag-bad-ticks"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert f"trade {DATE}: 18 rows imported, 2 flagged as bad ticks\n" in printed
    assert f"quote {DATE}: 1 rows imported\n" in printed
    store = HistoryStore(tmp_path / "history")
    rows = rows_of(store.day("trade", DATE))
    assert rows.column("price").to_pylist() == PRICES
    wrong = [0] * 15 + [BadTick.OUTLIER, 0, BadTick.OUTLIER | BadTick.NOT_POSITIVE]
    assert rows.column("bad_tick").to_pylist() == wrong
    quotes = rows_of(store.day("quote", DATE)).to_pylist()
    assert (quotes[0]["note"], quotes[0]["bad_tick"]) == ("x", BadTick.LOCKED)
    assert main(command) == 0
    assert f"trade {DATE}: 18 rows imported before\n" in capsys.readouterr().out
    assert main([*command, "--tick", "10"]) == 0
    assert f"trade {DATE}: 18 rows imported, 1 flagged as bad ticks\n" in capsys.readouterr().out


def test_a_column_that_has_the_name_of_the_flags_is_refused_and_can_be_renamed(tmp_path: Path) -> None:
    write_file(
        tmp_path / "data", "trades.parquet", ts_ns=[NOON_NS], symbol=["A"], price=[1.0], bad_tick=["no"]
    )
    store, rules = HistoryStore(tmp_path / "history"), BadTickRules()
    with pytest.raises(SourceError, match="--rename bad_tick=NEW"):
        import_folder(store, tmp_path / "data", bad_ticks=rules, dry_run=True)
    import_folder(store, tmp_path / "data", bad_ticks=rules, rename=["bad_tick=of_vendor"])
    assert rows_of(store.day("trade", DATE)).column("of_vendor").to_pylist() == ["no"]
    assert rows_of(store.day("trade", DATE)).column("bad_tick").to_pylist() == [0]


def test_rows_without_prices_have_no_flags(tmp_path: Path) -> None:
    write_file(tmp_path / "data", "trades.parquet", ts_ns=[NOON_NS], symbol=["A"], price=["1.0"])
    store = HistoryStore(tmp_path / "history")
    import_folder(store, tmp_path / "data", bad_ticks=BadTickRules())
    assert rows_of(store.day("trade", DATE)).schema.names == ["event_ns", "symbol", "price"]
