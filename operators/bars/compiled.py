"""How the kernels of bars are compiled: nothing counts who holds an array, since none of them allocates one.

Numba counts, atomically, for each array of each tuple that is handed to a function; of 25 arrays that was
three quarters of a trade's time.  The switch (`_nrt`) is numba's own, without a promise: `njit` refuses it
where it is gone, and without it kernels give the same bars.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from numba import njit

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

UNCOUNTED: Final[dict[str, Any]] = {"nogil": True, "cache": True, "_nrt": False}


def kernel(function: Kernel) -> Kernel:
    """Compile a function that allocates nothing."""
    compiled: Kernel = njit(**UNCOUNTED)(function)
    return compiled


def inlined(function: Kernel) -> Kernel:
    """The same, put in place where it is called."""
    compiled: Kernel = njit(**UNCOUNTED, forceinline=True)(function)
    return compiled


def of_floats(function: Kernel) -> Kernel:
    """The same as `kernel`, where a division by 0 is no error."""
    compiled: Kernel = njit(**UNCOUNTED, error_model="numpy")(function)
    return compiled
