"""The C heap of a process that runs for months: few arenas, and what is free goes back to the system."""

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import structlog

from schemas.clocks import NS_PER_S

log = structlog.get_logger()

ARENAS: Final = 2
GIVE_BACK_AFTER_NS: Final = 10 * NS_PER_S
MIB: Final = 1 << 20
KIB_PER_MIB: Final = 1 << 10
_M_ARENA_MAX: Final = -8  # of glibc's malloc.h
_STATUS: Final = Path("/proc/self/status")


def share_arenas() -> None:
    """Let threads allocate in two arenas together; call it before they are started.

    glibc gives each an arena of its own, which keeps what is freed.  A client's threads come and go with each
    outage: half an hour of them took a worker from 220 MiB to 385.
    """
    if (set_option := _of_libc("mallopt")) is not None:
        set_option(_M_ARENA_MAX, ARENAS)


def give_back() -> None:
    """Collect what is garbage, clients that were replaced among it, and return free pages of the heap."""
    before = _status_of("VmRSS")
    gc.collect()
    if (trim := _of_libc("malloc_trim")) is not None:
        trim(0)
    log.info(
        "memory given back",
        resident_before_mib=before // KIB_PER_MIB,
        resident_mib=_status_of("VmRSS") // KIB_PER_MIB,
        in_use_mib=_in_use() // MIB,
        threads=_status_of("Threads"),
    )


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


class _Mallinfo2(ctypes.Structure):
    """What glibc counts over all arenas, in bytes (mallinfo(3))."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    )


def _in_use() -> int:
    """Bytes that somebody has allocated and not freed; 0 where the C library does not tell."""
    if (mallinfo2 := _of_libc("mallinfo2")) is None:
        return 0
    mallinfo2.restype = _Mallinfo2
    figures = mallinfo2()
    return int(figures.uordblks + figures.hblkhd)


def _status_of(name: str) -> int:
    """A figure of this process, sizes in KiB; 0 on other systems."""
    if not _STATUS.exists():
        return 0
    lines = _STATUS.read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)
