"""The forms that kernels have been compiled in, so that a test can see whether work has made a new one."""

import gc
import sys
from collections.abc import Callable

from numba.core.dispatcher import Dispatcher


def exit_with_new_forms(warm: Callable[[], None], work: Callable[[], None]) -> None:
    """Warm up, work, and end the process: status 0, or 1 and a line for every form that work has made.

    Every kernel counts whose module has been imported, and none is named by hand.
    """
    warm()
    before = {kernel: set(kernel.signatures) for kernel in _kernels()}
    gc.disable()  # the kernels that work imports must not be taken for others that are gone
    work()
    new = [
        f"{kernel.py_func.__module__}.{kernel.py_func.__name__} {form}"
        for kernel in _kernels()
        for form in set(kernel.signatures) - before.get(kernel, set())
    ]
    sys.exit("\n".join(new) or 0)


def _kernels() -> list[Dispatcher]:
    return [held for held in gc.get_objects() if isinstance(held, Dispatcher)]
