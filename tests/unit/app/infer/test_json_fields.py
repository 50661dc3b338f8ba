"""The fields of JSON messages are found by path, and typed so that what was seen can be read."""

import json
from typing import Any

import pytest

from app.infer.json_fields import FIELDS_MAX, JsonFields, json_fields
from app.infer.json_values import rows_of


def fields_of(*rows: dict[str, Any] | str, keys: frozenset[str] = frozenset()) -> JsonFields:
    """The fields of messages with a row each; a text stands for itself."""
    texts = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    messages = [rows_of(text.encode()) for text in texts]
    return json_fields([message for message in messages if message is not None], keys)


def types(fields: JsonFields) -> dict[str, str]:
    return {one.column: one.type for one in fields.columns}


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        (["1", "-2"], "int64"),
        (["1", "2.5"], "double"),
        (["1", "1e3"], "double"),
        (["9223372036854775807"], "int64"),
        (["9223372036854775808", "1"], "uint64"),
        (["18446744073709551615"], "uint64"),
        (["18446744073709551616"], "decimal128(38, 0)"),
        (["9223372036854775808", "-1"], "decimal128(38, 0)"),
        (["-9223372036854775809"], "decimal128(38, 0)"),
        (["9" * 38], "decimal128(38, 0)"),
        (["9" * 39], "double"),
        (["18446744073709551615", "1.5"], "double"),
        (["18446744073709551615", '"1"'], "double"),
        (["18446744073709551615", '"a"'], ""),
        ([f"1{'0' * 5_000}"], "double"),
        (["NaN", "1"], "double"),
        (["true", "null"], "bool"),
        (['"a"', '"1"'], "string"),
        (['"1.50"', '"2"'], "double"),
        (['"1.50"', "2"], "double"),
        (['"007"'], "string"),
        (['"9007199254740993"'], "int64"),
        (['""', '"1"'], "string"),
        (["null"], ""),
        (["[1]"], ""),
        (["1", '"n/a"'], ""),
        (["true", "1"], ""),
        (["{}", "1"], ""),
        (["{}"], ""),
    ],
)
def test_a_type_holds_every_value_that_was_seen(texts: list[str], wanted: str) -> None:
    fields = fields_of(*(f'{{"x": {text}}}' for text in texts))
    assert types(fields) == ({"x": wanted} if wanted else {})


def test_objects_within_are_paths_with_dots_and_columns_joined_by_underscores() -> None:
    fields = fields_of({"a": {"b": {"c": 1}, "d": "x"}}, {"a": None})
    assert [(one.name, one.column) for one in fields.columns] == [("a.b.c", "a_b_c"), ("a.d", "a_d")]
    assert fields.columns[0].notes == ("null or not there in 1 of 2 rows",)


def test_columns_of_one_name_are_told_apart() -> None:
    fields = fields_of({"a_b": 1, "a": {"b": 2}, "a-b": 3, "left_offset": 4, "1st": 5})
    assert types(fields).keys() == {"a_b", "a_b_2", "a_b_3", "left_offset_2", "_1st"}


def test_a_field_that_settings_cannot_name_is_left_out_with_the_reason() -> None:
    fields = fields_of({"a.b": 1, "": 2, "x\n": 3, " y": 4, "\ud800": 5, "z": 6})
    assert types(fields) == {"z": "int64"}
    assert len(fields.left_out) == 5
    assert "dot" in fields.left_out["a.b"]


def test_what_is_an_object_now_and_a_value_then_is_left_out_with_all_that_is_in_it() -> None:
    fields = fields_of({"a": {"b": 1}}, {"a": 2})
    assert types(fields) == {}
    assert fields.left_out == {"a": "an object in some rows, a number in others"}


def test_digits_that_are_the_message_key_or_an_id_are_text() -> None:
    assert types(fields_of({"c": "600000"}, keys=frozenset({"600000"}))) == {"c": "string"}
    assert types(fields_of({"orderId": "600000"})) == {"orderId": "string"}
    assert types(fields_of({"c": "600000"})) == {"c": "double"}


def test_numbers_in_text_are_told_with_the_decimal_that_keeps_them() -> None:
    (field,) = fields_of({"p": "123.4500"}, {"p": "-0.1"}).columns
    assert "decimal128(18, 4)" in field.notes[0]
    (field,) = fields_of({"p": f"{'1' * 30}.5"}).columns
    assert "decimal128(38, 1)" in field.notes[0]


def test_a_price_that_was_whole_by_chance_may_have_a_fraction() -> None:
    fields = fields_of({"bid": 1, "bid_size": 2, "n": 3, "closePrice": 4})
    assert types(fields) == {"bid": "double", "bid_size": "int64", "n": "int64", "closePrice": "double"}


def test_fields_whose_names_are_values_are_bounded() -> None:
    fields = fields_of(*({f"s{number}": 1} for number in range(FIELDS_MAX + 50)))
    assert len(fields.columns) == FIELDS_MAX
    assert "more fields" in fields.left_out


@pytest.mark.parametrize("text", ["", "1", "[1]", "[{}, 1]", "{", '"a"', "\ufeff{}", "[" * 100_000])
def test_what_is_no_object_nor_array_of_objects_has_no_rows(text: str) -> None:
    assert rows_of(text.encode()) is None


def test_an_array_of_objects_is_a_row_each() -> None:
    assert rows_of(b'[{"a": 1}, {"a": 2}]') == [{"a": 1}, {"a": 2}]
    assert rows_of(b"\xff{}") is None


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["18446744073709551615", "1.5"], "whole numbers beyond 2^53 are rounded in a double"),
        (["9007199254740993", "1.5"], "whole numbers beyond 2^53 are rounded in a double"),
        (["9" * 39], "rounded: with more digits than decimal128 holds"),
    ],
)
def test_a_number_that_a_double_rounds_is_told(texts: list[str], words: str) -> None:
    (only,) = fields_of(*(f'{{"x": {text}}}' for text in texts)).columns
    assert words in " ".join(only.notes)


def test_fields_within_others_do_not_become_a_clock_by_chance() -> None:
    fields = fields_of({"event": {"ns": 1}, "known": {"ns": 2}, "event_ns": 3})
    assert types(fields).keys() == {"event_ns_2", "known_ns_2", "event_ns"}
