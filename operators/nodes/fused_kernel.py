"""What rounding leaves of a product of two floats: one instruction where a processor multiplies and adds."""

from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

SPLITTER: Final = 134217729.0  # 2**27 + 1: Veltkamp's, to split a float in two halves


@intrinsic
def _fused(context: Any, x: Any, y: Any, z: Any) -> Any:
    """x * y + z, rounded once."""

    def code(target: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        return builder.fma(*values)

    return types.float64(types.float64, types.float64, types.float64), code


def left_of(x: float, y: float, value: float) -> float:
    """x * y less its rounded `value`, exactly (Dekker 1971).

    Neither is so large that a half of it times the splitter overflows, nor the rest so small that it is lost.
    """
    t = SPLITTER * x
    x_high = t - (t - x)
    x_low = x - x_high
    t = SPLITTER * y
    y_high = t - (t - y)
    y_low = y - y_high
    return ((x_high * y_high - value) + x_high * y_low + x_low * y_high) + x_low * y_low


@overload(left_of)
def _left_of(x: Any, y: Any, value: Any) -> Any:
    def compiled(x: Any, y: Any, value: Any) -> Any:
        return _fused(x, y, -value)  # type: ignore[call-arg]  # numba gives the context

    return compiled
