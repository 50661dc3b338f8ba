"""Copies of objects on the local disk, never more bytes than allowed, shared by all processes of a machine.

Objects never change, so a copy that is whole is right for good.  Room is taken before a byte is fetched: the
file under the temporary name has its full length from the start, and counts.  What was used longest ago goes
first; what somebody reads is locked, and stays.  The locks are the kernel's, so those of the dead are gone.
"""

import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO, Final

from replay.errors import HistoryError
from schemas.clocks import NS_PER_S

SHARE: Final = 4  # an object of more than one part in so many of the whole is not kept
_NEW: Final = ".new"
_LOCK: Final = ".lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings:
    """Where copies are, and how many bytes they may have together."""

    folder: Path = Path("build/history/cache")
    size_max: int = 8 * 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An object: the name of its copy, its bytes, and the first digits of its SHA-256."""

    name: str
    size: int
    digest: str


@dataclass(slots=True)
class CacheCounts:
    """What this process had of a cache: `bytes_fetched` of misses; bypasses are objects not kept."""

    hits: int = 0
    misses: int = 0
    bytes_fetched: int = 0
    evictions: int = 0
    bypasses: int = 0


class Held:
    """A copy that stays until it is closed."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path, self._handle = path, handle

    def close(self) -> None:
        """Let it go; it may be evicted from now on."""
        os.close(self._handle)


class Cache:
    """The copies in one folder; any number of threads and processes may use it at once."""

    def __init__(self, settings: CacheSettings) -> None:
        """Raise HistoryError where the folder cannot be made, or has files that are not a cache's."""
        self.settings = settings
        self.counts = CacheCounts()
        self._counting = threading.Lock()
        with self._alone(made=True):
            pass

    def hold(self, entry: Entry, fetch: Callable[[BinaryIO], None]) -> Held | None:
        """Return a copy, which `fetch` writes where there is none; None where there is no room for it.

        Raises HistoryError where what was fetched is not the object, and what `fetch` raises.
        """
        if entry.size * SHARE > self.settings.size_max:
            self._count("bypasses")
            return None
        fetched = False
        while True:
            if held := self._there(entry):
                if not fetched:
                    self._count("hits")
                return held
            with self._alone():
                room = self._room(entry)
            if room is None:
                self._count("bypasses")
                return None
            if room.is_ours and room.handle is not None:
                self._fill(entry, room.handle, fetch)
                fetched = True
            elif room.handle is not None:
                _wait(room.handle)

    def size(self) -> int:
        """The bytes of all copies, those being fetched too."""
        with self._alone():
            return sum(size for _, size, _ in self._files())

    def _there(self, entry: Entry) -> Held | None:
        """The copy, used now, if it is there and whole."""
        path = self._path(entry)
        handle = _open(path)
        if handle is None:
            return None
        fcntl.flock(handle, fcntl.LOCK_SH)
        if _is_at(handle, path):
            if _is_whole(handle, entry):
                _mark(handle, entry)
                return Held(path, handle)
            path.unlink(missing_ok=True)
        os.close(handle)
        return None

    def _room(self, entry: Entry) -> "_Room | None":
        """A file of the entry's length to write, or one that another writes; None where there is no room."""
        path = self._path(entry, new=True)
        files = []
        for each, size, used_ns in self._files():
            if each.name.endswith(_NEW) and (handle := _locked(each)) is not None:
                each.unlink(missing_ok=True)  # of a process that has died
                os.close(handle)
            else:
                files.append((each, size, used_ns))
        if any(each == path for each, _, _ in files):
            return _Room(_open(path), is_ours=False)
        if not self._make_room(files, entry.size):
            return None
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        while not _allocated(handle, entry.size):  # the disk has less room than we may take
            if not self._evict_one():
                path.unlink()
                os.close(handle)
                return None
        return _Room(handle, is_ours=True)

    def _make_room(self, files: list[tuple[Path, int, int]], size: int) -> bool:
        """Evict what was used longest ago until there is room; whether there is."""
        total = sum(each for _, each, _ in files)
        for path, own, _ in sorted(files, key=lambda file: file[2]):
            if total + size <= self.settings.size_max:
                break
            total -= own if self._evicted(path) else 0
        return total + size <= self.settings.size_max

    def _evict_one(self) -> bool:
        """Evict what was used longest ago of what nobody reads; whether there was any."""
        return any(self._evicted(path) for path, _, _ in sorted(self._files(), key=lambda file: file[2]))

    def _evicted(self, path: Path) -> bool:
        """Evict a copy, and return whether nobody reads or writes it."""
        if path.name.endswith(_NEW) or (handle := _locked(path)) is None:
            return False
        path.unlink(missing_ok=True)
        os.close(handle)
        self._count("evictions")
        return True

    def _fill(self, entry: Entry, handle: int, fetch: Callable[[BinaryIO], None]) -> None:
        new = self._path(entry, new=True)
        try:
            with os.fdopen(os.dup(handle), "r+b") as file:
                fetch(file)
                written = file.tell()
                file.seek(0)
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                os.fsync(handle)
            if written != entry.size or not digest.startswith(entry.digest):
                raise HistoryError(
                    f"{entry.name} came with {written:,} bytes and hash {digest[:8]}, and {entry.size:,} and "
                    f"{entry.digest} were expected: run `python -m replay verify`"
                )
            _mark(handle, entry)
            # Alone, since who counts meanwhile would find it under neither name; where somebody has deleted
            # the folder it is fetched again.
            with self._alone(), suppress(FileNotFoundError):
                new.rename(self._path(entry))
        except BaseException:
            new.unlink(missing_ok=True)  # not after the renaming: another may write one of this name by then
            raise
        finally:
            os.close(handle)
        self._count("misses")
        self._count("bytes_fetched", entry.size)

    @contextmanager
    def _alone(self, *, made: bool = False) -> Iterator[None]:
        """While this lasts no other takes or makes room; a folder that was deleted is made again.

        Where it was just named (`made`), other files in it are somebody's own: they would count, and go.
        """
        folder = self.settings.folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            name = next(_others(folder), "") if made else ""
            if name and not (folder / _LOCK).exists():  # looked for last: another may have begun meanwhile
                raise HistoryError(
                    f"the folder {folder} is no cache: it has {name}, and files there are deleted when "
                    "room is needed; name an empty folder, or one that is not there"
                )
            handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as refused:
            raise HistoryError(f"the cache {folder} cannot be written: {refused}") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _files(self) -> list[tuple[Path, int, int]]:
        """Each copy with its bytes and when it was used last."""
        files = []
        for path in self.settings.folder.iterdir():
            if path.name == _LOCK:
                continue
            try:
                state = path.stat()
            except FileNotFoundError:
                continue
            if not S_ISREG(state.st_mode):
                continue
            files.append((path, state.st_size, state.st_atime_ns))
        return files

    def _path(self, entry: Entry, *, new: bool = False) -> Path:
        return self.settings.folder / f"{entry.name}{_NEW if new else ''}"

    def _count(self, name: str, more: int = 1) -> None:
        with self._counting:
            setattr(self.counts, name, getattr(self.counts, name) + more)


