"""What each type of column takes of a JSON value, and what it refuses."""

import json
import os
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from tests.stage.json_columns import one, read, refusal_of, rows, value_of

pytestmark = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="reads memory by address: needs numba"
)


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_integers_are_read_up_to_the_limits_of_their_type(bits: int) -> None:
    signed, unsigned = pa.type_for_alias(f"int{bits}"), pa.type_for_alias(f"uint{bits}")
    lower, upper = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    for kind, least, most in [(signed, lower, upper), (unsigned, 0, 2**bits - 1)]:
        for number in (least, most):
            assert value_of(kind, str(number)) == number
            assert value_of(kind, f'"{number}"') == number
            assert value_of(kind, f"{number}.0e0") == number
        for number in (least - 1, most + 1):
            assert refusal_of(kind, str(number)) == f"v is {number}, out of range of {kind}"
            assert refusal_of(kind, f'"{number}"') == f"v is {number}, out of range of {kind}"


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("1.0", 1), ("1e3", 1000), ("-0", 0), ("-0.0", 0), ("12E+1", 120), ("1200e-2", 12), ("0e999999", 0),
        ("0.000000000000000000000000001e27", 1), ('"7"', 7), ('"-7.00"', -7), ('"1\\u0030"', 10),
        ("1" + 50 * "0" + "e-50", 1), ("92233720368547758070e-1", 2**63 - 1), ("1." + 50 * "0", 1),
    ],
)  # fmt: skip
def test_integers_may_be_written_in_any_way_that_is_whole(written: str, number: int) -> None:
    assert value_of(pa.int64(), written) == number


@pytest.mark.parametrize(
    "written", ["1.5", "1e-1", "10.0000000000000000000000001", "NaN", "Infinity", "5e-324"]
)
def test_numbers_that_are_not_whole_are_dead_in_an_integer(written: str) -> None:
    assert refusal_of(pa.int64(), written).startswith(f"v is {written}, ")
    assert refusal_of(pa.int64(), f'"{written}"').startswith(f"v is {written}, ")


@pytest.mark.parametrize("written", ["1e400000000000000000000", "9" * 5000, "1e19", "-1e19"])
def test_numbers_of_any_size_are_dead_and_not_a_crash(written: str) -> None:
    for kind in (pa.int64(), pa.decimal128(38, 2), pa.int8()):
        if kind == pa.decimal128(38, 2) and "19" in written:
            continue
        assert "out of range" in refusal_of(kind, written)


@pytest.mark.parametrize(
    "written",
    [
        "0", "-0", "-0.0", "187.25", "1e22", "1e23", "8.5e-22", "9007199254740993", "9007199254740992.5",
        "1.7976931348623157e308", "2.2250738585072014e-308", "2.2250738585072011e-308", "4.9e-324", "2e-324",
        "1e-400", "0.1", "0.30000000000000004", "123456789012345678901234567890", "3." + 500 * "1",
        "0." + 400 * "0" + "1e400", "17179869184.000000000000000000001", "6.0e-310",
        "9007199254740993.00000000000000000000000000001", "0e999999999999999999999",
    ],
)  # fmt: skip
def test_floats_are_rounded_as_python_rounds(written: str) -> None:
    for text in (written, f'"{written}"', f"-{written.lstrip('-')}"):
        value = value_of(pa.float64(), text)
        assert repr(value) == repr(float(text.strip('"')))


def test_many_digits_are_rounded_as_python_rounds() -> None:
    """One number in thousands needs a second multiplication, or lies so that its last digits decide."""
    draw = np.random.default_rng(11)
    digits = ["".join(map(str, draw.integers(0, 10, 40))) for _ in range(60_000)]
    sizes, powers = draw.integers(15, 40, len(digits)), draw.integers(-330, 260, len(digits))
    texts = [f"7{each[:size]}e{power}" for each, size, power in zip(digits, sizes, powers, strict=True)]
    rounded = [float(text) for text in texts]
    for way in ("{}", '"{}"'):
        message = "[" + ",".join(f'{{"v":{way.format(text)}}}' for text in texts) + "]"
        values = read(one(pa.float64()), message.encode())
        assert values.columns is not None
        assert values.columns.column("value").to_pylist() == rounded


def test_floats_may_be_not_a_number_or_infinite_as_python_writes_them() -> None:
    for text in ("NaN", "Infinity", "-Infinity"):
        for kind in (pa.float64(), pa.float32()):
            assert repr(value_of(kind, text)) == repr(float(text))
            assert repr(value_of(kind, f'"{text}"')) == repr(float(text))


@pytest.mark.parametrize(
    "text", ["inf", "nan", "+1", " 1", "1 ", "1_0", "0x1", "01", ".5", "5.", "", "-", "-NaN"]
)
def test_texts_that_are_no_json_number_are_dead_in_a_number(text: str) -> None:
    for kind in (pa.float64(), pa.int64(), pa.decimal128(5, 2)):
        assert refusal_of(kind, f'"{text}"') == f"v is the string {text!a}, wanted a number"


