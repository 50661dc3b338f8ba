"""The C heap of a process that runs for months: few arenas, and what is free goes back to the system."""

import ctypes
import gc
from collections.abc import Callable
from typing import Any, Final

from schemas.clocks import NS_PER_S

ARENAS: Final = 2
GIVE_BACK_AFTER_NS: Final = 10 * NS_PER_S
_M_ARENA_MAX: Final = -8  # of glibc's malloc.h


def share_arenas() -> None:
    """Let threads allocate in two arenas together; call it before they are started.

    glibc gives each an arena of its own, which keeps what is freed.  A client's threads come and go with each
    outage: half an hour of them took a worker from 220 MiB to 385.
    """
    if (set_option := _of_libc("mallopt")) is not None:
        set_option(_M_ARENA_MAX, ARENAS)


def give_back() -> None:
    """Collect what is garbage, clients that were replaced among it, and return free pages of the heap."""
    gc.collect()
    if (trim := _of_libc("malloc_trim")) is not None:
        trim(0)


class Leftovers:
    """What tasks that went, or went back to the last commit, leave in the heap."""

    def __init__(self, elapsed_ns: Callable[[], int]) -> None:
        self._elapsed_ns = elapsed_ns
        self._since_ns: int | None = None

    def came(self) -> None:
        """Some are there now."""
        if self._since_ns is None:
            self._since_ns = self._elapsed_ns()

    def give_back_when_due(self) -> None:
        """Give them back, some tens of milliseconds, once what was missed meanwhile has been read."""
        if self._since_ns is not None and self._elapsed_ns() - self._since_ns > GIVE_BACK_AFTER_NS:
            give_back()
            self._since_ns = None


def _of_libc(name: str) -> Any:
    """A function that glibc has; other C libraries look after their pages themselves."""
    return getattr(ctypes.CDLL(None), name, None)
