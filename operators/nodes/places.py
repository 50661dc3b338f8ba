"""Where what a node remembers lies: per row of a tile, per symbol, and per step."""

from typing import Final

TILE: Final = 256  # rows: registers stay in the processor's cache; each tile begins with a byte of bitmaps

# Rows of the array `places` (int64, by row of the tile): which symbol, when, in which session; then, written
# by `enter`, the number of the row among those of its symbol, that of the first one of its session, and
# where it is kept: its slot, and where the ring begins and how many rows it has room for less 1.
GROUP: Final = 0
TIME_NS: Final = 1
SESSION: Final = 2
ORDINAL: Final = 3
FIRST: Final = 4
SLOT: Final = 5
RING: Final = 6
ROOM: Final = 7
PLACES: Final = 8

# Rows of the array `coming` (int64, by place in a batch): the first three of these, and which row runs there;
# by row, at which place it runs; and room for as many values.
ROW: Final = 3
PLACE: Final = 4
SPARE: Final = 5
COMING_ROWS: Final = 6

# Columns of the array `rings` (int64, by group): where its ring of kept rows begins in the pool, how many
# rows it has room for less 1 (a power of two less 1; -1 for no ring), the ordinals behind the newest row and
# of the oldest one kept, its session and the ordinal at which that began, rows of the batch at hand, whether
# anything has changed, and up to which ordinals it is written down.  The first eight are one line of the
# processor's cache: a row needs no others.
START: Final = 0
MASK: Final = 1
NEXT: Final = 2
OLDEST: Final = 3
OF_SESSION: Final = 4
SINCE: Final = 5
COMING: Final = 6
CHANGED: Final = 7
SAVED: Final = 8
SAVED_OLDEST: Final = 9
RINGS: Final = 16

NO_SESSION: Final = -(2**63)  # of a symbol that had none yet; -1 is a row outside every session
ROOM_MIN: Final = 8  # rows of the smallest ring

# Columns of a line of a program.
OPCODE: Final = 0
OUT: Final = 1
OPERANDS: Final = 2
OPERANDS_MAX: Final = 17
BASE: Final = 19  # where the words of the step begin among those of a symbol
STRIDE: Final = 20  # words of a symbol, of all steps
SIZE: Final = 21  # words of this one
KEPT: Final = 22  # columns of the pool that keep the first and the second value
OWN: Final = 23  # of a step with one value: the column that it writes itself
FAR: Final = 24  # where words begin that a state seldom needs (`near_kernel`)
PARTS_AT: Final = 25  # registers of further results, -1 where nobody reads them
LINE: Final = 30