def test_numbers_beyond_the_range_of_a_float_are_dead() -> None:
    assert refusal_of(pa.float64(), "1e999") == "v is 1e999, out of range of double"
    assert refusal_of(pa.float64(), '"-1e309"') == "v is -1e309, out of range of double"
    assert refusal_of(pa.float32(), "3.5e38") == "v is 3.5e38, out of range of float"
    assert refusal_of(pa.float32(), "1e999") == "v is 1e999, out of range of float"


@pytest.mark.parametrize(
    "written", ["0.1", "16777217", "1e-45", "1e-60", "3.4028235e38", "-2.5", "1.00000017881393432617187499"]
)
def test_a_float32_is_rounded_from_the_float64(written: str) -> None:
    assert value_of(pa.float32(), written) == float(np.float32(float(written)))


def test_decimals_are_exact() -> None:
    kind = pa.decimal128(38, 10)
    for text in (
        "0.1",
        "-1234567890123456789012345678.0123456789",
        "1e27",
        "-0",
        "12.50000000000000000",
        "1e-10",
    ):
        assert value_of(kind, text) == Decimal(text)
        assert value_of(kind, f'"{text}"') == Decimal(text)
    assert value_of(pa.decimal128(38, 0), "9" * 38) == Decimal("9" * 38)
    assert value_of(pa.decimal128(38, 38), "-0." + "9" * 38) == Decimal("-0." + "9" * 38)


def test_decimals_with_too_many_digits_are_dead() -> None:
    kind = pa.decimal128(5, 2)
    assert value_of(kind, "999.990") == Decimal("999.99")
    assert refusal_of(kind, "1.001") == "v is 1.001, wanted at most 2 digits after the point"
    assert refusal_of(kind, "1000") == "v is 1000, out of range of decimal128(5, 2)"
    assert refusal_of(kind, "-1e3") == "v is -1e3, out of range of decimal128(5, 2)"
    assert "out of range" in refusal_of(pa.decimal128(38, 0), "1" + "0" * 38)
    assert refusal_of(kind, "NaN") == "v is NaN, which decimal128(5, 2) cannot hold"


def test_booleans_are_true_or_false_and_nothing_else() -> None:
    assert value_of(pa.bool_(), "true") is True
    assert value_of(pa.bool_(), "false") is False
    assert refusal_of(pa.bool_(), "1") == "v is a number, wanted true or false"
    assert refusal_of(pa.bool_(), '"true"') == "v is a string, wanted true or false"


@pytest.mark.parametrize(
    ("written", "what"),
    [("true", "true"), ("false", "false"), ("{}", "an object"), ("[1]", "an array")],
)
def test_what_is_no_number_and_no_string_is_dead_in_those_columns(written: str, what: str) -> None:
    assert refusal_of(pa.int64(), written) == f"v is {what}, wanted a number"
    assert refusal_of(pa.float64(), written) == f"v is {what}, wanted a number"
    assert refusal_of(pa.string(), written) == f"v is {what}, wanted a string"
    assert refusal_of(pa.string(), written, token=True) == f"v is {what}, wanted a number or a string"


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_texts_are_read_without_their_escapes(kind: pa.DataType) -> None:
    for text in ("", "AAPL", "é€😀", 'a"b\\c/d\b\f\n\r\t', "\x7f\u2028", "x" * 1000):
        assert value_of(kind, json.dumps(text)) == text
        assert value_of(kind, json.dumps(text, ensure_ascii=False)) == text
    assert value_of(kind, r'"\/\u00E9\ud83d\ude00\u0000"') == "/é😀\0"
    assert refusal_of(kind, "5") == "v is a number, wanted a string"


@pytest.mark.parametrize(
    "written",
    [r'"\ud800"', r'"\udc00"', r'"\ud800\u0041"', r'"\ud800\ue000"', r'"\ud800\ud800\udc00"', r'"\ud800x"'],
)
def test_half_a_surrogate_pair_is_dead_where_it_is_wanted_and_skipped_where_not(written: str) -> None:
    assert refusal_of(pa.string(), written) == "v holds half of a surrogate pair, which UTF-8 cannot write"
    assert rows(read(one(pa.int64()), f'{{"x":{written},{written}:1,"v":2}}'.encode())) == [{"value": 2}]


@pytest.mark.parametrize(
    "written", ["1.50", "-0", "1E+2", "NaN", "-Infinity", "123456789012345678901234567890.10"]
)
def test_a_token_is_a_number_as_it_is_written(written: str) -> None:
    assert value_of(pa.string(), written, token=True) == written
    assert value_of(pa.large_string(), f'"{written}"', token=True) == written
    assert value_of(pa.string(), '"a\\tb"', token=True) == "a\tb"
