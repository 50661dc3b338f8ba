"""When an input's watermark first reached a bound, by the clock of the log: what `available_ns` is made of.

A *step* is a row or progress record that raised the bound of its input further than all before it in the
log: a row to its time less the grace, a record to its `upper_ns`.  It was known at the row's `known_ns`, at
its event time where it has none, and a record at its `upper_ns`.  Which steps there are hangs on the log
alone, never on how it was cut into batches.
"""

import struct
from typing import Final

import numpy as np

from schemas.batch import Bools, Int64s
from schemas.clocks import BEGINNING_NS

UNKNOWN_NS: Final = BEGINNING_NS  # of a step whose row or record was not remembered
NEWEST: Final = struct.Struct("<q")
COLUMNS: Final = 3


class KnownBounds:
    """The steps of one input beyond those that every row to come has behind it.

    `newest_ns`  the highest bound so far; BEGINNING_NS before any.
    """

    def __init__(self) -> None:
        self.newest_ns = BEGINNING_NS
        self._bound = np.empty(0, np.int64)  # rising
        self._known = np.empty(0, np.int64)
        self._offset = np.empty(0, np.int64)

    def see(self, bound_ns: Int64s, known_ns: Int64s, offset: Int64s) -> None:
        """Take rows and records in the order of their log: the bound of each, when known, and its offset."""
        if bound_ns.size == 0:
            return
        highest = np.maximum.accumulate(bound_ns)
        before = np.append(self.newest_ns, np.maximum(highest[:-1], self.newest_ns))
        raises = bound_ns > before
        self._bound = np.append(self._bound, bound_ns[raises])
        self._known = np.append(self._known, known_ns[raises])
        self._offset = np.append(self._offset, offset[raises])
        self.newest_ns = max(self.newest_ns, int(highest[-1]))

    def see_unknown(self, bound_ns: int) -> None:
        """The bound was reached by what is not remembered: nobody knows when."""
        if bound_ns > self.newest_ns:
            self.see(*(np.array([value]) for value in (bound_ns, UNKNOWN_NS, -1)))

    def begin(self, bound_ns: int) -> None:
        """What raises the bound up to here is of no more use, whatever it was."""
        self.newest_ns = max(self.newest_ns, bound_ns)
        self.forget(bound_ns)

    def forget(self, bound_ns: int) -> None:
        """No row to come asks for a bound up to this one."""
        count = int(np.searchsorted(self._bound, bound_ns, "right"))
        if count:
            self._bound, self._known = self._bound[count:], self._known[count:]
            self._offset = self._offset[count:]

    def known_at(self, bound_ns: Int64s) -> tuple[Int64s, Bools]:
        """When each of these bounds was reached, and whether that is known."""
        step = np.searchsorted(self._bound, bound_ns, "left")
        reached = step < self._bound.size
        if not self._bound.size:
            return np.zeros(bound_ns.size, np.int64), reached
        known = self._known[np.minimum(step, self._bound.size - 1)]
        return known, reached & (known != UNKNOWN_NS)

    def oldest_offset(self, otherwise: int) -> int:
        """The offset of the oldest step, which a restart has to read again; at most `otherwise`."""
        offsets = self._offset[self._offset >= 0]
        return min(int(offsets[0]), otherwise) if offsets.size else otherwise

    def to_bytes(self) -> bytes:
        """All of it, for a snapshot."""
        return NEWEST.pack(self.newest_ns) + np.stack([self._bound, self._known, self._offset]).tobytes()

    @classmethod
    def from_bytes(cls, value: bytes) -> "KnownBounds":
        """What `to_bytes` wrote; raises ValueError for anything else."""
        bounds = cls()
        if len(value) < NEWEST.size or (len(value) - NEWEST.size) % (8 * COLUMNS):
            raise ValueError(f"steps of {len(value)} bytes")
        (bounds.newest_ns,) = NEWEST.unpack_from(value)
        columns = np.frombuffer(value, np.int64, offset=NEWEST.size).reshape(COLUMNS, -1)
        bounds._bound, bounds._known, bounds._offset = columns
        return bounds
