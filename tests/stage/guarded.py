"""Memory that ends where it may no longer be read: a read beyond a message kills the process."""

import ctypes
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class GuardedPage:
    """Readable memory below `edge`, none from there on."""

    edge: int

    def at_the_edge(self, value: bytes) -> npt.NDArray[np.uint64]:
        """Lay a value against the edge; return its address, as the one value of a block."""
        assert len(value) <= mmap.PAGESIZE
        ctypes.memmove(self.edge - len(value), value, len(value))
        return np.array([self.edge - len(value)], dtype=np.uint64)


@contextmanager
def guarded_page() -> Iterator[GuardedPage]:
    """A page that may be read, before one that may not be touched."""
    size = mmap.PAGESIZE
    memory = mmap.mmap(-1, 2 * size)
    start = ctypes.addressof(held := ctypes.c_char.from_buffer(memory))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    assert protect(start + size, size, 0) == 0
    try:
        yield GuardedPage(start + size)
    finally:
        assert protect(start + size, size, mmap.PROT_READ | mmap.PROT_WRITE) == 0
        del held
        memory.close()
