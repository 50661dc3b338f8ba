"""The laws of symbols: an instrument id is what the file's header calls it on a row's day."""

from datetime import date, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from replay.imports.dbn_symbols import SymbolMap, read_symbols

FIRST = date(2024, 1, 1)
DAY = (FIRST - date(1970, 1, 1)).days


def interval(lower: int, upper: int, symbol: str) -> dict[str, object]:
    """From one day of January to another, exclusive, both counted from 0."""
    return {
        "start_date": FIRST + timedelta(lower),
        "end_date": FIRST + timedelta(upper),
        "symbol": symbol,
    }


def texts(symbols: SymbolMap, *rows: tuple[int, int]) -> list[str]:
    ids, days = np.array(rows, dtype=np.int64).reshape(len(rows), 2).T
    result: list[str] = symbols.texts(ids, days + DAY).to_pylist()
    return result


def test_an_id_that_is_given_anew_is_another_symbol_from_that_day_on() -> None:
    mappings = {"A": [interval(0, 2, "7"), interval(2, 9, "8")], "B": [interval(2, 4, "7")]}
    symbols = read_symbols(mappings, "raw_symbol", "instrument_id")
    assert texts(symbols, (7, 0), (7, 1), (7, 2), (8, 2), (7, 3)) == ["A", "A", "B", "A", "B"]
    assert symbols.notes == []


def test_an_id_without_a_symbol_on_its_day_is_text_and_is_said() -> None:
    symbols = read_symbols({"A": [interval(1, 2, "7")]}, "raw_symbol", "instrument_id")
    assert texts(symbols, (7, 0), (7, 1), (7, 2), (2**32 - 1, 1), (0, 1)) == [
        "7",
        "A",
        "7",
        "4294967295",
        "0",
    ]
    assert symbols.notes == [
        "instrument_id 0, 7, 4294967295 has no symbol on its day: in 4 rows symbol is the id"
    ]


def test_a_header_may_name_the_ids_and_give_the_symbols() -> None:
    symbols = read_symbols({"7": [interval(0, 9, "A")]}, "instrument_id", "raw_symbol")
    assert texts(symbols, (7, 3)) == ["A"]


def test_a_header_without_ids_gives_no_symbol() -> None:
    symbols = read_symbols({"A": [interval(0, 9, "7")]}, "parent", "raw_symbol")
    assert texts(symbols, (7, 3)) == ["7"]


def test_an_interval_without_a_symbol_gives_none() -> None:
    mappings = {"A": [interval(0, 2, ""), interval(2, 2, "7"), interval(3, 9, "x")]}
    assert texts(read_symbols(mappings, "raw_symbol", "instrument_id"), (7, 2)) == ["7"]


def test_of_several_symbols_at_a_time_the_first_counts_and_it_is_said() -> None:
    mappings = {"ES.c.0": [interval(3, 6, "7")], "ES.v.0": [interval(0, 9, "7")], "X": [interval(0, 9, "8")]}
    symbols = read_symbols(mappings, "continuous", "instrument_id")
    assert texts(symbols, (7, 0), (7, 3), (7, 5), (7, 6), (8, 6)) == [
        "ES.v.0",
        "ES.c.0",
        "ES.c.0",
        "ES.v.0",
        "X",
    ]
    (note,) = symbols.notes
    assert note.startswith("instrument_id 7 has the symbols ES.c.0, ES.v.0 at a time: symbol is the one")


SPANS = st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(1, 3))


@given(st.dictionaries(st.sampled_from("ABCD"), st.lists(SPANS, max_size=4), max_size=4))
def test_a_row_has_the_first_symbol_whose_interval_holds_its_day(
    spans: dict[str, list[tuple[int, int, int]]],
) -> None:
    mappings = {
        name: [interval(lower, upper, str(number)) for lower, upper, number in of_name]
        for name, of_name in spans.items()
    }
    rows = [(number, day) for number in range(5) for day in range(-1, 10)]
    expected = [
        next(
            (
                name
                for name, of_name in spans.items()
                for lower, upper, one in of_name
                if one == number and lower <= day < upper
            ),
            str(number),
        )
        for number, day in rows
    ]
    assert texts(read_symbols(mappings, "raw_symbol", "instrument_id"), *rows) == expected
