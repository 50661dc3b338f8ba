"""The open bars of a node: words by symbol, and how they are written down and taken back."""

import struct
from typing import Final

import numpy as np
import pyarrow as pa

from operators.bars import aggregate_kernel, expect_kernel
from operators.bars import words as at
from operators.bars.held_kernel import put_down, settle
from operators.bars.words import HELD, Rule, State
from operators.node import NodeStateError
from operators.nodes import exact_kernel as exact
from operators.nodes.ahead_kernel import LINE_WORDS
from operators.nodes.history import aligned
from operators.rows.groups import Groups
from operators.sealed import Entries, Snapshot
from schemas.batch import Int64s
from schemas.clocks import BEGINNING_NS

VERSION: Final = 1
GROUPS_MIN: Final = 16
HEADER: Final = struct.Struct("<BH")  # version, words
DIGITS: Final = struct.Struct("<hh")  # of an exact sum: its lowest and its highest digit
COUNT_KEY: Final = b"\0"  # of the entry that says how many rows were taken; those of symbols begin otherwise
SYMBOL: Final = b"s"
TAKEN: Final = struct.Struct("<q")


class OpenBars:
    """What a node remembers: the open bar of each symbol, and how many rows it took."""

    def __init__(self, groups: Groups, rule: Rule) -> None:
        self._groups = groups
        aggregates = rule.aggregates.tolist()
        self._held = {} if rule.whole else at.SUMS  # by the place of an exact sum that of its floats
        own = [place + at_word for op, *_, place in aggregates for at_word in aggregate_kernel.sums_of(op)]
        ends = [place + aggregate_kernel.words_of(op) for op, *_, place in aggregates]
        self._sums = (*self._held, *own)  # where exact sums lie
        size = max([rule.place + expect_kernel.WORDS, *ends])
        self.stride: Final = -(-size // LINE_WORDS) * LINE_WORDS
        plain = np.ones(size, np.bool_)
        for place in self._sums:
            plain[place : place + exact.SIZE] = False
        for place in self._held.values():
            plain[place : place + HELD] = False
        self._plain = np.flatnonzero(plain)  # the words that are written down as they are
        self.taken = 0
        self.state = self._new(GROUPS_MIN)

    def make_room(self) -> None:
        """Have words for every symbol that there is."""
        room, wanted = self.state.changed.size, len(self._groups)
        if wanted <= room:
            return
        old, self.state = self.state, self._new(wanted + wanted // 2)
        self.state.words[: old.words.size] = old.words
        self.state.changed[:room] = old.changed

    def opened(self) -> tuple[State, Int64s]:
        """A copy in which time ends every bar with a trade, and nothing else, and when it does where it is.

        The moments are int64 ns, one for each such bar in order of symbols, `NEVER` for one without.
        """
        words = self.state.words.copy()
        by_group = words.reshape(-1, self.stride)
        is_open = by_group[:, at.COUNT] > 0
        ends_ns = by_group[is_open, at.BOUND]
        by_group[:, at.BOUND] = np.where(is_open, BEGINNING_NS, at.NEVER)
        return self.state._replace(
            words=words,
            floats=words.view(np.float64),
            changed=np.zeros_like(self.state.changed),
            soonest=np.array([BEGINNING_NS]),
        ), ends_ns

    def snapshot(self) -> Snapshot:
        """What changed since the last one."""
        changed = np.flatnonzero(self.state.changed)
        puts = [(SYMBOL + self._groups.key(group), self._entry(group)) for group in changed.tolist()]
        self.state.changed[:] = 0
        if self.taken:
            puts.append((COUNT_KEY, TAKEN.pack(self.taken)))
        return Snapshot(puts, [])

    def restore(self, name: str, entries: Entries) -> None:
        """Take back what snapshots held; raises NodeStateError, naming the node, where it is damaged."""
        held = dict(entries)
        if not held:
            return
        taken = held.pop(COUNT_KEY, b"")
        if len(taken) != TAKEN.size:
            raise NodeStateError(f"node {name}: how many rows it took is not kept")
        (self.taken,) = TAKEN.unpack(taken)
        keys = [key[1:] for key in held]
        codes = self._groups.codes(pa.array(keys, pa.binary()), np.arange(len(keys), dtype=np.int32))
        self.make_room()
        self.state.soonest[0] = BEGINNING_NS
        for (key, value), group in zip(held.items(), codes.tolist(), strict=True):
            if key[:1] != SYMBOL:
                raise NodeStateError(f"node {name}: no entry of its bars has a key such as {key!r}")
            if not self._take_back(group, value):
                raise NodeStateError(f"node {name}: the bar of {key[1:]!r} is damaged, or of another version")

    def _new(self, groups: int) -> State:
        words = aligned(groups * self.stride)
        by_group = words.reshape(groups, self.stride)
        by_group[:, at.SESSION] = at.NO_SESSION
        by_group[:, at.BOUND] = at.NEVER
        soonest = np.array([BEGINNING_NS])  # the next call looks at all
        return State(words, words.view(np.float64), np.zeros(groups, np.int8), self.stride, soonest)

    def _words(self, group: int) -> Int64s:
        return self.state.words[group * self.stride :][: self.stride]

    def _entry(self, group: int) -> bytes:
        """The words of a symbol, and of each exact sum the digits that it has."""
        words = self._words(group).copy()
        floats = words.view(np.float64)
        parts = [HEADER.pack(VERSION, self._plain.size), words[self._plain].tobytes()]
        for place in self._sums:
            if place in self._held:
                put_down(words, floats, self._held[place], place)
            else:
                settle(words, place)
            low, high = int(words[place + exact.LOWEST]), int(words[place + exact.HIGHEST])
            digits = words[place + exact.DIGITS :][low : high + 1] if high else words[:0]
            parts += [DIGITS.pack(low if high else 0, high), digits.tobytes()]
        return b"".join(parts)

    def _take_back(self, group: int, entry: bytes) -> bool:
        """Read what `_entry` wrote; False where it is something else."""
        words, end = self._words(group), HEADER.size + 8 * self._plain.size
        if len(entry) < end or HEADER.unpack_from(entry) != (VERSION, self._plain.size):
            return False
        words[self._plain] = np.frombuffer(entry, np.int64, self._plain.size, HEADER.size)
        for place in self._sums:
            if len(entry) < end + DIGITS.size:
                return False
            low, high = DIGITS.unpack_from(entry, end)
            end += DIGITS.size
            count = high + 1 - low if high else 0
            if not 0 <= low <= low + count <= exact.SCRATCH - exact.DIGITS or len(entry) < end + 8 * count:
                return False
            words[place + exact.LOWEST], words[place + exact.HIGHEST] = low, high
            words[place + exact.DIGITS :][low : low + count] = np.frombuffer(entry, np.int64, count, end)
            end += 8 * count
        return len(entry) == end
