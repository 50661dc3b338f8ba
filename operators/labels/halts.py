"""What a node of labels remembers of halts (D11): changes of status that a label may meet, by symbol."""

import struct
from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from operators.formula.suggest import suggest
from operators.labels import halt_kernel as kernel
from operators.labels import places as at
from operators.labels.held import Decided
from operators.labels.inputs import known_times
from operators.labels.settings import LabelError
from operators.node import NodeStateError
from operators.rows.groups import Groups
from operators.sealed import RowKeys, Sealed
from schemas.batch import Bools, Int64s
from schemas.clocks import BEGINNING_NS
from schemas.key_types import comparable

COMPLETE_KEY: Final = b"c"  # of the entry that says up to when the statuses are complete
COMPLETE: Final = struct.Struct("<Bq")  # version, time
PREFIX: Final = b"s"  # of the keys of the entries of symbols
VERSION: Final = 1
FIELDS: Final = kernel.BEFORE  # of a change that are written down
SYMBOLS_MIN: Final = 16
CHANGES_MIN: Final = 1024


def require_statuses(column: str, layout: pa.Schema) -> None:
    """Raise LabelError where rows of statuses do not say by this column which symbols are halted."""
    if column not in layout.names:
        raise LabelError(f"there is no column {column}{suggest(column, layout.names, listed='there are')}")
    kind = layout.field(column).type
    if not (pa.types.is_boolean(kind) or pa.types.is_integer(kind)):
        raise LabelError(f"{column} is {kind}: a status is a boolean, or an integer that is 0 without a halt")


def require_same_keys(
    rows: pa.Schema, key: tuple[str, ...], statuses: pa.Schema, status_key: tuple[str, ...]
) -> None:
    """Raise LabelError where statuses are not of the symbols of the rows, by the types of their keys."""
    kinds = [rows.field(name).type for name in key]
    others = [statuses.field(name).type for name in status_key]
    if len(kinds) != len(others) or not all(map(comparable, kinds, others)):
        own, other = ", ".join(key) or "nothing", ", ".join(status_key) or "nothing"
        raise LabelError(
            f"rows are told apart by {own}, and their statuses by {other}: these match by equal keys"
        )


