"""An import brings values into another unit, and puts a value in the place of nulls."""

from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.cli import main
from replay.errors import HistoryError
from replay.normalise import ValueRules
from replay.store.days import HistoryStore
from tests.stage.days import DATE, NOON_NS, rows_of, write_file


def write_trades(folder: Path) -> None:
    write_file(
        folder,
        "trades.parquet",
        ts_ns=[NOON_NS, NOON_NS + 1],
        symbol=["A", "A"],
        px=[1_000_100, None],
        lots=[3, 4],
        tape=[None, "A"],
        ratio=["x", "y"],
    )


def test_values_have_another_unit_and_nulls_a_value(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, store = tmp_path / "data", tmp_path / "history"
    write_trades(data)
    command = ["import", str(data), "--store", str(store), "--rename", "px=price"]
    command += ["--factor", "price=1/10000", "--factor", "lots=100", "--default", "tape=C"]
    assert main(command) == 0
    rows = rows_of(HistoryStore(store).day("trade", DATE))
    assert rows.column("price").to_pylist() == [100.01, None]
    assert (rows.column("lots").type, rows.column("lots").to_pylist()) == (pa.int64(), [300, 400])
    assert rows.column("tape").to_pylist() == ["C", "A"]
    capsys.readouterr()
    assert main(command) == 0
    assert "2 rows imported before" in capsys.readouterr().out
    assert main([*command, "--default", "price=0"]) == 0
    assert rows_of(HistoryStore(store).day("trade", DATE)).column("price").to_pylist() == [100.01, 0.0]


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--factor", "px"], "write it as --factor price=1/10000"),
        (["--factor", "px=0"], "write a number above 0, or a fraction"),
        (["--factor", "px=1/0"], "write a number above 0, or a fraction"),
        (["--factor", "px=2", "--factor", "px=3"], "--factor names px twice"),
        (["--factor", "ratio=2"], "only whole numbers and floats take a factor"),
        (["--factor", "no=2"], "--factor no: no file has such a column"),
        (["--factor", f"lots={2**62}"], "write a number above 0, or a fraction"),
        (["--factor", f"px={2**53}"], "overflow"),
        (["--default", "px=many"], "'many' is no int64"),
        (["--default", "ts_ns=0"], "ts_ns is a clock"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], reason: str
) -> None:
    write_trades(tmp_path / "data")
    assert main(["import", str(tmp_path / "data"), "--store", str(tmp_path / "history"), *flags]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1


@given(
    st.integers(-(2**40), 2**40),
    st.sampled_from(["1/10000", "0.01", "1/3", "1000", "5e-9"]),
)
def test_a_whole_number_becomes_the_float_that_is_nearest_to_the_product(value: int, factor: str) -> None:
    rules = ValueRules.parse([f"x={factor}"], [])
    (made,) = rules.apply("x", pa.array([value], pa.int64())).to_pylist()
    assert made == float(value * Fraction(factor))


def test_a_whole_number_that_no_float_holds_is_refused() -> None:
    with pytest.raises(HistoryError, match="column 'x' times 1/2"):
        ValueRules.parse(["x=1/2"], []).apply("x", pa.array([2**53 + 1], pa.int64()))
