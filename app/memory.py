"""Memory that an outage leaves behind is given back to the system."""

import ctypes
import gc


def give_back() -> None:
    """Collect what is garbage, clients that were replaced among it, and return free pages of the C heap.

    Each thread of a client allocates in an arena of its own, which keeps what is freed: a worker that met
    25 outages in 18 minutes grew by 330 MiB.
    """
    gc.collect()
    # It is glibc's; other C libraries return pages by themselves.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