class Halts:
    """When symbols, numbered by `groups`, were halted; a symbol without a status trades.

    Statuses come in order of their times.
    """

    def __init__(self, column: str, groups: Groups) -> None:
        """`column` is true, or not 0, in a row from which on its symbol is halted; null says nothing."""
        self.complete_ns = BEGINNING_NS  # of the statuses
        self._column = column
        self._groups = groups
        self._newest = np.full(SYMBOLS_MIN, kernel.NONE, np.int64)
        self._changed = np.zeros(SYMBOLS_MIN, np.bool_)
        self._changes = np.zeros((CHANGES_MIN, kernel.CHANGE_FIELDS), np.int64)
        self._count = 0
        self._written_ns: int | None = None  # up to when the statuses are, as it was written down
        self._worth = CHANGES_MIN  # so many changes are looked through for those that can go
        nothing = np.empty(0, np.int64)
        none = RowKeys(nothing.astype(np.int32), nothing)
        self._put(none, nothing, nothing.astype(np.int8))
        self._forget(BEGINNING_NS)
        outcome = np.empty((at.RETURN, 0), np.int64), np.empty((at.OUTCOME_FIELDS - at.RETURN, 0))
        self.inside(Decided(none, nothing.astype(np.int8), *outcome))  # no row has to wait for a kernel

    def take(self, sealed: Sealed) -> None:
        """Take statuses."""
        rows, keys = sealed.rows, sealed.keys
        if rows is not None and rows.num_rows:
            assert keys is not None, "halts are of symbols: the rows of statuses need keys"
            column = rows.column(self._column)
            halted = column if pa.types.is_boolean(column.type) else pc.not_equal(column, 0)
            states = halted.cast(pa.int8()).fill_null(kernel.SAYS_NOTHING).to_numpy(zero_copy_only=False)
            self._put(keys, known_times(rows, keys.time_ns), states)
        self.complete_ns = max(self.complete_ns, sealed.complete_ns)

    def inside(self, decided: Decided) -> Bools:
        """Which labels have a halt from their event to their end; false where there is none.

        A label is known no earlier than the changes are that this hangs on: its time in `decided` is set
        right.
        """
        self._require_symbols()
        keys, reasons, whole, _ = decided
        inside = np.empty(reasons.size, np.bool_)
        kernel.find_halts(keys.group, keys.time_ns, reasons, whole, self._newest, self._changes, inside)
        return inside

    def snapshot(self, oldest_ns: int) -> list[tuple[bytes, bytes]]:
        """The entries of the symbols that changed since the last one; no event to come is before a time."""
        puts: list[tuple[bytes, bytes]] = []
        if self._changed.any():
            self._forget(oldest_ns)
            groups = np.flatnonzero(self._changed).tolist()
            puts = [(PREFIX + self._groups.key(group), self._entry(group)) for group in groups]
            self._changed[:] = False
        if self._written_ns != self.complete_ns:
            puts.append((COMPLETE_KEY, COMPLETE.pack(VERSION, self.complete_ns)))
            self._written_ns = self.complete_ns
        return puts

    def restore(self, name: str, entries: Mapping[bytes, bytes]) -> None:
        """Take back what snapshots held; raises NodeStateError, with the node's name, where it is damaged."""
        symbols = dict(entries)
        head = symbols.pop(COMPLETE_KEY, b"")
        if len(head) != COMPLETE.size or head[0] != VERSION:
            raise NodeStateError(f"node {name}: how far its statuses are is not kept, or in another version")
        _, self.complete_ns = COMPLETE.unpack(head)
        self._written_ns = self.complete_ns
        keys = pa.array([key[len(PREFIX) :] for key in symbols], pa.binary())
        groups = self._groups.codes(keys, np.arange(len(keys), dtype=np.int32))
        for group, (key, entry) in zip(groups.tolist(), symbols.items(), strict=True):
            if not entry or len(entry) % (8 * FIELDS):
                raise NodeStateError(f"node {name}: the halts that {key[len(PREFIX) :]!r} had are damaged")
            self._restore(group, np.frombuffer(entry, np.int64).reshape(-1, FIELDS))

    def forget(self, oldest_ns: int) -> None:
        """Let go of what no label of an event from a time on can meet, where that is worth a look."""
        if self._count >= self._worth:
            self._forget(oldest_ns)
            self._worth = max(CHANGES_MIN, 2 * self._count)

    def _forget(self, oldest_ns: int) -> None:
        kept = np.empty(self._count, np.int64)
        self._count = kernel.forget_changes(oldest_ns, self._newest, self._changes, self._count, kept)

    def _put(self, keys: RowKeys, known_ns: Int64s, states: kernel.States) -> None:
        self._require_symbols()
        self._require_places(states.size)
        # Copies, since kernels are compiled for arrays that can be written to.
        own = np.array(keys.group), np.array(keys.time_ns), np.array(known_ns), np.array(states)
        self._count = kernel.take_statuses(*own, self._newest, self._changes, self._count, self._changed)

    def _require_symbols(self) -> None:
        """Have room for all symbols that there are, and half as many more."""
        symbols = len(self._groups)
        if symbols > self._newest.size:
            more = symbols + symbols // 2 - self._newest.size
            self._newest = np.concatenate([self._newest, np.full(more, kernel.NONE, np.int64)])
            self._changed = np.concatenate([self._changed, np.zeros(more, np.bool_)])

    def _require_places(self, more: int) -> None:
        """Have room for so many more changes."""
        needed = self._count + more
        if needed > len(self._changes):
            size = max(needed, 2 * len(self._changes))
            grown = np.zeros((size, kernel.CHANGE_FIELDS), np.int64)
            grown[: self._count] = self._changes[: self._count]
            self._changes = grown

    def _entry(self, group: int) -> bytes:
        """The changes of a symbol, oldest first."""
        places = []
        place = int(self._newest[group])
        while place != kernel.NONE:
            places.append(place)
            place = int(self._changes[place, kernel.BEFORE])
        return self._changes[places[::-1], :FIELDS].tobytes()

    def _restore(self, group: int, changes: at.Whole) -> None:
        """Take back the changes of a symbol; the first may be the end of a halt that was let go of."""
        self._require_symbols()
        self._require_places(len(changes))
        places = np.arange(self._count, self._count + len(changes))
        self._changes[places, :FIELDS] = changes
        self._changes[places, kernel.BEFORE] = np.where(places > self._count, places - 1, kernel.NONE)
        self._newest[group] = places[-1]
        self._count += len(changes)
