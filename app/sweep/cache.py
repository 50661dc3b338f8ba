"""A cache of sealed rows on disk: what a root or a node gave, call by call, under a key that says why.

A key stands for all that the rows follow from, so an entry is never wrong, only there or not.  Each is one
file, written under a name of its own and renamed when it is whole: a killed process leaves nothing that
would be read, and of two that write the same entry either file will do.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
import pyarrow as pa

from app.errors import UsageError
from app.process.clock import now_ns
from operators.hashing.parity import Parity, sealed_hashes
from operators.sealed import Sealed
from schemas.batch import Int64s
from schemas.clocks import NS_PER_DAY
from schemas.frame import LEFT_INDEX, LEFT_OFFSET

VERSION: Final = 2  # of the files
KEY_LENGTH: Final = 32
ENDING: Final = ".arrow"
UNFINISHED: Final = ".unfinished"
COMPLETE: Final = b"complete_ns"
REASON: Final = b"reason:"
SESSION: Final = b"session"  # where runs of one session begin, and which these are
MARK: Final = b"TDMK"  # ends a file that is whole, behind a trailer and its length
LENGTH_SIZE: Final = 4


def key_of(*parts: object) -> str:
    """The key of what follows from all of these."""
    fields = json.dumps([VERSION, *parts], sort_keys=True, default=str)
    return hashlib.sha256(fields.encode()).hexdigest()[:KEY_LENGTH]


class Call(NamedTuple):
    """What was given in a call: without keys, which number the symbols of one task at work.

    `session`  of each row, int64, where that is not the one of its time; else None.
    """

    sealed: Sealed
    session: Int64s | None


@dataclass(frozen=True)
class Entry:
    """Rows that a root or a node gave in one task.

    `calls`   how many calls there were, with rows or without.
    `rows`    how many rows, and `parity` theirs, of all columns.
    `cuts`    equal where the rows of as many calls were cut alike, complete as far, and stood in the same
              places of their topic.
    """

    path: Path
    calls: int
    rows: int
    parity: str
    cuts: str

    def read(self) -> Iterator[Call]:
        """What was given, call by call."""
        with pa.memory_map(str(self.path)) as file:
            reader = pa.ipc.open_stream(file)
            for _ in range(self.calls):
                rows, metadata = reader.read_next_batch_with_custom_metadata()
                fields = dict(metadata or {})
                sealed = Sealed(
                    rows if rows.num_rows else None,
                    int(fields[COMPLETE]),
                    reasons={
                        key.removeprefix(REASON).decode(): np.frombuffer(value, np.uint8)
                        for key, value in fields.items()
                        if key.startswith(REASON)
                    },
                )
                runs = fields.get(SESSION)
                yield Call(sealed, None if runs is None else _of_runs(runs, rows.num_rows))


class Writing:
    """An entry that is being written; `keep` makes it one."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}{UNFINISHED}")
        self._schema = schema.remove_metadata()
        self._file = pa.OSFile(str(self._unfinished), "wb")
        self._writer = pa.ipc.new_stream(self._file, self._schema)
        self._parity = Parity()
        self._calls = 0
        self._cuts = hashlib.sha256()

    def add(self, sealed: Sealed, session: Int64s | None = None) -> None:
        """Write what was given in a call, and the session of each row where its time does not say it."""
        rows = sealed.rows
        fields = {COMPLETE: str(sealed.complete_ns).encode()}
        if rows is None:
            rows = pa.RecordBatch.from_pylist([], self._schema)
        else:
            fields |= {REASON + name.encode(): of.tobytes() for name, of in sealed.reasons.items()}
            self._parity = self._parity.roll(sealed_hashes(rows))
        if session is not None:
            fields[SESSION] = _as_runs(session)
        self._cuts.update(f"{rows.num_rows} {sealed.complete_ns};".encode())
        for name in (LEFT_OFFSET, LEFT_INDEX):  # which are not in the parity
            if name in rows.schema.names:
                self._cuts.update(rows.column(name).to_numpy(zero_copy_only=False).tobytes())
        self._calls += 1
        self._writer.write_batch(rows, custom_metadata=fields)

    def keep(self) -> Entry:
        """End the file, and put it where it is found."""
        entry = Entry(
            self._path, self._calls, self._parity.rows, str(self._parity), self._cuts.hexdigest()[:KEY_LENGTH]
        )
        fields = {"calls": entry.calls, "rows": entry.rows, "parity": entry.parity, "cuts": entry.cuts}
        self._writer.close()
        trailer = json.dumps(fields).encode()
        self._file.write(trailer + len(trailer).to_bytes(LENGTH_SIZE, "little") + MARK)
        self._file.close()
        self._unfinished.replace(self._path)
        return entry

    def abandon(self) -> None:
        """Remove a file that came to nothing."""
        with suppress(OSError, pa.ArrowException):  # the error that led here is the one to tell
            self._writer.close()
            self._file.close()
        self._unfinished.unlink(missing_ok=True)


@dataclass
class Cache:
    """The entries of a folder, `size_max` bytes at most once `trim` has been called."""

    folder: Path
    size_max: int

    @classmethod
    def open(cls, folder: Path, size_max: int) -> Self:
        """Make the folder; raises UsageError where the disk refuses."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as refused:
            raise UsageError(f"{folder} cannot be a cache: {refused.strerror}") from None
        return cls(folder, size_max)

    def find(self, key: str) -> Entry | None:
        """The entry of a key; None where there is none that is whole."""
        path = self.folder / f"{key}{ENDING}"
        try:
            fields = _trailer(path)
            os.utime(path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            path.unlink(missing_ok=True)  # cut off by a machine that died
            return None
        return Entry(path, **fields)

    def writing(self, key: str, schema: pa.Schema) -> Writing:
        """Begin an entry."""
        return Writing(self.folder / f"{key}{ENDING}", schema)

    def trim(self) -> int:
        """Remove what was used longest ago until the rest is small enough, and what killed processes left.

        Returns how many bytes are left.  What another process still reads stays readable to it.
        """
        entries = []
        for path in self.folder.iterdir():
            with suppress(FileNotFoundError):  # another process removes, too
                status = path.stat()
                if path.name.endswith(UNFINISHED):
                    if now_ns() - status.st_mtime_ns > NS_PER_DAY:
                        path.unlink()
                elif path.name.endswith(ENDING):
                    entries.append((status.st_mtime_ns, status.st_size, path))
        size = sum(of for _, of, _ in entries)
        for _, of, path in sorted(entries):
            if size <= self.size_max:
                break
            path.unlink(missing_ok=True)
            size -= of
        return size


def _as_runs(values: Int64s) -> bytes:
    begins = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    return np.concatenate([begins, values[begins]]).astype(np.int64).tobytes()


def _of_runs(runs: bytes, count: int) -> Int64s:
    begins, values = np.frombuffer(runs, np.int64).reshape(2, -1)
    return np.repeat(values, np.diff(np.append(begins, count)))


def _trailer(path: Path) -> dict[str, Any]:
    """What the end of a file says of it; raises ValueError where it is not whole."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - LENGTH_SIZE - len(MARK), 0))
        end = file.read()
        if not end.endswith(MARK):
            raise ValueError(f"{path} is not whole")
        length = int.from_bytes(end[:LENGTH_SIZE], "little")
        file.seek(size - LENGTH_SIZE - len(MARK) - length)
        fields: dict[str, Any] = json.loads(file.read(length))
        return fields
