"""Memory that ends where it may no longer be read: a read beyond a message kills the process."""

import ctypes
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tests.stage.blocks import block_of
from topics.decoder import RowDecoder


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


def require_prefixes_dead(decoder: RowDecoder, whole: bytes, shortest: int) -> None:
    """Decode a message cut at each size from `shortest` on, against the guard: the whole alone is a row."""
    with guarded_page() as page:
        for size in range(shortest, len(whole) + 1):
            block = block_of([(b"K", whole[:size], 0)])
            decoded = decoder.decode(replace(block, value=page.at_the_edge(whole[:size])), np.arange(1))
            assert (decoded.batch is not None) == (size == len(whole))
            assert len(decoded.dead) == (size < len(whole))
