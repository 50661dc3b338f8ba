"""What bins with trailing edges remember of each symbol: the labels that count, and those that end later."""

import struct
from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.labels import places as at
from operators.labels import trailing_kernel as kernel
from operators.labels.held import Decided
from operators.labels.settings import Bins
from operators.node import NodeStateError
from operators.rows.groups import Groups

PREFIX: Final = b"t"  # of the keys of its entries
HEAD: Final = struct.Struct("<Bii")  # version, labels that count, labels that end later
VERSION: Final = 1
SYMBOLS_MIN: Final = 16
PLACES_MIN: Final = 1024  # of labels that end later


class TrailingBins:
    """L4: between which trailing quantiles each label lies; symbols are numbered by `groups`."""

    def __init__(self, label: Bins, groups: Groups) -> None:
        assert label.trailing is not None, "the edges of these bins are fixed"
        self._most = label.trailing
        self._least = label.least
        self._q_ppm = np.array(label.q_ppm, np.int64)
        self._groups = groups
        self._changed: set[int] = set()
        self._tables = kernel.Tables(
            np.empty((0, kernel.SYMBOL_FIELDS), np.int64),
            np.empty((0, self._most)),
            np.empty((0, self._most), np.int64),
            np.empty((0, self._most)),
            np.empty((0, kernel.QUEUE_FIELDS), np.int64),
            np.empty(0),
            np.array([-1, 0], np.int64),
        )
        self._grow(SYMBOLS_MIN)
        self._add_places(PLACES_MIN)
        nothing = np.empty(0, np.int64)
        none = kernel.Events(nothing.astype(np.int32), nothing, nothing, nothing, np.empty(0))
        self._classify(none)  # no row has to wait for a kernel to be compiled

    def classes(self, decided: Decided, measured: npt.NDArray[np.float64]) -> kernel.Classes:
        """The interval of each row by what it came to, or `NO_LABEL` or `TOO_FEW`; in order, each row once.

        A label is known no earlier than its edges are: its time in `decided` is set right.
        """
        keys, reasons, whole, _ = decided
        if len(self._groups) > len(self._tables.symbols):
            self._grow(len(self._groups))
        self._require_places(measured.size)
        self._changed.update(np.unique(keys.group[keys.group >= 0]).tolist())
        measured = np.where(reasons == at.OK, measured, np.nan)
        ends_ns, known_ns = whole[at.LABEL_END], whole[at.LABEL_KNOWN]
        return self._classify(kernel.Events(keys.group, keys.time_ns, ends_ns, known_ns, measured))

    def _classify(self, events: kernel.Events) -> kernel.Classes:
        classes = np.empty(events.group.size, np.int8)
        kernel.classify(events, self._q_ppm, self._least, self._tables, classes)
        return classes

    def snapshot(self) -> list[tuple[bytes, bytes]]:
        """The entries of the symbols that have changed since the last one."""
        puts = [(PREFIX + self._groups.key(group), self._entry(group)) for group in sorted(self._changed)]
        self._changed = set()
        return puts

    def restore(self, name: str, entries: Mapping[bytes, bytes]) -> None:
        """Take back what snapshots held; raises NodeStateError, with the node's name, where it is damaged."""
        keys = pa.array([key[len(PREFIX) :] for key in entries], pa.binary())
        groups = self._groups.codes(keys, np.arange(len(keys), dtype=np.int32))
        if len(self._groups) > len(self._tables.symbols):
            self._grow(len(self._groups))
        for group, (key, entry) in zip(groups.tolist(), entries.items(), strict=True):
            if not self._restore(group, entry):
                raise NodeStateError(f"node {name}: the labels that {key[len(PREFIX) :]!r} had are damaged")

    def _entry(self, group: int) -> bytes:
        """When the labels that count are known and what they came to, oldest first.

        Then of those that end later when they end, when they are known and what they came to.
        """
        symbols, came, known, _, queue, waits, _ = self._tables
        symbol = symbols[group]
        count, behind = int(symbol[kernel.COUNT]), int(symbol[kernel.NEXT])
        oldest_first = np.arange(behind - count, behind) % self._most
        places = []
        place = int(symbol[kernel.FIRST])
        while place >= 0:
            places.append(place)
            place = int(queue[place, kernel.BEHIND])
        parts = [known[group, oldest_first], came[group, oldest_first]]
        parts += [queue[places, kernel.END_NS], queue[places, kernel.KNOWN_NS], waits[places]]
        return HEAD.pack(VERSION, count, len(places)) + b"".join(part.tobytes() for part in parts)

    def _restore(self, group: int, entry: bytes) -> bool:
        """Take back one symbol; whether its entry is whole."""
        if len(entry) < HEAD.size:
            return False
        version, count, waiting = HEAD.unpack_from(entry)
        whole = version == VERSION and 0 <= count <= self._most and waiting >= 0
        if not whole or len(entry) != HEAD.size + 16 * count + 24 * waiting:
            return False
        numbers = np.frombuffer(entry, np.int64, offset=HEAD.size)
        ends = np.cumsum([count, count, waiting, waiting])
        of_known, of_came, ends_ns, known_ns, waits = np.split(numbers, ends)
        symbols, came, known, ordered, *_ = self._tables
        known[group, :count], came[group, :count] = of_known, of_came.view(np.float64)
        ordered[group, :count] = np.sort(of_came.view(np.float64))
        symbols[group] = (-1, -1, count, count % self._most)
        self._require_places(waiting)
        queue, free = self._tables.queue, self._tables.free
        for end_ns, when_known_ns, value in zip(ends_ns, known_ns, waits.view(np.float64), strict=True):
            place = int(free[kernel.FREE])
            free[kernel.FREE] = queue[place, kernel.BEHIND]
            free[kernel.TAKEN] += 1
            queue[place], self._tables.waits[place] = (end_ns, when_known_ns, -1), value
            first, last = symbols[group, kernel.FIRST], symbols[group, kernel.LAST]
            symbols[group, kernel.FIRST] = place if first < 0 else first
            if first >= 0:
                queue[last, kernel.BEHIND] = place
            symbols[group, kernel.LAST] = place
        return True

    def _grow(self, symbols: int) -> None:
        """Have room for so many symbols, and half as many more."""
        old, more = self._tables, symbols + symbols // 2 - len(self._tables.symbols)
        new = np.tile(np.array([-1, -1, 0, 0], np.int64), (more, 1))
        empty = np.zeros((more, self._most))
        self._tables = old._replace(
            symbols=np.concatenate([old.symbols, new]),
            came=np.concatenate([old.came, empty]),
            known=np.concatenate([old.known, empty.astype(np.int64)]),
            ordered=np.concatenate([old.ordered, empty]),
        )

    def _require_places(self, needed: int) -> None:
        """Have room for so many more labels that end later."""
        places = len(self._tables.waits)
        room = places - int(self._tables.free[kernel.TAKEN])
        if room < needed:
            self._add_places(max(needed - room, places))

    def _add_places(self, more: int) -> None:
        old, first = self._tables, len(self._tables.waits)
        new = np.zeros((more, kernel.QUEUE_FIELDS), np.int64)
        new[:, kernel.BEHIND] = np.arange(first + 1, first + more + 1)
        new[-1, kernel.BEHIND] = old.free[kernel.FREE]
        old.free[kernel.FREE] = first
        self._tables = old._replace(
            queue=np.concatenate([old.queue, new]), waits=np.concatenate([old.waits, np.zeros(more)])
        )