@dataclass(frozen=True, slots=True)
class _Room:
    """An open file under a temporary name: locked and to be filled by us, or being filled by another.

    Without a handle another has just filled it.
    """

    handle: int | None
    is_ours: bool


def _others(folder: Path) -> Iterator[str]:
    """The names in a folder, but for the lock."""
    return (path.name for path in folder.iterdir() if path.name != _LOCK)


def _allocated(handle: int, size: int) -> bool:
    """Take room on the disk for a file that is to have so many bytes; whether there is."""
    try:
        if size:
            os.posix_fallocate(handle, 0, size)
    except OSError:
        return False
    return True


def _mark(handle: int, entry: Entry) -> None:
    """Note that a copy is whole and used now: whoever writes to it takes the mark off."""
    os.utime(handle, ns=(time.time_ns(), _mark_ns(entry)))


def _mark_ns(entry: Entry) -> int:
    """The time of change that says of a copy which bytes it was found to have."""
    return int(entry.digest, 16) * NS_PER_S


def _is_whole(handle: int, entry: Entry) -> bool:
    """Whether a copy has its bytes; those of one without its mark are read."""
    state = os.fstat(handle)
    if state.st_size == entry.size and state.st_mtime_ns == _mark_ns(entry):
        return True
    with os.fdopen(os.dup(handle), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest().startswith(entry.digest)


def _locked(path: Path) -> int | None:
    """An open handle that locks a file nobody else holds, None where somebody does or it is gone."""
    handle = _open(path)
    if handle is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _open(path: Path) -> int | None:
    """An open handle of a file, None where it is not there."""
    try:
        return os.open(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _wait(handle: int) -> None:
    """Return when nobody writes the file any more."""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
    finally:
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    """Whether an open file still has its name: it was not evicted before it was locked."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    own = os.fstat(handle)
    return (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino)


_chosen = [CacheSettings()]  # what this process was told last


def use_cache(settings: CacheSettings) -> None:
    """Say which cache this process uses from now on; it is made when an object is read first."""
    _chosen[0] = settings


def current_cache() -> Cache:
    """The cache of this process; raises HistoryError where its folder cannot be made."""
    return _opened(_chosen[0])


@lru_cache
def _opened(settings: CacheSettings) -> Cache:
    return Cache(settings)
