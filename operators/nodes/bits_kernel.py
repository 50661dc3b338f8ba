"""The bits of a float, and the float of bits: without a word of memory between, so that loops take several at
once.
"""

from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

BIAS: Final = 1023  # of a float's exponent
MANTISSA_BITS: Final = 52


@intrinsic
def _to_float(context: Any, bits: Any) -> Any:
    def code(target: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        return builder.bitcast(values[0], ir.DoubleType())

    return types.float64(types.int64), code


@intrinsic
def _to_bits(context: Any, x: Any) -> Any:
    def code(target: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        return builder.bitcast(values[0], ir.IntType(64))

    return types.int64(types.float64), code


def float_of(bits: int) -> float:
    """The float with these bits, an int64."""
    return float(np.int64(bits).view(np.float64))


def bits_of(x: float) -> int:
    """The bits of a float, as an int64."""
    return int(np.float64(x).view(np.int64))


@overload(float_of)
def _float_of(bits: Any) -> Any:
    def compiled(bits: Any) -> Any:
        return _to_float(bits)  # type: ignore[call-arg]  # numba gives the context

    return compiled


@overload(bits_of)
def _bits_of(x: Any) -> Any:
    def compiled(x: Any) -> Any:
        return _to_bits(x)  # type: ignore[call-arg]

    return compiled


@njit(nogil=True, cache=True, forceinline=True)
def power_of(exponent: int) -> float:
    """2**exponent, of an exponent from -1022 to 1023."""
    return float_of((exponent + BIAS) << MANTISSA_BITS)
