"""Comparisons of texts: by bytes in UTF-8, whatever the column's form, and null where a side is."""

import pyarrow as pa
import pytest

from operators.formula.steps import Texts
from operators.nodes.texts import COMPARE, compare_texts

WORDS = ["N", "", None, "é", "zz", "z\U0001f600", "z\uffff", "N"]
FORMS = [
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.dictionary(pa.int8(), pa.string()),
    pa.dictionary(pa.int32(), pa.large_string()),
]
PYTHON = {
    "equal": lambda one, other: one == other,
    "unequal": lambda one, other: one != other,
    "less": lambda one, other: one < other,
    "less_equal": lambda one, other: one <= other,
    "greater": lambda one, other: one > other,
    "greater_equal": lambda one, other: one >= other,
}


def wanted(operator: str, left: list[str | None], right: list[str | None]) -> list[bool | None]:
    """What the bytes say."""
    pairs = zip(left, right, strict=True)
    encoded = [[None if word is None else word.encode() for word in pair] for pair in pairs]
    return [None if None in pair else PYTHON[operator](*pair) for pair in encoded]


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("operator", COMPARE)
def test_a_column_is_compared_with_a_text_by_bytes(operator: str, form: pa.DataType) -> None:
    column = pa.array([None, *WORDS], form).slice(1)
    for text in ("N", "", "é", "z\uffff", "no such"):
        made = compare_texts(Texts(operator, "venue", text, constant=True), ["size", "venue"], [None, column])
        assert made.to_pylist() == wanted(operator, WORDS, [text] * len(WORDS))


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("operator", COMPARE)
def test_two_columns_are_compared_row_by_row_whatever_their_forms(operator: str, form: pa.DataType) -> None:
    other = WORDS[::-1]
    columns = [pa.array(WORDS, form), pa.array(other, pa.string())]
    made = compare_texts(Texts(operator, "venue", "tape", constant=False), ["venue", "tape"], columns)
    assert made.to_pylist() == wanted(operator, WORDS, other)


def test_a_dictionary_may_hold_a_null_of_its_own() -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int8()), pa.array(["N", None]))
    made = compare_texts(Texts("equal", "venue", "N", constant=True), ["venue"], [column])
    assert made.to_pylist() == [True, None, None]
