"""Kernels compiled while a run gets ready, in two processes, once for each state of the code."""

import hashlib
import platform
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from app.day.processes import Child, start, stop, wait_all
from topics.warm import cache_folder, compiler

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCES: Final = ("operators", "topics", "schemas")
HALVES: Final = ("operators.warm", "topics.warm")


class Kernels:
    """Compiles on its way while others work; nothing is started where this code was compiled before."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """Start to compile, and say so, where that is still to be done."""
        self._cache = cache_folder()
        self._mark = f"compiled-{_fingerprint()}"  # a file in that folder, so that it goes with the kernels
        self._folder: TemporaryDirectory[str] | None = None
        self.children: list[Child] = []
        if self._cache is not None and not (self._cache / self._mark).exists():
            say("compiling kernels (once)")
            self._folder = TemporaryDirectory(prefix="tidemark-kernels-")
            logs = Path(self._folder.name)
            self.children = [start(half, [half], logs) for half in HALVES]

    def wait(self) -> None:
        """Return when all kernels are in numba's cache; raises RunError where one cannot be compiled."""
        if self._folder is None or self._cache is None:
            return
        try:
            wait_all(self.children)
        finally:
            self.close()
        (self._cache / self._mark).touch()
        for older in set(self._cache.glob("compiled-*")) - {self._cache / self._mark}:
            older.unlink(missing_ok=True)

    def close(self) -> None:
        """End what still runs."""
        stop(self.children)
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def _fingerprint() -> str:
    """What numba's cache depends on: the sources as they are on disk, itself, and the machine."""
    digest = hashlib.sha256(f"{platform.node()} {compiler()}".encode())
    for source in SOURCES:
        for file in sorted((ROOT / source).rglob("*.py")):
            found = file.stat()
            digest.update(f"{file} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
