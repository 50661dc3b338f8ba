"""Units of scales: what is computed from a scaled column is in its units, and two scales never meet."""

import pyarrow as pa
import pytest

from operators.formula.features import read_features, root_source
from operators.formula.units import Unit

LAYOUT = pa.schema(
    [
        *((name, pa.float64()) for name in ("price", "bid", "ask", "plain", "lots")),
        ("count", pa.int64()),
        ("money", pa.decimal128(18, 4)),
    ]
)
SCALES = {"price": 10_000, "bid": 10_000, "ask": 10_000, "lots": 100}
PRICE: Unit = ((10_000, 1),)


def unit_of(formula: str) -> Unit:
    features, errors = read_features("tick", root_source("aligned", LAYOUT, scales=SCALES), {"x": formula})
    assert features is not None, errors
    return features.units["x"]


def errors_of(**formulas: str) -> list[str]:
    _, errors = read_features("tick", root_source("aligned", LAYOUT, scales=SCALES), formulas)
    return [error.message for wrong in errors.values() for error in wrong]


@pytest.mark.parametrize(
    ("formula", "unit"),
    [
        ("price", PRICE),
        ("price - bid + 3", PRICE),
        ("2 * price", PRICE),
        ("mid(bid, ask)", PRICE),
        ("lag(price, rows=2)", PRICE),
        ("rolling_mean(price, rows=3) - ewma(price, span=3)", PRICE),
        ("rolling_std(price, rows=5) + price", PRICE),
        ("rolling_max(price, '5s') - price", PRICE),
        ("price * lots", ((100, 1), (10_000, 1))),
        ("price * price", ((10_000, 2),)),
        ("sqrt(price * price)", PRICE),
        ("price / bid", ()),
        ("price * lots / price", ((100, 1),)),
        ("price > bid", ()),
        ("where(count > 1, price, bid)", PRICE),
        ("plain + count", ()),
        ("log(price)", None),
        ("1", None),
    ],
)
def test_a_value_is_in_the_units_of_what_it_is_made_of(formula: str, unit: Unit) -> None:
    assert unit_of(formula) == unit


@pytest.mark.parametrize(
    "formula",
    ["price + lots", "price - plain", "price > lots", "min(price, count)", "where(count > 1, price, plain)"],
)
def test_values_of_two_scales_are_never_put_side_by_side(formula: str) -> None:
    (message,) = errors_of(x=formula)
    assert message.startswith("units of two scales are never compared or added: ")
    assert "1/10,000" in message


def test_the_units_of_a_feature_go_on_into_those_that_read_it() -> None:
    assert errors_of(width="ask - bid", share="width / price", wrong="width - lots") == [
        "units of two scales are never compared or added: 1/10,000, and 1/100"
    ]


def test_a_function_of_prices_takes_all_of_them_in_one_scale() -> None:
    assert errors_of(x="mid(bid, plain)") == [
        "units of two scales are never compared or added: 1/10,000, and no scale"
    ]


def test_a_decimal_without_a_scale_is_told_the_way() -> None:
    (message,) = errors_of(x="money + 1")
    assert message.endswith("and with a decimal where [streams.NAME.scales] gives it a scale")


def test_a_scale_is_part_of_what_a_feature_means_and_no_other_feature_changes() -> None:
    def meanings(scales: dict[str, int]) -> dict[str, str]:
        source = root_source("aligned", LAYOUT, scales=scales)
        features, _ = read_features("tick", source, {"scaled": "price * 2", "other": "plain + 1"})
        assert features is not None
        return {name: features.meanings[name] for name in features.columns}

    before, after, other = meanings({}), meanings({"price": 100}), meanings({"price": 10_000})
    assert len({before["scaled"], after["scaled"], other["scaled"]}) == 3
    assert before["other"] == after["other"] == other["other"]
