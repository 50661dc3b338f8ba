"""The layout of a slot: all columns of a batch in one block of memory, each at a multiple of 256 bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

ALIGNMENT: Final = 256  # bytes; what a card's widest loads and the libraries above it like best
PAGE_SIZE: Final = 4_096  # bytes; blocks begin on a page

Bytes = npt.NDArray[np.uint8]
Columns = dict[str, npt.NDArray[Any]]


class Field(NamedTuple):
    """One column of a batch: its name, the type of an element, and the shape of one row."""

    name: str
    dtype: np.dtype[Any]
    row_shape: tuple[int, ...] = ()


class ColumnPlace(NamedTuple):
    """Where a column lies in the block, in bytes, and what it is there."""

    field: Field
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class SlotLayout:
    """Places of the columns for `rows` rows; the block is `size` bytes."""

    rows: int
    places: tuple[ColumnPlace, ...]
    size: int

    @classmethod
    def of(cls, fields: Sequence[Field], rows: int) -> "SlotLayout":
        """Lay the columns one after another."""
        places = []
        offset = 0
        for one in fields:
            size = rows * int(np.prod(one.row_shape, dtype=np.int64)) * one.dtype.itemsize
            places.append(ColumnPlace(one, offset, size))
            offset += -(-size // ALIGNMENT) * ALIGNMENT
        return cls(rows, tuple(places), max(offset, ALIGNMENT))

    def views(self, block: Bytes) -> Columns:
        """The columns as arrays [rows, ...] that lie in the block."""
        assert block.size >= self.size
        return {
            place.field.name: block[place.offset : place.offset + place.size]
            .view(place.field.dtype)
            .reshape(self.rows, *place.field.row_shape)
            for place in self.places
        }


def page_aligned(size: int) -> Bytes:
    """Return `size` bytes of plain memory that begin on a page, all zero."""
    memory = np.zeros(size + PAGE_SIZE, np.uint8)
    start = -memory.ctypes.data % PAGE_SIZE
    return memory[start : start + size]
