"""Where a run keeps its files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

MEMORY_DISK = Path("/dev/shm")  # noqa: S108  a run opens some fifteen stores: twice as fast where nothing is synced


@contextmanager
def memory_folder() -> Iterator[Path]:
    """A folder that is gone afterwards, in memory where the system has a disk there."""
    with TemporaryDirectory(dir=MEMORY_DISK if MEMORY_DISK.is_dir() else None) as folder:
        yield Path(folder)
