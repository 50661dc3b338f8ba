"""Functions of numbers and booleans of one row: R1 to R9, but for what has a sign of its own."""

from collections.abc import Callable, Sequence
from typing import Final

from operators.formula.functions.declare import Build, Example, Function, Operand, Output, Setting, Settings
from operators.formula.steps import Steps
from operators.formula.tree import Absent, Constant, Tree

PRODUCTS_MAX: Final = 4  # powers up to it are products, in one order everywhere; libm's pow does the others


def _step(function: str) -> Build:
    """One step of that name."""
    return lambda steps, operands, _: steps.call(function, operands)


def _extreme(function: str) -> Build:
    """The extreme of the first two, then of that and the third, and so on: of equals the first one."""

    def build(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
        name = f"{function}_known" if settings["skip_null"] else function
        first, *others = operands
        for other in others:
            first = steps.call(name, [first, other])
        return first

    return build


def _power(steps: Steps, operands: Sequence[int], settings: Settings) -> int:
    """Products for small whole powers, 1 / product for negative ones."""
    (x,) = operands
    k = settings["k"]
    assert isinstance(k, float)
    if k == 0.5:
        return steps.call("sqrt", [x])
    if k == 0 or not k.is_integer() or abs(k) > PRODUCTS_MAX:
        return steps.call("power", [x, steps.constant(k)])
    square = steps.call("multiply", [x, x]) if abs(k) > 1 else x
    products: dict[int, Callable[[], int]] = {
        1: lambda: x,
        2: lambda: square,
        3: lambda: steps.call("multiply", [square, x]),
        4: lambda: steps.call("multiply", [square, square]),
    }
    product = products[abs(int(k))]()
    return product if k > 0 else steps.call("divide", [steps.constant(1.0), product])


def _bounds(operands: Sequence[Tree], _: Settings) -> str:
    """What is wrong with the bounds of `clip`."""
    _x, lo, hi = operands
    if isinstance(lo, Absent) and isinstance(hi, Absent):
        return "clip needs a bound: lo, hi or both"
    if isinstance(lo, Constant) and isinstance(hi, Constant) and lo.value > hi.value:
        return f"lo is at most hi, and {lo.value!r} is more than {hi.value!r}"
    return ""


SKIP_NULL: Final = Setting("skip_null", "boolean", "whether nulls are left out", default=False)
COMMON: Final = (Output("value", "common"),)
FLOAT: Final = (Output("value", "float64"),)

OF_NUMBERS: Final = (
    Function(
        id="R7",
        name="where",
        definition="a where c is true, b where it is false; the one that is not taken may be null",
        operands=(
            Operand("condition", "boolean"),
            Operand("value if true", "value", alike=True),
            Operand("value if false", "value", alike=True),
        ),
        outputs=COMMON,
        example=Example(
            "where(c, a, b)",
            {"c": (True, False, None), "a": (5, None, 5), "b": (None, 6, 6)},
            (5, 6, None),
        ),
        build=_step("where"),
    ),
    Function(
        id="R2",
        name="sign",
        definition="-1, 0 or 1",
        operands=(Operand("value"),),
        outputs=(Output("value", "int8"),),
        example=Example("sign(x)", {"x": (-0.0, -3.5, 2.0, None)}, (0, -1, 1, None)),
        build=_step("sign"),
    ),
    Function(
        id="R2",
        name="abs",
        definition="the value without its sign; the smallest integer has none: null",
        operands=(Operand("value", alike=True),),
        outputs=(Output("value", "wide"),),
        example=Example("abs(x)", {"x": (-(2**63), -3, 3)}, (None, 3, 3)),
        build=_step("abs"),
    ),
    Function(
        id="R1",
        name="log",
        definition="the natural logarithm, by libm; null where x <= 0",
        operands=(Operand("value", "float"),),
        outputs=FLOAT,
        example=Example("log(x)", {"x": (2, 0, -1)}, (0.6931471806, None, None)),
        build=_step("log"),
    ),
    Function(
        id="R1",
        name="exp",
        definition="e to the power x, by libm; null where it overflows",
        operands=(Operand("value", "float"),),
        outputs=FLOAT,
        example=Example("exp(x)", {"x": (0, 1, 710, -800)}, (1.0, 2.718281828, None, 0.0)),
        build=_step("exp"),
    ),
    Function(
        id="R3",
        name="sqrt",
        definition="the square root; null where x < 0",
        operands=(Operand("value", "float"),),
        outputs=FLOAT,
        example=Example("sqrt(x)", {"x": (2, 0, -1)}, (1.414213562, 0.0, None)),
        build=_step("sqrt"),
    ),
    Function(
        id="R4",
        name="power",
        definition="x to the power k: for whole k from -4 to 4 x*x, (x*x)*x, (x*x)*(x*x) or 1 by these, for"
        " 0.5 sqrt, else libm's pow; 0 to the power 0 is 1; null where it is not defined or overflows",
        operands=(Operand("value", "float"),),
        settings=(Setting("k", "number", "the exponent", positional=True),),
        outputs=FLOAT,
        example=Example("power(x, 3)", {"x": (3, -2, 1e200)}, (27.0, -8.0, None)),
        build=_power,
    ),
    Function(
        id="R5",
        name="min",
        definition="the smallest of the values; null where one is null, with skip_null where all are",
        operands=(Operand("value", alike=True), Operand("value", alike=True)),
        settings=(SKIP_NULL,),
        outputs=COMMON,
        example=Example("min(a, b)", {"a": (2, 2), "b": (None, 1)}, (None, 1)),
        build=_extreme("min"),
        repeats=True,
    ),
    Function(
        id="R5",
        name="max",
        definition="the largest of the values; null where one is null, with skip_null where all are",
        operands=(Operand("value", alike=True), Operand("value", alike=True)),
        settings=(SKIP_NULL,),
        outputs=COMMON,
        example=Example("max(a, b, skip_null=True)", {"a": (2, 2, None), "b": (None, 3, None)}, (2, 3, None)),
        build=_extreme("max"),
        repeats=True,
    ),
    Function(
        id="R6",
        name="clip",
        definition="lo where x < lo, hi where x > hi, else x; a null bound is none; null where lo > hi",
        operands=(
            Operand("value", alike=True),
            Operand("lo", alike=True, optional=True),
            Operand("hi", alike=True, optional=True),
        ),
        outputs=COMMON,
        example=Example("clip(x, 0, 5)", {"x": (7, -1, 3, None)}, (5, 0, 3, None)),
        build=_step("clip"),
        check=_bounds,
    ),
    Function(
        id="R9",
        name="xor",
        definition="whether just one of both is true; null where one is null",
        operands=(Operand("first value", "boolean"), Operand("second value", "boolean")),
        outputs=(Output("value", "bool"),),
        example=Example(
            "xor(a, b)",
            {"a": (True, True, False, None), "b": (False, True, False, True)},
            (True, False, False, None),
        ),
        build=_step("unequal"),  # the same for booleans
    ),
)
