"""The features of a node: names, types, and every error of every formula at its place."""

import pyarrow as pa
import pytest

from operators.formula.features import FEATURES_MAX, STEPS_MAX, Features, read_features, root_source

ALIGNED = pa.schema(
    {
        "symbol": pa.string(),
        "event_ns": pa.int64(),
        "price": pa.float64(),
        "size": pa.int64(),
        "quote_bid_price": pa.float64(),
        "quote_ask_price": pa.float64(),
        "quote_bid_size": pa.uint32(),
        "quote_ask_size": pa.float32(),
        "side": pa.int8(),
        "open": pa.bool_(),
        "trade_id": pa.uint64(),
        "day": pa.date32(),
        "cents": pa.decimal128(9, 2),
    }
)


def errors_of(**formulas: str) -> list[tuple[str, str, str]]:
    """Feature, message, and the part of the formula that each error is of."""
    _, errors = read_features("tick", root_source("aligned", ALIGNED), formulas)
    return [
        (column, error.message, formulas[column][error.start : error.end])
        for column, wrong in errors.items()
        for error in wrong
    ]


def read(**formulas: str) -> Features:
    features, errors = read_features("tick", root_source("aligned", ALIGNED), formulas)
    assert features is not None, errors
    return features


A_BOOLEAN = "and this is a boolean; where(x, 1, 0) makes a number of it"
A_NUMBER = "and this is a number"
NEITHER = "a text is compared with a text or a column of texts, and this is neither"
WRONG = [
    ("bid_sz * 2", "aligned has no column bid_sz; quote_bid_size?", "bid_sz"),
    ("Price * 2", "aligned has no column Price; price?", "Price"),
    ("true", "aligned has no column true; True?", "true"),
    ("zzz + price", "aligned has no column zzz", "zzz"),
    (
        "1 + symbol",
        "symbol is string; a formula computes with numbers and booleans, and compares texts: x == 'N'",
        "symbol",
    ),
    ("symbol == 3", NEITHER, "3"),
    ("size < symbol", NEITHER, "size"),
    ("size == 'N'", NEITHER, "size"),
    ("(symbol == 'N') == '5m'", NEITHER, "symbol == 'N'"),
    ("symbol == symbl", "aligned has no column symbl; symbol?", "symbl"),
    ("'N' == 'Q'", "two texts are always the same or not", "'N' == 'Q'"),
    ("trade_id == 7", "trade_id is uint64; a formula computes with numbers and booleans", "trade_id"),
    ("day + 1", "day is date32[day]; a formula computes with numbers and booleans", "day"),
    (
        "cents / 100",
        (
            "cents is decimal128(9, 2); a formula computes with numbers and booleans, and with a decimal"
            " where [streams.NAME.scales] gives it a scale"
        ),
        "cents",
    ),
    ("x + 1", "x is this feature itself", "x"),
    ("later * 2", "later is a feature further down; a formula sees those above it", "later"),
    ("log * 2", "log is a function; give it its values in brackets", "log"),
    ("open + 1", f"+ takes numbers, {A_BOOLEAN}", "open"),
    ("-(price > 1)", f"- takes numbers, {A_BOOLEAN}", "price > 1"),
    ("sign(open)", f"sign takes numbers, {A_BOOLEAN}", "open"),
    ("log(True)", f"log takes numbers, {A_BOOLEAN}", "True"),
    ("open < 1", f"< compares numbers, {A_BOOLEAN}", "open"),
    ("open == size", "== compares two numbers or two booleans", "size"),
    ("not size", f"not takes booleans, {A_NUMBER}; a comparison makes one: x != 0", "size"),
    ("open and 1", f"and takes booleans, {A_NUMBER}; a comparison makes one: x != 0", "1"),
    ("where(size, 1, 0)", f"the condition of where is a boolean, {A_NUMBER}; write x != 0", "size"),
    ("sqrt(open)", f"sqrt takes numbers, {A_BOOLEAN}", "open"),
    ("clip(price, hi=open)", f"clip takes numbers, {A_BOOLEAN}", "open"),
    ("max(price, 1, open)", f"max takes numbers, {A_BOOLEAN}", "open"),
    ("xor(open, size)", f"the second value of xor is a boolean, {A_NUMBER}; write x != 0", "size"),
    ("quote_age(price)", "the age of quote_age is an integer, and this is a float", "price"),
    ("mid(bid_px, price)", "aligned has no column bid_px", "bid_px"),
    ("clip(price, bid_px)", "aligned has no column bid_px", "bid_px"),
    ("mid + 1", "mid is a function; give it its values in brackets", "mid"),
    ("where(open, 1, open)", "both values of where are numbers, or both are booleans", "open"),
]


@pytest.mark.parametrize(("formula", "message", "place"), WRONG)
def test_a_name_or_a_type_that_does_not_fit_is_reported_at_its_place(
    formula: str, message: str, place: str
) -> None:
    start = formula.rindex(place) if message.startswith("both") else formula.index(place)
    _, errors = read_features("tick", root_source("aligned", ALIGNED), {"x": formula, "later": "1"})
    assert [(e.message, e.start, e.end) for e in errors["x"]] == [(message, start, start + len(place))]
    assert list(errors) == ["x"]


