"""Folders of object stores: what a path is on the local disk, for `s3://`, `gs://` and `az://`.

Nothing else here imports obstore.  Who may read and write is said where each cloud's own tools look for it,
in variables of the environment such as AWS_ACCESS_KEY_ID: obstore and delta-rs read these by themselves, and
no message of ours has any of them.
"""

import atexit
import hashlib
import io
import re
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, TypeAlias

from replay.errors import HistoryError, ObjectStoreError, StoreAwayError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

# Schemes of object stores, and which variables say who asks there.
CREDENTIALS: Final = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY",
}
MEMORY: Final = "memory"
_RAM: Final = Path("/dev/shm")  # noqa: S108 -- a folder of its own is made below it
_URL: Final = re.compile(r"(?P<scheme>[a-z][a-z0-9+]*):(?P<slashes>/+)(?P<rest>.*)", re.IGNORECASE)
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_STATUS: Final = re.compile(r"status code\W*(\d{3})")
_NO_BUCKET: Final = {"NoSuchBucket", "ContainerNotFound"}
_REFUSED: Final = {"401", "403"}
_AWAY: Final = (
    "error sending request",
    "operation timed out",
    "connection closed",
    "error decoding response",
)
_BACKTRACE: Final = re.compile(r"\n\s+0: ")  # what delta-rs says of its own functions begins so
_METADATA_SERVICE: Final = "169.254.169.254"  # what is asked for credentials where there are none
_MESSAGE_MAX: Final = 200  # characters of a message that is not ours


@dataclass(frozen=True, slots=True)
class ObjectFolder:
    """A folder, or an object, of an object store; `url` has no slash at its end."""

    url: str

    def __truediv__(self, name: str) -> "ObjectFolder":
        """What lies below it."""
        return ObjectFolder(f"{self.url}/{name}")

    def __str__(self) -> str:
        """Its URL."""
        return self.url

    @property
    def parent(self) -> "ObjectFolder":
        """The folder that it lies in."""
        return ObjectFolder(self.url.rpartition("/")[0])

    @property
    def name(self) -> str:
        """Its own name."""
        return self.url.rpartition("/")[2]

    def names(self) -> list[str]:
        """The names directly below it, of folders and objects, sorted; none where there is no such folder."""
        import obstore

        store, key = _opened(self.url)
        with errors_at(self):
            listed = obstore.list_with_delimiter(store, key)
        paths = [*listed["common_prefixes"], *(each["path"] for each in listed["objects"])]
        return sorted(path.rstrip("/").rpartition("/")[2] for path in paths)

    def has_objects(self) -> bool:
        """Whether an object lies anywhere below it."""
        import obstore

        store, key = _opened(self.url)
        with errors_at(self):
            return any(len(some) for some in obstore.list(store, key, chunk_size=1))

    def put_new(self, content: Path | bytes) -> bool:
        """Write it whole where it is not there, and return whether it was not."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        store, key = _opened(self.url)
        with errors_at(self):
            try:
                obstore.put(store, key, content, mode="create")
            except AlreadyExistsError:
                return False
        return True

    def delete(self) -> None:
        """Delete the object."""
        import obstore

        store, key = _opened(self.url)
        with errors_at(self):
            obstore.delete(store, key)

    def copy_into(self, file: BinaryIO) -> None:
        """Write the object's bytes to an open file; raises FileNotFoundError."""
        import obstore

        store, key = _opened(self.url)
        with errors_at(self):
            for some in obstore.get(store, key):
                file.write(some)

    def digest(self) -> str:
        """The SHA-256 of the object's bytes in hex; raises FileNotFoundError."""
        import obstore

        store, key = _opened(self.url)
        sha256 = hashlib.sha256()
        with errors_at(self):
            for some in obstore.get(store, key):
                sha256.update(some)
        return sha256.hexdigest()

    def reader(self, size: int) -> "ObjectReader":
        """A file that reads ranges of an object of so many bytes."""
        return ObjectReader(self, size)

    def range(self, start: int, end: int) -> bytes:
        """Some bytes of the object; raises FileNotFoundError."""
        import obstore

        store, key = _opened(self.url)
        with errors_at(self):
            return bytes(obstore.get_range(store, key, start=start, end=end))


class ObjectReader(io.RawIOBase):
    """An object as a file for reading: a request for each read."""

    def __init__(self, file: ObjectFolder, size: int) -> None:
        super().__init__()
        self._file, self._size, self._place = file, size, 0

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def seekable(self) -> bool:
        """Whether the place can be chosen."""
        return True

    def tell(self) -> int:
        """The place of the next byte."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Choose it, and return it."""
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        return self._place

    def read(self, size: int = -1) -> bytes:
        """The next bytes, fewer at the end, all that are left where no number is given."""
        end = self._size if size < 0 else min(self._place + size, self._size)
        if end <= self._place:
            return b""
        content = self._file.range(self._place, end)
        self._place = end
        return content


Folder: TypeAlias = Path | ObjectFolder


