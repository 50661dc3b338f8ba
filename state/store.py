"""One RocksDB per task: entries and the checkpoint they belong to, written together or not at all."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Self
from weakref import WeakSet

from rocksdict import Rdict, ReadOptions, WriteBatch

from state.checkpoint import Checkpoint
from state.errors import StateCorruptError, StateDiskError, StateForeignError
from state.layout import (
    CHECKPOINT_KEY,
    ENTRY_PREFIX,
    ENTRY_UPPER,
    LayoutError,
    VersionError,
    decode_checkpoint,
    encode_checkpoint,
    entry_key,
)
from state.limits import StateLimits
from state.rocks import named_errors, rocks_options, write_options

Entry = tuple[bytes, bytes]


class TaskStore:
    """The state of one task on disk.  One process at a time, one thread at a time."""

    def __init__(self, path: Path, identity: str, limits: StateLimits, db: Rdict) -> None:
        """For `open`."""
        self.path = path
        self.identity = identity
        self.checkpoint: Checkpoint | None = None
        self._limits = limits
        self._db = db
        self._closed = False
        self._scans: WeakSet[Generator[Entry]] = WeakSet()

    @classmethod
    def open(cls, path: Path, identity: str, limits: StateLimits | None = None) -> Self:
        """Open the store at `path`, or make an empty one; `identity` says whose entries it may hold.

        Raises StateCorruptError for damage that shows at once (damage inside a table shows in `entries`),
        StateForeignError for a checkpoint of another version or identity, StateLockedError and
        StateDiskError.
        """
        limits = limits or StateLimits()
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as refused:
            raise StateDiskError(f"cannot make the state folder {path}: {refused}") from refused
        with named_errors(path, "open"):
            db = Rdict(str(path), rocks_options(limits))
        store = cls(path, identity, limits, db)
        try:
            store.checkpoint = store._read_checkpoint()
        except BaseException:
            store.close()
            raise
        return store

    def entries(self) -> Iterator[Entry]:
        """Yield every entry as (key, value), in key order.

        Raises StateCorruptError at the end of a scan that was cut short or whose count is not the
        checkpoint's: RocksDB ends a scan at a damaged block without a word, so what was yielded until then
        must not be used.
        """
        scan = self._scan()
        self._scans.add(scan)
        return scan

    def verify(self) -> None:
        """Read every entry once; raises StateCorruptError where `entries` would, before anybody used them."""
        for _ in self.entries():
            pass

    def write(
        self, checkpoint: Checkpoint, puts: Sequence[Entry] = (), deletes: Sequence[bytes] = ()
    ) -> Checkpoint:
        """Put and delete entries and replace the checkpoint, in one write batch; return it as written.

        The store fills in `entries` and `txn_count`.  Deletes come before puts.  Raises StateDiskError with
        the disk's own reason, and StateCorruptError where a key look-up meets damage; then the batch is not
        visible, and `checkpoint` still is the one before.
        """
        assert checkpoint.identity == self.identity, "a checkpoint of another task"
        before = self.checkpoint
        written = replace(
            checkpoint,
            entries=(before.entries if before else 0) + self._growth(puts, deletes),
            txn_count=(before.txn_count if before else 0) + 1,
        )
        batch = WriteBatch(raw_mode=True)
        for key in deletes:
            batch.delete(entry_key(key))
        for key, value in puts:
            batch.put(entry_key(key), value)
        batch.put(CHECKPOINT_KEY, encode_checkpoint(written))
        with named_errors(self.path, "write"):
            self._db.write(batch, write_options(self._limits))
        self.checkpoint = written
        return written

    def close(self) -> None:
        """Give the store back, so that the next opener gets in; closing twice is closing once.

        Scans under way end, for they would hold the lock.  A damaged or full disk is no error here: the lock
        is released all the same, and what the last memtable could not write is in the write-ahead log.
        """
        if self._closed:
            return
        self._closed = True
        for scan in list(self._scans):
            scan.close()
        with suppress(StateCorruptError, StateDiskError), named_errors(self.path, "close"):
            self._db.close()

    @staticmethod
    def destroy(path: Path) -> None:
        """Delete the store at `path`, damaged or not; files that RocksDB did not make stay.

        Raises StateLockedError where it is open, StateDiskError where the files cannot be removed.
        """
        if not path.exists():
            return
        with named_errors(path, "delete"):
            Rdict.destroy(str(path), rocks_options(StateLimits()))
        leftover = path / "rocksdict-config.json"  # the library's own note, which it leaves behind
        try:
            leftover.unlink(missing_ok=True)
        except OSError as refused:
            raise StateDiskError(f"cannot delete {leftover}: {refused}") from refused

    def _read_checkpoint(self) -> Checkpoint | None:
        with named_errors(self.path, "read the checkpoint of"):
            value = self._db.get(CHECKPOINT_KEY)
        if value is None:
            self.verify()  # entries without a checkpoint are damage
            return None
        try:
            checkpoint = decode_checkpoint(value)
        except VersionError as foreign:
            raise StateForeignError(f"{self.path}: {foreign}") from foreign
        except LayoutError as broken:
            raise StateCorruptError(f"{self.path}: {broken}") from broken
        if checkpoint.identity != self.identity:
            raise StateForeignError(
                f"{self.path} belongs to {checkpoint.identity!r}, this task is {self.identity!r}"
            )
        return checkpoint

    def _scan(self) -> Generator[Entry]:
        expected = self.checkpoint.entries if self.checkpoint else 0
        options = ReadOptions()
        options.set_iterate_upper_bound(ENTRY_UPPER)
        count = 0
        with named_errors(self.path, "scan"):
            cursor = self._db.iter(options)
            try:
                cursor.seek(ENTRY_PREFIX)
                while cursor.valid():
                    key, value = cursor.key(), cursor.value()
                    count += 1
                    yield key[len(ENTRY_PREFIX) :], value
                    cursor.next()
                cursor.status()  # an iterator that met damage just stops being valid
            finally:
                del cursor  # or the error's traceback keeps it, and with it the lock
        if count != expected:
            raise StateCorruptError(f"{self.path} has {count} entries, its checkpoint counted {expected}")

    def _growth(self, puts: Sequence[Entry], deletes: Sequence[bytes]) -> int:
        """How many more entries there are after the batch: read from the store, since a put may replace."""
        put = {key for key, _ in puts}
        gone = set(deletes) - put
        touched = [*put, *gone]
        with named_errors(self.path, "read"):
            there = {key for key in touched if self._db.get(entry_key(key)) is not None}
        return len(put - there) - len(gone & there)
