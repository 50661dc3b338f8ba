"""What a node of formulas remembers: rings of rows, and words of state, by symbol; and how both are written
down.

Rows are kept bit for bit and written down in blocks, each once it has changed.  Words are written down where
they are not 0, which of an exact sum are a few.  A column that a step owns beside kept rows is not written
down: it is made anew from them, and with it the words of that step.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.formula.history import STATEFUL, Stateful, Window
from operators.formula.steps import Step
from operators.node import NodeStateError
from operators.nodes import places as at
from operators.nodes.ahead_kernel import LINE_WORDS
from operators.nodes.coming import Coming
from operators.nodes.evaluate_kernel import Memory
from operators.nodes.history_kernel import make_room, move_rings
from operators.nodes.near_kernel import STATES
from operators.nodes.opcodes import family
from operators.nodes.program import Lines, Segment
from operators.nodes.row_kernel import Grid
from operators.nodes.state_words import hints, lay_words
from operators.rows.groups import Groups
from operators.sealed import Entries, RowKeys, Snapshot
from schemas.batch import Int64s

GROUPS_MIN: Final = 16
CACHE_WORDS: Final = 1 << 15  # of states that stay in a core's own cache
POOL_FULL: Final = 2**62  # rows that no pool has
BLOCK: Final = 256  # rows of a symbol that are written down together
STATE: Final = b"s"
ROWS: Final = b"r"
VERSION: Final = 5
HEADER: Final = struct.Struct("<Bqqqq")  # version, next, oldest, session, since
BLOCK_HEADER: Final = struct.Struct("<Bqi")  # version, first ordinal, rows


class Retention(NamedTuple):
    """Which rows of a symbol are kept: the last ones, those so young (-1 for none), how many at most."""

    rows: int
    ns: int
    most: int


class History:
    """The memory of one node of one task; symbols are numbered by `groups`."""

    def __init__(self, steps: Sequence[Step], segments: Sequence[Segment], kept: int, groups: Groups) -> None:
        """`segments` are those of the program that runs: where states lie is written into their lines."""
        self._groups = groups
        lines = [line for segment in segments if segment.family >= 0 for line in segment.lines]
        self.retention = np.array(retention(steps), np.int64)
        self._stateful = [
            (line, _what(steps, line[at.OUT]))
            for line in lines
            if line[at.OUT] >= 0 and steps[line[at.OUT]].function in STATEFUL
        ]
        self.stride = lay_words(self._stateful)
        owns = [what.own for _, what in self._stateful]
        lies = [
            np.arange(first, first + words) - STATES
            for line, what in self._stateful
            if not (what.own or what.begin)
            for first, words in ((line[at.BASE], what.words), (line[at.FAR], what.far))
        ]
        self._written = np.concatenate([np.empty(0, np.int64), *lies])  # of a symbol's words
        self._columns = kept
        # Columns, of which fewer than two would lie in another order, for numba; and lists.
        self._pool_shape = max(kept + owns.count("rows"), 2), owns.count("places")
        self._used = 0  # rows of the pool
        self._hints = hints(self._stateful)
        self.coming = Coming()
        self._strays: list[bytes] = []  # blocks left over, by key: the next snapshot deletes them
        self.memory = self._new_memory(0, 0)
        self._grow(GROUPS_MIN)

    @property
    def remade(self) -> list[Segment]:
        """The lines whose state is made anew from kept rows, for `kept_tiles`."""
        families: dict[int, list[Lines]] = {}
        for line, what in self._stateful:
            if what.own:
                families.setdefault(family(int(line[at.OPCODE])), []).append(line)
        return [Segment(number, np.array(lines, np.int64)) for number, lines in families.items()]

    def warm(self) -> None:
        """Load the kernels that move rows."""
        self._make_room(0, anew=True)
        nothing = np.empty(0, np.int64)
        self.place(RowKeys(nothing.astype(np.int32), nothing, nothing), 0, 0)

    @property
    def hints(self) -> Grid:
        """What to ask for before it is read; nothing where all states are near the core in any case."""
        return self._hints if self._exceed_cache else self._hints[:0]

    @property
    def _exceed_cache(self) -> bool:
        """Whether states are more than a core's own cache holds."""
        return self.memory.words.size - STATES > CACHE_WORDS

    @property
    def keeps(self) -> bool:
        """Whether rows are kept, and not only states."""
        return self._columns > 0

    def place(self, keys: RowKeys, lower: int, rows: int) -> None:
        """Take up the rows of a batch: `rows` from `lower` on."""
        if len(self._groups) > self.memory.rings.shape[0]:
            self._grow(len(self._groups))
        self.coming.take(keys, lower, rows, len(self._groups), exceed_cache=self._exceed_cache)
        self._make_room(rows)

    def _make_room(self, rows: int, *, anew: bool = False) -> None:
        memory = self.memory
        if not self._columns:
            return
        pool = memory.kept, memory.kept_status, memory.kept_time, memory.lists
        used = POOL_FULL if anew else self._used
        used = make_room(self.coming.rows[at.GROUP], memory.rings, *pool, used, rows)
        if used < 0:  # rings that grew left holes: all are moved, and the pool is twice as large as they are
            new = self._new_pool(2 * (-1 - used))
            used = move_rings(memory.rings, *pool, *new)
            self.memory = memory._replace(kept=new[0], kept_status=new[1], kept_time=new[2], lists=new[3])
        self._used = used

    def _new_pool(self, rows: int) -> tuple[Grid, Grid, Int64s, Grid]:
        return new_pool(*self._pool_shape, rows)

    def _new_memory(self, groups: int, pool_rows: int) -> Memory:
        return new_memory(groups, self.stride * groups, self._new_pool(pool_rows))

    def _grow(self, groups: int) -> None:
        """Make room for so many symbols, and half as many more."""
        old, count = self.memory, self.memory.rings.shape[0]
        room = groups + groups // 2
        new = self._new_memory(room, 0)
        new.rings[:count] = old.rings
        behind = STATES + count * self.stride
        new.words[:behind] = old.words[:behind]
        self.memory = new._replace(
            places=old.places,
            kept=old.kept,
            kept_status=old.kept_status,
            kept_time=old.kept_time,
            lists=old.lists,
        )

    def snapshot(self) -> Snapshot:
        """What changed since the last one: a state by symbol, and the blocks of rows that came or went."""
        rings = self.memory.rings
        changed = np.flatnonzero(rings[:, at.CHANGED])
        words = self._words_of(changed)
        puts: list[tuple[bytes, bytes]] = []
        deletes, self._strays = self._strays, []
        for group, own in zip(changed.tolist(), words, strict=True):
            key, ring = self._groups.key(group), rings[group]
            header = HEADER.pack(VERSION, *(int(ring[place]) for place in _IN_HEADER))
            puts.append((STATE + key, header + own))
            if self._columns:
                oldest, after = int(ring[at.OLDEST]), int(ring[at.NEXT])
                first = max(int(ring[at.SAVED]), oldest) // BLOCK
                came = range(first, (after - 1) // BLOCK + 1)
                puts += [(_block_key(key, block), self._block(group, block)) for block in came]
                written = -(-int(ring[at.SAVED]) // BLOCK)  # blocks so far
                gone = range(int(ring[at.SAVED_OLDEST]) // BLOCK, min(oldest // BLOCK, written))
                deletes += [_block_key(key, block) for block in gone]
                ring[at.SAVED], ring[at.SAVED_OLDEST] = after, oldest
        rings[changed, at.CHANGED] = 0
        return Snapshot(puts, deletes)

    def restore(self, name: str, entries: Entries) -> npt.NDArray[np.int64]:
        """Take back what snapshots held, into a new history; returns the symbols that have rows, by number.

        Raises NodeStateError, with the name of the node, where it is damaged.
        """
        states: dict[bytes, bytes] = {}
        blocks: dict[bytes, dict[int, bytes]] = {}
        for key, value in entries:
            if key[:1] == STATE:
                states[key[1:]] = value
            elif key[:1] == ROWS and len(key) > 8:
                blocks.setdefault(key[1:-8], {})[int.from_bytes(key[-8:], "big")] = value
            else:
                raise NodeStateError(f"node {name}: no entry of its state has a key such as {key!r}")
        codes = self._groups.codes(
            pa.array(list(states), pa.binary()), np.arange(len(states), dtype=np.int32)
        )
        if len(self._groups) > self.memory.rings.shape[0]:
            self._grow(len(self._groups))
        for key in blocks.keys() - states.keys():
            raise NodeStateError(f"node {name}: there are rows of {key!r}, and its state is missing")
        for (key, value), group in zip(states.items(), codes.tolist(), strict=True):
            self._restore_state(name, key, value, group)
            self._check_blocks(name, key, blocks.get(key, {}), group)
        self._make_room(0, anew=True)
        for key, group in zip(states, codes.tolist(), strict=True):
            self._restore_rows(name, key, blocks.get(key, {}), group)
        return codes.astype(np.int64)

    def kept_tiles(self, groups: npt.NDArray[np.int64]) -> Iterator[int]:
        """Lay out the kept rows of symbols, tile by tile, as `place` does new ones; how many there are."""
        rings, places = self.memory.rings, self.memory.places
        for group in groups.tolist() if self.remade else ():
            ring = rings[group]
            oldest, after, since = int(ring[at.OLDEST]), int(ring[at.NEXT]), int(ring[at.SINCE])
            ordinals = np.arange(oldest, after)
            slots = ring[at.START] + (ordinals & ring[at.MASK])
            time_ns = self.memory.kept_time[slots]
            places[at.GROUP], places[at.FIRST] = group, since
            places[at.RING], places[at.ROOM] = ring[at.START], ring[at.MASK]
            for lower in range(0, ordinals.size, at.TILE):
                rows = min(at.TILE, ordinals.size - lower)
                tile, before = slice(lower, lower + rows), min(max(since - oldest - lower, 0), rows)
                places[at.TIME_NS, :rows] = time_ns[tile]
                places[at.SESSION, :before], places[at.SESSION, before:rows] = -1, ring[at.OF_SESSION]
                places[at.ORDINAL, :rows] = ordinals[tile]
                places[at.SLOT, :rows] = slots[tile]
                yield rows

    def _words_of(self, groups: npt.NDArray[np.int64]) -> list[bytes]:
        """The words of symbols as they are written down: a bit for each that says whether it is 0, and the
        others.
        """
        behind = STATES + self.memory.rings.shape[0] * self.stride
        words = self.memory.words[STATES:behind].reshape(-1, max(self.stride, 1))
        own = words[groups[:, None], self._written]
        there = own != 0
        marks = np.packbits(there, axis=1)
        data = own[there].tobytes()
        ends = 8 * np.cumsum(there.sum(axis=1))
        stretches = zip(marks, [0, *ends.tolist()], ends.tolist(), strict=False)
        return [mark.tobytes() + data[start:end] for mark, start, end in stretches]

    def _block(self, group: int, block: int) -> bytes:
        ring, memory = self.memory.rings[group], self.memory
        lower = max(block * BLOCK, int(ring[at.OLDEST]))
        ordinals = np.arange(lower, min((block + 1) * BLOCK, int(ring[at.NEXT])))
        slots = ring[at.START] + (ordinals & ring[at.MASK])
        header = BLOCK_HEADER.pack(VERSION, lower, ordinals.size)
        kept = memory.kept[: self._columns, slots]
        status = memory.kept_status[: self._columns, slots]
        return b"".join([header, memory.kept_time[slots].tobytes(), kept.tobytes(), status.tobytes()])

    def _restore_state(self, name: str, key: bytes, value: bytes, group: int) -> None:
        ring, at_word = self.memory.rings[group], HEADER.size - (-self._written.size // 8)
        marks = np.frombuffer(value[HEADER.size : at_word].ljust(1, b"\0"), np.uint8)
        there = np.unpackbits(marks)[: self._written.size].astype(np.bool_)
        if len(value) != at_word + 8 * np.count_nonzero(there) or value[0] != VERSION:
            raise NodeStateError(f"node {name}: the state of {key!r} is damaged, or of another version")
        _, *places = HEADER.unpack_from(value)
        ring[list(_IN_HEADER)] = places
        if not (0 <= ring[at.OLDEST] <= ring[at.NEXT] and 0 <= ring[at.SINCE] <= ring[at.NEXT]):
            raise NodeStateError(f"node {name}: the state of {key!r} is damaged")
        ring[at.SAVED], ring[at.SAVED_OLDEST] = ring[at.NEXT], ring[at.OLDEST]
        first, written = group * self.stride, self._written[np.flatnonzero(there)]
        self.memory.words[STATES + first + written] = np.frombuffer(value, np.int64, offset=at_word)
        for line, what in self._stateful:
            if what.own or what.begin:  # its window begins with the rows that are kept
                self.memory.words[first + line[at.BASE]] = ring[at.OLDEST]

    def _check_blocks(self, name: str, key: bytes, blocks: Mapping[int, bytes], group: int) -> None:
        """That there are those of the rows kept: no room is made for rows that nobody has."""
        oldest, after = (int(self.memory.rings[group, place]) for place in (at.OLDEST, at.NEXT))
        wanted = range(oldest // BLOCK, (after - 1) // BLOCK + 1 if self._columns and after > oldest else 0)
        if len(wanted) > sum(block in wanted for block in blocks):
            raise NodeStateError(f"node {name}: rows of {key!r} from {oldest} to {after} are missing")
        if any(block >= wanted.stop for block in blocks):
            raise NodeStateError(f"node {name}: there are rows of {key!r} that its state does not know of")
        # A worker that died before it took back forgotten rows left their blocks in the topic.
        self._strays += [_block_key(key, block) for block in blocks if block < wanted.start]

    def _restore_rows(self, name: str, key: bytes, blocks: Mapping[int, bytes], group: int) -> None:
        if not self._columns:
            return
        ring, memory = self.memory.rings[group], self.memory
        oldest, after = int(ring[at.OLDEST]), int(ring[at.NEXT])
        for block in range(oldest // BLOCK, (after - 1) // BLOCK + 1) if after > oldest else ():
            value = blocks.get(block, b"")
            lower, upper = max(block * BLOCK, oldest), min((block + 1) * BLOCK, after)
            if len(value) < BLOCK_HEADER.size:
                raise NodeStateError(f"node {name}: rows {lower} to {upper} of {key!r} are missing")
            version, first, rows = BLOCK_HEADER.unpack_from(value)
            size = 8 + 9 * self._columns  # of a row
            whole = version == VERSION and first <= lower and first + rows == upper
            if not whole or len(value) != BLOCK_HEADER.size + rows * size:
                raise NodeStateError(f"node {name}: rows {lower} to {upper} of {key!r} are damaged")
            time_ns = np.frombuffer(value, np.int64, rows, BLOCK_HEADER.size)
            behind = BLOCK_HEADER.size + 8 * rows
            kept = np.frombuffer(value, np.int64, rows * self._columns, behind).reshape(-1, rows)
            status = np.frombuffer(value, np.uint8, offset=behind + kept.nbytes).reshape(-1, rows)
            start, room = int(ring[at.START]), int(ring[at.MASK]) + 1
            # The block may begin with rows forgotten since, and the ring's end may lie inside it.
            turn = min(upper, lower + room - lower % room)
            for begin, end in ((lower, turn), (turn, upper)) if turn < upper else ((lower, upper),):
                slots = slice(start + begin % room, start + begin % room + end - begin)
                memory.kept_time[slots] = time_ns[begin - first : end - first]
                memory.kept[: self._columns, slots] = kept[:, begin - first : end - first]
                memory.kept_status[: self._columns, slots] = status[:, begin - first : end - first]


def new_memory(groups: int, words: int, pool: tuple[Grid, Grid, Int64s, Grid]) -> Memory:
    """Memory of so many symbols, which are new, and so many words."""
    states = aligned(STATES + words)
    rings = aligned(groups * at.RINGS).reshape(groups, at.RINGS)
    rings[:, at.MASK] = -1
    rings[:, at.OF_SESSION] = at.NO_SESSION
    return Memory(np.zeros((at.PLACES, at.TILE), np.int64), rings, *pool, states, states.view(np.float64))


def new_pool(columns: int, lists: int, rows: int) -> tuple[Grid, Grid, Int64s, Grid]:
    """A pool for so many rows, with two columns at least: values, statuses, times, and lists."""
    rows = max(rows, 2)
    return (
        aligned(rows * columns).reshape(rows, columns).T,
        np.zeros((rows, columns), np.uint8).T,
        np.zeros(rows, np.int64),
        np.zeros((lists, rows), np.int64),
    )


def aligned(words: int) -> Int64s:
    """Words of 0 that begin with a line of the processor's cache."""
    room = np.zeros(words + LINE_WORDS, np.int64)
    first = -room.ctypes.data % (8 * LINE_WORDS) // 8
    return room[first : first + words]


_IN_HEADER: Final = (at.NEXT, at.OLDEST, at.OF_SESSION, at.SINCE)


def retention(steps: Sequence[Step]) -> Retention:
    """Which rows steps look back at."""
    rows, ns, most = 1, -1, 1
    for step in steps:
        what = STATEFUL.get(step.function)
        if what is None or not what.kept:
            continue
        constants = [steps[place].bits for place in step.operands[what.values :]]
        if step.function == "lag_rows":
            rows = max(rows, constants[0])
        elif step.function == "lag_time":
            ns, most = max(ns, constants[0]), max(most, constants[2] + 1)
        elif what.history == "window":
            window = Window(*constants[:4])
            rows = max(rows, window.rows)
            if window.ns:
                ns, most = max(ns, window.ns), max(most, window.rows_max)
    return Retention(rows, ns, max(most, rows))


def _what(steps: Sequence[Step], place: int) -> Stateful:
    """What a stateful step is, with the words that it has for its constants."""
    what, step = STATEFUL[steps[place].function], steps[place]
    return what.sized([steps[operand].bits for operand in step.operands[what.values :]])


def _block_key(key: bytes, block: int) -> bytes:
    return ROWS + key + block.to_bytes(8, "big")