def parse_store(text: str) -> Folder:
    """Read where a history is: a folder, or the URL of a bucket or of a folder in it.

    `memory://NAME` is a folder of this process in the machine's memory, which goes with the process.  Raises
    HistoryError for what is none of these.
    """
    url = _URL.fullmatch(text)
    if url is None:
        return Path(text)
    scheme, rest = url["scheme"].lower(), url["rest"].rstrip("/")
    bucket, _, folder = rest.partition("/")
    if scheme == MEMORY and url["slashes"] == "//":
        return _in_memory(bucket) / folder
    if scheme not in CREDENTIALS:
        known = ", ".join(f"{each}://" for each in (*CREDENTIALS, MEMORY))
        raise HistoryError(f"a history cannot lie at {scheme}://: name a folder, or a URL of {known}")
    if url["slashes"] != "//" or _BUCKET.fullmatch(bucket) is None or re.search(r"[?#@\\]|//|\s", folder):
        raise HistoryError(
            f"the URL of a history is {scheme}://BUCKET or {scheme}://BUCKET/FOLDER and has nothing else: "
            f"credentials are read from {CREDENTIALS[scheme]}"
        )
    return ObjectFolder(f"{scheme}://{rest}")


def store_of(text: str | None) -> Folder | None:
    """Read where a history is, None for none."""
    return None if text is None else parse_store(text)


def located(store: Folder) -> Folder:
    """The store by a name that is right in any folder of this machine."""
    return store.resolve() if isinstance(store, Path) else store


def digest_of(file: Folder) -> str:
    """The SHA-256 of a file's or an object's bytes in hex; raises FileNotFoundError."""
    if isinstance(file, ObjectFolder):
        return file.digest()
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@lru_cache
def require_exclusive_puts(store: Folder) -> None:
    """Raise HistoryError where a store would write over an object that must be new: commits would be lost.

    A folder of the local disk is taken as it is.
    """
    if isinstance(store, Path):
        return
    new = store / f"_probe/{uuid.uuid4().hex}"
    first, second = new.put_new(b"1"), new.put_new(b"2")
    new.delete()
    if not first or second:
        raise HistoryError(
            f"{store} writes over objects that are to be new (it does not heed If-None-Match): commits would "
            "be lost, so nothing is written there"
        )


def store_error(where: object, wrong: Exception) -> ObjectStoreError:
    """What to raise of an error of obstore or delta-rs at an object store, in one line without secrets."""
    text = re.sub(r"\x1b\[\d*m", "", str(wrong))
    codes, statuses = _CODE.findall(text), _STATUS.findall(text)
    scheme = next((each for each in CREDENTIALS if f"{each}://" in str(where)), "")
    if _NO_BUCKET.intersection(codes):
        return ObjectStoreError(f"{where}: there is no such bucket; make it first, or correct the URL")
    if _METADATA_SERVICE in text:
        return ObjectStoreError(f"{where}: there are no credentials: set {CREDENTIALS.get(scheme, 'them')}")
    if _REFUSED.intersection(statuses) or type(wrong).__name__ in (
        "PermissionDeniedError",
        "UnauthenticatedError",
    ):
        reason = f" ({codes[0]})" if codes else ""
        return ObjectStoreError(
            f"{where}: access is refused{reason}: check {CREDENTIALS.get(scheme, 'credentials')} and the "
            "rights on the bucket"
        )
    if any(mark in text for mark in _AWAY) or any(status.startswith("5") for status in statuses):
        status = f" (status {statuses[0]})" if statuses else ""
        return StoreAwayError(f"{where}: the object store does not answer{status}; is its endpoint right?")
    return ObjectStoreError(f"{where}: the object store refuses: {_first_line(text)}")


def failed_at(
    store: Folder, what: str, wrong: Exception, kind: type[HistoryError] = HistoryError
) -> HistoryError:
    """What to raise where something failed, of folders as `kind`; of object stores libraries say too much."""
    if isinstance(store, ObjectFolder):
        return store_error(what, wrong)
    text, *_ = _BACKTRACE.split(str(wrong))
    return kind(f"{what}: {text}")


@contextmanager
def errors_at(where: ObjectFolder) -> Iterator[None]:
    """Raise what obstore raises as our own, but for a FileNotFoundError of an object."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError) as wrong:
        if isinstance(wrong, FileNotFoundError) and not _NO_BUCKET.intersection(_CODE.findall(str(wrong))):
            raise FileNotFoundError(str(where)) from None
        raise store_error(where, wrong) from None


def _opened(url: str) -> "tuple[ObjectStore, str]":
    """The client of an URL's bucket, and the key in it."""
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    return _client(f"{scheme}://{bucket}"), key


@lru_cache
def _client(url: str) -> "ObjectStore":
    """One client for each bucket: it keeps connections open, and asks for credentials once."""
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    try:
        return from_url(url)
    except (BaseError, ValueError) as wrong:
        raise store_error(url, wrong) from None


def forget_clients() -> None:
    """Forget clients and what is known of stores: the environment says another endpoint from now on."""
    _client.cache_clear()
    require_exclusive_puts.cache_clear()


@lru_cache
def _in_memory(name: str) -> Path:
    folder = tempfile.TemporaryDirectory(prefix=f"tidemark-{name}-", dir=_RAM if _RAM.is_dir() else None)
    atexit.register(folder.cleanup)
    return Path(folder.name)


def _first_line(text: str) -> str:
    """The beginning of a message, without what follows a question mark in a URL: a signature may."""
    line = re.sub(
        r"\?\S*", "", " ".join(re.sub(r"\x1b\[\d*m", "", text.partition("Debug source")[0]).split())
    )
    return line[:_MESSAGE_MAX]
