"""The rows that a node with a function still needs: those that wait for their tile's end, and context."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from operators.rows.groups import NO_GROUP
from operators.rows.store import RowStore
from schemas.batch import Batch, Int32s, Int64s
from schemas.clocks import BEGINNING_NS

LOOSE_ROWS: Final = 4_096  # so few rows are held whether anybody needs them or not
BLOCK: Final = 256  # rows of a symbol that are written down together
NOTHING: Final[Int64s] = np.empty(0, np.int64)


class Tile(NamedTuple):
    """The rows of one tile, by their places, and of its symbols those before it that are its context.

    Both ascend.  `end_ns` is exclusive.
    """

    end_ns: int
    rows: Int64s
    context: Int64s


class Symbol:
    """The context of one symbol: places of its rows, which ascend.

    `base` is the ordinal of the first of these among all rows of the symbol.
    """

    __slots__ = ("base", "oldest_block", "places", "written")

    def __init__(self, base: int = 0) -> None:
        self.places = NOTHING
        self.base = base
        self.written = base  # ordinal up to which its rows are written down
        self.oldest_block = base // BLOCK  # of those that are written down


class HeldRows:
    """Rows by their place, in order; those from `waiting` on wait, the others may be context.

    A row is context of a tile where it is among the last `rows` of its symbol before the tile, or less than
    `ns` before the tile's beginning.
    """

    def __init__(self, schema: pa.Schema, rows: int, ns: int) -> None:
        self.store = RowStore(schema, schema.names)
        self.waiting = 0
        self.symbols: dict[int, Symbol] = {}
        self.changed: set[int] = set()  # symbols whose rows are others than those written down
        self.taken = 0  # rows in all, which orders them
        self.ended_ns = BEGINNING_NS  # the end of the last tile; rows that wait are of later ones
        self._looks_at = LOOSE_ROWS  # rows held when it is time to look for those that nobody needs
        self._rows, self._ns = rows, ns

    @property
    def count(self) -> int:
        """How many rows are held."""
        return self.store.rows

    @property
    def first_ns(self) -> int | None:
        """The time of the first row that waits; None where none does."""
        return int(self.store.time_ns[self.waiting]) if self.waiting < self.store.rows else None

    def add(self, rows: pa.RecordBatch, group: Int32s, time_ns: Int64s) -> None:
        """Take rows, which wait."""
        self.append(rows, group, time_ns, np.arange(self.taken, self.taken + rows.num_rows, dtype=np.int64))

    def append(self, rows: pa.RecordBatch, group: Int32s, time_ns: Int64s, ordinals: Int64s) -> None:
        """Take rows with the number of each among all."""
        nowhere = np.zeros(rows.num_rows, np.int64)
        batch = Batch(
            columns=rows,
            time_ns=time_ns,
            sequence=ordinals,
            offset=nowhere,
            index=nowhere.astype(np.int32),
            key_code=group,
            keys=pa.array([], pa.binary()),
        )
        self.store.append(batch, group)
        if ordinals.size:
            self.taken = int(ordinals[-1]) + 1

    def tiles(self, complete_ns: int, tile_ns: int) -> Iterator[Tile]:
        """The tiles with rows that have ended by a time, each once.

        Ask for the next one when a tile has been used; places are the same until `forget`.
        """
        while (
            self.first_ns is not None and (end_ns := (self.first_ns // tile_ns + 1) * tile_ns) <= complete_ns
        ):
            times = self.store.time_ns[self.waiting : self.store.rows]
            upper = self.waiting + int(np.searchsorted(times, end_ns))
            rows = np.arange(self.waiting, upper, dtype=np.int64)
            groups = np.unique(self.store.group[rows])
            begin_ns = end_ns - tile_ns
            context = [self._context(self.symbol(group), begin_ns) for group in _known(groups)]
            yield Tile(end_ns, rows, np.sort(np.concatenate([NOTHING, *context])))
            self._close(rows, end_ns)
            self.waiting, self.ended_ns = upper, end_ns

    def gather(self, places: Int64s, names: tuple[str, ...]) -> list[pa.Array]:
        """Columns of rows."""
        return [self.store.gather(name, places) for name in names]

    def of_waiting(self) -> dict[int, Int64s]:
        """The places of the rows that wait, by symbol."""
        return dict(_by_group(self.store.group, np.arange(self.waiting, self.store.rows, dtype=np.int64)))

    def symbol(self, group: int) -> Symbol:
        symbol = self.symbols.get(group)
        if symbol is None:  # behind every ordinal that it may have had before it was forgotten
            symbol = self.symbols[group] = Symbol(self.taken)
        return symbol

    def _context(self, symbol: Symbol, begin_ns: int) -> Int64s:
        """The rows of a symbol that are context of a tile which begins then."""
        return symbol.places[self._needed_from(symbol.places, begin_ns) :]

    def _needed_from(self, places: Int64s, begin_ns: int) -> int:
        by_rows = max(places.size - self._rows, 0)
        if not self._ns:
            return by_rows
        after_ns = max(begin_ns - self._ns, BEGINNING_NS)
        return min(by_rows, int(np.searchsorted(self.store.time_ns[places], after_ns, "right")))

    def _close(self, rows: Int64s, end_ns: int) -> None:
        """The rows of a tile become context of those that follow."""
        for group, places in _by_group(self.store.group, rows):
            self.changed.add(group)
            if group == NO_GROUP:  # of no symbol, and nobody's context
                self.symbol(group).base += places.size
                continue
            symbol = self.symbol(group)
            joined = np.concatenate([symbol.places, places])
            self.trim(symbol, joined, end_ns)

    def trim(self, symbol: Symbol, places: Int64s, begin_ns: int) -> None:
        """Let a symbol have those of its rows that a tile from then on may need."""
        needed_from = self._needed_from(places, begin_ns)
        symbol.places = places[needed_from:]
        symbol.base += needed_from

    def forget(self, *, now: bool = False) -> None:
        """Forget rows that nobody needs, `now` or once there are twice as many rows as were needed last."""
        if self.store.rows <= self._looks_at and not now:
            return
        for group, symbol in self.symbols.items():
            before = symbol.places.size
            self.trim(symbol, symbol.places, self.ended_ns)
            if symbol.places.size < before:
                self.changed.add(group)
        waiting = self.store.rows - self.waiting
        places = [symbol.places for symbol in self.symbols.values()]
        kept = np.sort(np.concatenate([*places, np.arange(self.waiting, self.store.rows, dtype=np.int64)]))
        self.store.keep(kept)
        for symbol in self.symbols.values():
            symbol.places = np.searchsorted(kept, symbol.places)
        self.waiting = self.store.rows - waiting
        self._looks_at = 2 * self.store.rows + LOOSE_ROWS


def _known(groups: Int32s) -> list[int]:
    return [group for group in groups.tolist() if group != NO_GROUP]


def _by_group(group: Int32s, places: Int64s) -> Iterator[tuple[int, Int64s]]:
    """The places of each group's rows, which ascend."""
    if places.size == 0:
        return
    own = group[places]
    order = np.argsort(own, kind="stable")
    groups, begins = np.unique(own[order], return_index=True)
    yield from zip(groups.tolist(), np.split(places[order], begins[1:]), strict=True)
