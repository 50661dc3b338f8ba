"""What a node with a function remembers, written down and taken back: rows by symbol, and how it stands.

Rows of a symbol are written in blocks by their ordinal among those of the symbol, and a block again only as
long as rows of it come.  A block may begin with rows that nobody needs any more: which are context follows
from the rows themselves.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from operators.node import NodeStateError
from operators.rows.groups import NO_GROUP, Groups
from operators.rows.packing import pack_rows, unpack_rows
from operators.sealed import Snapshot
from operators.tiles.held import BLOCK, NOTHING, HeldRows, Symbol
from schemas.batch import Int32s, Int64s
from schemas.clocks import BEGINNING_NS
from schemas.envelope import EnvelopeError, open_envelope, seal_envelope

VERSION: Final = 1
HEAD_KEY: Final = b"h"
USED_KEY: Final = b"m"
SYMBOL: Final = b"s"
NO_SYMBOL: Final = b"n"
HEAD: Final = struct.Struct("<qqqq?")
BLOCK_KEY: Final = struct.Struct(">q")
FIRST: Final = struct.Struct("<q")  # in front of a block: the ordinal of its first row
OWN: Final = (pa.field("\0ordinal", pa.int64()), pa.field("\0time_ns", pa.int64()))


class Standing(NamedTuple):
    """How the function stands.

    `first_ns`  the time of the first row that the node took; None before it.
    `failures`  how many tiles have failed in a row.
    `off`       whether it is called no more.
    `used`      of a model: `Models.digest` of the last tile that was run.
    """

    first_ns: int | None = None
    failures: int = 0
    off: bool = False
    used: str = ""


class TileState:
    """Writes down what changed in the rows held, and takes it back."""

    def __init__(self, name: str, schema: pa.Schema, groups: Groups) -> None:
        self._name, self._groups = name, groups
        self._layout = schema
        self._schema = pa.schema([*schema, *OWN])
        self._head = b""
        self._used = ""

    def snapshot(self, held: HeldRows, standing: Standing) -> Snapshot:
        """What changed since the last one."""
        if not held.taken:
            return Snapshot([], [])
        first_ns = BEGINNING_NS if standing.first_ns is None else standing.first_ns
        head = HEAD.pack(held.taken, held.ended_ns, first_ns, standing.failures, standing.off)
        puts = [] if head == self._head else [(HEAD_KEY, seal_envelope(VERSION, head))]
        self._head = head
        if standing.used != self._used:
            puts.append((USED_KEY, seal_envelope(VERSION, bytes.fromhex(standing.used))))
            self._used = standing.used
        waiting = held.of_waiting()
        deletes: list[bytes] = []
        blocks: list[tuple[bytes, int, Int64s]] = []
        for group in sorted(held.changed | waiting.keys()):
            symbol = held.symbol(group)
            places = np.concatenate([symbol.places, waiting.get(group, NOTHING)])
            blocks += self._blocks(group, symbol, places)
            behind = -(-symbol.written // BLOCK)  # the last block that is written down
            needed = min(symbol.base // BLOCK, behind) if places.size else behind
            deletes += [self._key(group, block) for block in range(symbol.oldest_block, needed)]
            symbol.written, symbol.oldest_block = symbol.base + places.size, symbol.base // BLOCK
            if not places.size and group != NO_GROUP:
                del held.symbols[group]
        held.changed.clear()
        return Snapshot([*puts, *self._packed(held, blocks)], deletes)

    def restore(self, held: HeldRows, entries: Mapping[bytes, bytes]) -> Standing:
        """Take back what snapshots held; raises NodeStateError where it is damaged."""
        kept = dict(entries)
        head = self._opened(kept.pop(HEAD_KEY, b""))
        self._used = self._opened(kept.pop(USED_KEY)).hex() if USED_KEY in kept else ""
        if len(head) != HEAD.size:
            raise NodeStateError(f"node {self._name}: how its function stands is not kept")
        taken, ended_ns, first_ns, failures, off = HEAD.unpack(head)
        rows = self._rows(kept)
        held.ended_ns = ended_ns
        held.append(rows.payload, rows.group, rows.time_ns, rows.order)
        held.taken = taken
        held.waiting = int(np.searchsorted(rows.time_ns, ended_ns))
        for group in np.unique(rows.group).tolist():
            self._restore_symbol(held, group, np.flatnonzero(rows.group == group), rows.ordinal)
        self._head = head
        return Standing(first_ns, failures, off, self._used)

    def _restore_symbol(self, held: HeldRows, group: int, places: Int64s, ordinal: Int64s) -> None:
        first = int(ordinal[places[0]])
        symbol = held.symbols[group] = Symbol(first)
        symbol.oldest_block = first // BLOCK
        context = int(np.searchsorted(places, held.waiting))
        if group != NO_GROUP:
            held.trim(symbol, places[:context], held.ended_ns)
        # Blocks that a worker left behind as it died are older than what is needed, with gaps behind.
        rest = ordinal[places[context - symbol.places.size :]]
        symbol.base = int(rest[0]) if rest.size else int(ordinal[places[-1]]) + 1
        if not np.array_equal(rest, np.arange(symbol.base, symbol.base + rest.size)):
            raise NodeStateError(f"node {self._name}: rows of a symbol are missing")
        symbol.written = symbol.base + rest.size
        held.changed.add(group)  # what is older than needed is deleted with the next snapshot

    def _blocks(self, group: int, symbol: Symbol, places: Int64s) -> Iterator[tuple[bytes, int, Int64s]]:
        """The blocks with rows that are not written down yet: key, ordinal of the first row, and places."""
        end = symbol.base + places.size
        if symbol.written >= end:
            return
        for block in range(max(symbol.written, symbol.base) // BLOCK, -(-end // BLOCK)):
            first = max(block * BLOCK, symbol.base)
            upper = min(end, (block + 1) * BLOCK)
            yield self._key(group, block), first, places[first - symbol.base : upper - symbol.base]

    def _packed(
        self, held: HeldRows, blocks: list[tuple[bytes, int, Int64s]]
    ) -> Iterator[tuple[bytes, bytes]]:
        if not blocks:
            return
        places = np.concatenate([block for _, _, block in blocks])
        bounds = np.cumsum([0, *(block.size for _, _, block in blocks)], dtype=np.int64)
        store = held.store
        columns = [*held.gather(places, store.names), pa.array(store.sequence[places])]
        columns.append(pa.array(store.time_ns[places]))
        rows = pa.RecordBatch.from_arrays(columns, schema=self._schema)
        for (key, first, _), value in zip(blocks, pack_rows(rows, bounds), strict=True):
            yield key, seal_envelope(VERSION, FIRST.pack(first) + value)

    def _key(self, group: int, block: int) -> bytes:
        owner = NO_SYMBOL if group == NO_GROUP else SYMBOL + self._groups.key(group)
        return owner + BLOCK_KEY.pack(block)

    def _opened(self, value: bytes) -> bytes:
        try:
            return open_envelope(VERSION, value)
        except EnvelopeError as damaged:
            raise NodeStateError(f"node {self._name}: an entry of its state {damaged}") from None

    def _rows(self, entries: Mapping[bytes, bytes]) -> "_Rows":
        """The rows of all blocks, in the order in which they came."""
        keys: list[bytes | None] = []
        values, firsts = [], []
        for key, value in entries.items():
            if key[:1] not in (SYMBOL, NO_SYMBOL) or len(key) <= BLOCK_KEY.size:
                raise NodeStateError(f"node {self._name}: no entry of its state has a key such as {key!r}")
            keys.append(key[1 : -BLOCK_KEY.size] if key[:1] == SYMBOL else None)
            opened = self._opened(value)
            firsts.append(FIRST.unpack_from(opened)[0])
            values.append(opened[FIRST.size :])
        try:
            rows, counts = unpack_rows(self._schema, values)
        except (ValueError, struct.error) as damaged:
            raise NodeStateError(f"node {self._name}: {damaged}") from None
        encoded = pa.array(keys, pa.binary()).dictionary_encode()
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
        group = np.repeat(self._groups.codes(encoded.dictionary, codes), counts)
        spans = [
            np.arange(first, first + count) for first, count in zip(firsts, counts.tolist(), strict=True)
        ]
        ordinal = np.concatenate([NOTHING, *spans])
        *payload, order, time_ns = rows.columns
        numbers = np.asarray(order.to_numpy(zero_copy_only=False), np.int64)
        places = np.argsort(numbers, kind="stable")
        taken = pa.RecordBatch.from_arrays(payload, schema=self._layout).take(pa.array(places))
        times = np.asarray(time_ns.to_numpy(zero_copy_only=False), np.int64)
        return _Rows(taken, group[places].astype(np.int32), times[places], numbers[places], ordinal[places])


class _Rows(NamedTuple):
    """Rows in order: `order` numbers them among all, `ordinal` among those of their symbol."""

    payload: pa.RecordBatch
    group: Int32s
    time_ns: Int64s
    order: Int64s
    ordinal: Int64s
