"""A small task's state, for the scenes of these tests."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rocksdict import Options, Rdict

from state.checkpoint import Checkpoint
from state.limits import StateLimits
from state.store import Entry, TaskStore

IDENTITY = "trades+quotes/partition 3/run 1"

# Memtables so small that a few writes reach the disk as tables.
TINY = StateLimits(memtable_size=64 << 10, table_size=64 << 10, level_size_base=256 << 10)


def checkpoint_at(next_offset: int, identity: str = IDENTITY) -> Checkpoint:
    """A checkpoint of two inputs that stand at the same next offset."""
    return Checkpoint(
        identity=identity,
        frontier_ns=next_offset * 1_000,
        next_offsets={"trade": next_offset, "quote": next_offset},
        watermarks_ns={"trade": next_offset * 1_000, "quote": next_offset * 1_000 + 5},
    )


def write_rounds(path: Path, rounds: int, entries_each: int = 400) -> dict[bytes, bytes]:
    """Write `rounds` checkpoints of new entries at 1, 2, ..., close, and return all that was written."""
    written: dict[bytes, bytes] = {}
    with opened(path) as store:
        for number in range(1, rounds + 1):
            puts = [entry(number, place) for place in range(entries_each)]
            store.write(checkpoint_at(number), puts)
            written.update(puts)
    return written


def entry(number: int, place: int) -> Entry:
    """An entry that does not compress: a key of 9 bytes, a value of 200."""
    return b"%03d/%05d" % (number, place), random.Random(number * 100_000 + place).randbytes(200)


@contextmanager
def opened(path: Path, identity: str = IDENTITY) -> Iterator[TaskStore]:
    """An open store that is closed again."""
    store = TaskStore.open(path, identity, TINY)
    try:
        yield store
    finally:
        store.close()


def flip_byte(file: Path, share: float) -> None:
    """Invert one byte at `share` of the file."""
    content = bytearray(file.read_bytes())
    content[int(len(content) * share)] ^= 0xFF
    file.write_bytes(content)


def put_raw(path: Path, key: bytes, value: bytes) -> None:
    """Write past the store's rules, as another program would."""
    db = Rdict(str(path), Options(raw_mode=True))
    db.put(key, value)
    db.close()
