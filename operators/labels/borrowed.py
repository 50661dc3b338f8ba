"""Arrays that kernels borrow: who called holds them, and nobody counts who else does.

A function that takes an array counts itself among those that hold it, and takes itself out in the end, each
so that no other thread comes between.  A loop that hands ten arrays to ten small functions a row spent most
of its time with that.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic, overload

VALUE: Final = "_getvalue"  # what an array in code is called by its maker

Array = TypeVar("Array")


def borrowed(array: Array) -> Array:
    """The same array, in a kernel without what counts its holders; who calls the kernel holds it."""
    return array


def _uncounted(_typing: Any, array: Any) -> Any:
    """An array whose memory nobody counts."""

    def code(target: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        view: Any = target.make_array(array)(target, builder, values[0])
        null: Any = cgutils.get_null_value
        view.meminfo = null(view.meminfo.type)
        return getattr(view, VALUE)()

    return array(array), code


_intrinsic: Any = intrinsic
_of: Callable[[Any], Any] = _intrinsic(_uncounted)


def _in_kernels(array: Any) -> Any:
    """What `borrowed` is there."""

    def uncounted(array: Any) -> Any:
        return _of(array)

    return uncounted


overload(borrowed)(_in_kernels)