def test_all_errors_of_all_formulas_are_reported_and_none_twice() -> None:
    assert errors_of(
        mid="(bid + ask) / 2",
        spread="quote_ask_price - quote_bid_price",
        half="mid / 2 + open",
        again="half + foo",
        ahead="lead(mid2, rows=1)",
        price="size * 2",
    ) == [
        ("mid", "aligned has no column bid; quote_bid_size?", "bid"),
        ("mid", "aligned has no column ask; quote_ask_size?", "ask"),
        ("half", f"+ takes numbers, {A_BOOLEAN}", "open"),
        ("again", "aligned has no column foo", "foo"),
        ("ahead", "lead looks ahead; only a label node may, and labels are never served", "lead"),
        ("ahead", "aligned has no column mid2; mid?", "mid2"),
        ("price", "aligned has a column price already; a feature needs a name of its own", ""),
    ]


def test_a_feature_has_a_name_that_a_formula_can_use() -> None:
    message = "a feature's name is letters, digits and _, and no word of Python"
    for name in ("", "2nd", "vol@", "vol@0", "@2", "and@2", "vol@2@3", "a b", "and", "True"):
        assert errors_of(**{name: "price"}) == [(name, message, "")]


def test_a_version_beside_another_is_a_column_of_its_own_and_has_a_name_in_formulas() -> None:
    made = read(
        **{"vol": "price", "vol@2": "price * 2", "gap": "-vol@2 * vol@2 - 2*vol", "gap@3": "gap+vol@2"}
    )
    assert made.columns == ("vol", "vol@2", "gap", "gap@3")
    alike = read(vol="price", double="price * 2", gap="-double * double - 2*vol", sum="gap+double")
    assert made.steps == alike.steps
    assert made.roots == alike.roots


def test_an_error_beside_the_name_of_a_version_has_its_place() -> None:
    assert errors_of(**{"vol@2": "price", "x": "vol@2 + vol@3", "y": "'é' + vol@2 * foo"}) == [
        ("x", "aligned has no column vol@3; vol@2?", "vol@3"),
        ("y", "a text is no value of a formula; it can be compared: x == 'N'", "'é'"),
        ("y", "aligned has no column foo", "foo"),
    ]


def test_a_node_has_at_most_so_many_features() -> None:
    too_many = {f"x{number}": "1" for number in range(FEATURES_MAX + 1)}
    assert errors_of(**too_many) == [(f"x{FEATURES_MAX}", f"a node has at most {FEATURES_MAX} features", "")]


def test_a_node_has_at_most_so_many_steps() -> None:
    formulas = {f"x{number}": f"(price + {number}) * size - {number}" for number in range(FEATURES_MAX)}
    wrong = errors_of(**formulas)
    assert wrong[0][1:] == (
        f"the features up to this one need more than {STEPS_MAX} steps; put some into another node",
        "",
    )
    assert 0 < len(wrong) < FEATURES_MAX


def test_each_feature_has_the_type_its_functions_imply() -> None:
    formulas = {
        "x0": ("size + 1", "int64"),
        "x1": ("size + 1.0", "double"),
        "x2": ("size / 2", "double"),
        "x3": ("quote_bid_size - quote_bid_size", "int64"),
        "x4": ("quote_ask_size", "double"),
        "x5": ("sign(price)", "int8"),
        "x6": ("side", "int8"),
        "x7": ("where(open, x5, side)", "int8"),
        "x8": ("where(open, x5, 0)", "int64"),
        "x9": ("where(open, x5, price)", "double"),
        "y0": ("-x5", "int64"),
        "y1": ("abs(side)", "int64"),
        "y2": ("log(size)", "double"),
        "y3": ("size > price", "bool"),
        "y4": ("open or not open", "bool"),
        "y5": ("where(open, open, True)", "bool"),
        "y6": ("2", "int64"),
        "y7": ("min(side, x5)", "int8"),
        "y8": ("clip(side, hi=side)", "int8"),
        "y9": ("clip(side, 0, 1)", "int64"),
        "z0": ("max(size, 0.5)", "double"),
        "z1": ("power(size, 2)", "double"),
        "z2": ("xor(open, y3)", "bool"),
        "z3": ("spread(size, side)", "int64"),
        "z4": ("mid(size, side)", "double"),
        "z5": ("quote_rule(price, size, size)", "int8"),
        "z6": ("signed_volume(size, price)", "int64"),
        "z7": ("signed_volume(quote_ask_size, side)", "double"),
        "z8": ("quote_age(side)", "int8"),
        "z9": ("quote_age(size, output='stale', max_age_ns='5m')", "bool"),
    }
    features = read(**{name: formula for name, (formula, _) in formulas.items()})
    added = {field.name: str(field.type) for field in features.layout if field.name in formulas}
    assert added == {name: kind for name, (_, kind) in formulas.items()}
    assert features.layout.names == [*ALIGNED.names, *formulas]
    assert all(features.layout.field(name).nullable for name in formulas)


def test_what_two_formulas_have_in_common_is_computed_once() -> None:
    features = read(
        mid="(quote_bid_price + quote_ask_price) / 2",
        away="price - (quote_bid_price + quote_ask_price) / 2.0",
        less="mid > price",
        same="price < mid",
    )
    functions = [step.function for step in features.steps if step.operands]
    assert functions == ["add", "divide", "subtract", "less"]


def test_functions_of_one_quote_share_their_steps() -> None:
    features = read(
        mid="mid(quote_bid_price, quote_ask_price)",
        wide="spread(quote_bid_price, quote_ask_price)",
        cost="effective_spread(price, quote_bid_price, quote_ask_price, side, half=True)",
    )
    functions = [step.function for step in features.steps if step.operands]
    assert functions == [
        *("uncrossed_bid", "add", "divide"),
        "subtract",
        *("direction", "subtract", "to_float", "multiply", "add"),
    ]
