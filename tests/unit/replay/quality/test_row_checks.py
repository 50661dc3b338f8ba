"""Checks that are asked for give the handbook's own examples, and say what they cannot take."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from replay.errors import HistoryError
from replay.quality.bad_ticks import BadTick, BadTickRules, BadTicks, TrimmedRules
from replay.quality.checks import CheckRules, Checks, ConditionColumns, NumberColumn, kinds_of
from replay.quality.conditions import Conditions, OddLots, read_conditions, us_conditions
from replay.quality.duplicates import Duplicates
from replay.quality.quotes_beside import off_quote
from replay.quality.trailing import trimmed_moments
from schemas.stream import Stream

F2_PRICES = [100.00, 100.02, 100.02, 100.01, 100.01, 100.04, 100.03]
TABLE = "tape,code,price,last,volume,auction,extended\n"


def words_of(text: str, odd_lots: OddLots = "all", tape: str | None = None) -> dict[str, bool]:
    rows = pa.RecordBatch.from_pydict({"codes": [text], "tape": [tape or ""]})
    conditions = Conditions(us_conditions(odd_lots))
    words = conditions.take(rows, np.zeros(1, np.int64), "codes", None if tape is None else "tape")
    return {name: bool(word[0]) for name, word in words.items()}


def test_the_second_row_of_an_id_is_a_duplicate_and_equal_rows_without_id_are_none() -> None:
    sources, times_ns = np.zeros(4, np.int64), np.zeros(4, np.int64)
    duplicates = Duplicates(pa.int64())
    assert duplicates.take(sources, pa.array([7, 8, 8, 9]), times_ns).tolist() == [False, False, True, False]
    nothing = pa.array([None, None, None, None], pa.int64())
    assert not duplicates.take(sources, nothing, times_ns).any()


def test_the_trimmed_mean_of_the_example_puts_100_50_out() -> None:
    ticks = np.array([[np.nan, *(round(price * 100) for price in F2_PRICES)]])
    mean, deviation, counts = trimmed_moments(ticks, 20)
    assert (round(float(mean[0]), 5), round(float(deviation[0]), 9), counts[0]) == (
        10001.85714,
        1.345185418,
        7,
    )
    rows = pa.RecordBatch.from_pydict({"price": [*F2_PRICES, 100.50]})
    rules = TrimmedRules(prices_min=7)
    flags = BadTicks(rows.schema, BadTickRules(), rules).flags(rows, np.zeros(8, np.int64), ["A"])
    assert ((flags & BadTick.FAR) != 0).tolist() == [False] * 7 + [True]


def test_three_values_at_each_end_of_sixty_do_not_count() -> None:
    window = np.array([[*[-1e6] * 3, *range(54), *[1e6] * 3]], np.float64)
    mean, deviation, _ = trimmed_moments(window, 20)
    assert mean[0] == 26.5
    assert deviation[0] == np.std(np.arange(54), ddof=1)


@pytest.mark.parametrize(("price", "off"), [(99.97, True), (99.98, False), (100.04, False), (100.05, True)])
def test_a_trade_may_lie_a_spread_outside_its_quote(price: float, off: bool) -> None:
    sides = np.array([[100.00], [100.02]])
    ticks = np.array([round(price * 100)], np.float64)
    assert off_quote(ticks, sides, np.array([0.01]), 1.0).tolist() == [off]


def test_an_odd_lot_counts_for_volume_alone_where_that_is_wanted() -> None:
    assert words_of("F I", "volume") | {"last_ok": False} == {
        "price_ok": False,
        "last_ok": False,
        "volume_ok": True,
        "auction": False,
        "extended": False,
    }
    assert words_of("F I")["price_ok"]


def test_a_code_means_what_its_tape_says_and_an_unknown_one_allows_nothing() -> None:
    assert [words_of("B", tape=tape)["price_ok"] for tape in "ABC"] == [False, False, True]
    assert not any(words_of("@ ?").values())
    assert words_of("@O")["auction"]
    assert words_of("@T") == words_of("U")  # extended hours: volume alone
    assert words_of("@T")["extended"]


def test_a_sold_trade_is_a_last_price_only_as_the_first_of_the_day() -> None:
    rows = pa.RecordBatch.from_pydict({"codes": ["Z", "Z", "@", "Z", "M"]})
    words = Conditions(us_conditions()).take(rows, np.array([0, 0, 1, 1, 2]), "codes", None)
    assert words["last_ok"].tolist() == [True, False, True, False, False]
    assert words["price_ok"].tolist() == [True] * 4 + [False]


def test_a_table_of_your_own_may_have_words_for_codes(tmp_path: Path) -> None:
    file = tmp_path / "codes.csv"
    file.write_text(f"{TABLE},AUC,true,yes,true,true,false\nX,A,false,first,true,false,true\n")
    rows = pa.RecordBatch.from_pydict({"codes": ["AUC", "A,AUC", "A"], "tape": ["", "X", "Y"]})
    conditions = Conditions(read_conditions(file))
    words = conditions.take(rows, np.arange(3), "codes", "tape")
    assert words["auction"].tolist() == [True, True, False]
    assert words["last_ok"].tolist() == [True, True, False]
    assert (words["extended"].tolist(), conditions.unknown) == ([False, True, False], 1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("code\n", "its first line must name tape, code"),
        (f"{TABLE},A,yes,yes,true,true,true\n", "line 2: price must be true or false"),
        (f"{TABLE},A,true,maybe,true,true,true\n", "line 2: last must be yes, no or first"),
        (f"{TABLE},,true,yes,true,true,true\n", "line 2: a code must be there"),
        (f"{TABLE}" + ",A,true,yes,true,true,true\n" * 2, "line 3: a code must be there, and once"),
    ],
)
def test_a_table_that_cannot_be_read_is_named_with_its_line(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "codes.csv").write_text(text)
    with pytest.raises(HistoryError, match=reason):
        read_conditions(tmp_path / "codes.csv")


def marks(rules: CheckRules, **columns: Sequence[object]) -> list[int]:
    size = len(next(iter(columns.values())))
    rows = pa.RecordBatch.from_pydict({"event_ns": [0] * size, "symbol": ["A"] * size, **columns})
    stream = Stream(name="trade", schema=rows.schema, key=("symbol",))
    zeros = np.zeros(rows.num_rows, np.int64)
    found: list[int] = Checks(stream, rules).marks(rows, zeros, ["A"], zeros).tolist()
    return found


def test_cancels_and_corrections_are_marked_in_text_and_in_numbers() -> None:
    rules = CheckRules(corrections={"trade": "corr"})
    for corr in ([0, 8, 10, None], ["00", "08", "10", ""]):
        assert marks(rules, corr=list(corr)) == [0, BadTick.CORRECTION, BadTick.CORRECTION, 0]


def test_words_of_a_dictionary_are_those_of_its_values() -> None:
    columns = {name: pa.array(["7", "7"]).dictionary_encode() for name in ("id", "corr")}
    rules = CheckRules(ids={"trade": NumberColumn("id")}, corrections={"trade": "corr"})
    assert marks(rules, **columns) == [BadTick.CORRECTION, BadTick.DUPLICATE | BadTick.CORRECTION]
    rows = pa.RecordBatch.from_pydict({"codes": pa.array(["@", "M"]).dictionary_encode()})
    words = Conditions(us_conditions()).take(rows, np.zeros(2, np.int64), "codes", None)
    assert words["price_ok"].tolist() == [True, False]


def test_ids_are_those_of_a_symbol_unless_another_column_says_whose() -> None:
    columns = {"id": ["7", "7"], "venue": ["N", "Q"]}
    assert marks(CheckRules(ids={"trade": NumberColumn("id")}), **columns) == [0, BadTick.DUPLICATE]
    assert marks(CheckRules(ids={"trade": NumberColumn("id", ("venue",))}), **columns) == [0, 0]


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"ids": {"trade": NumberColumn("no")}}, "trade has no column no, which --ids names"),
        ({"ids": {"trade": NumberColumn("x")}}, "ids are double"),
        ({"corrections": {"trade": "no"}}, "which --corrections names"),
        ({"conditions": {"trade": ConditionColumns("no")}}, "which --conditions names"),
        ({"conditions": {"trade": ConditionColumns("x")}}, "column x is double, and --conditions needs text"),
        ({"quotes": {"trade": "quote"}}, "trade has no numbers in price"),
        ({"spreads_max": -1.0}, "must be 0 or more"),
    ],
)
def test_what_cannot_be_checked_is_refused(rules: dict[str, object], reason: str) -> None:
    with pytest.raises(HistoryError, match=reason):
        marks(CheckRules(**rules), x=[1.0])  # type: ignore[arg-type]


def test_kinds_are_read_by_name() -> None:
    assert kinds_of("duplicate, correction") == BadTick.DUPLICATE | BadTick.CORRECTION
    with pytest.raises(HistoryError, match="'good' is no kind of bad tick: there are not_positive, crossed"):
        kinds_of("good")
