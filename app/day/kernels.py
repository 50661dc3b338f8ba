"""Kernels compiled while a run gets ready, each part in a process, once for each state of the code."""

import hashlib
import platform
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Final

from app.day.processes import Child, start, stop, wait_all
from operators.graph.warm import NODES
from schemas.kernel_cache import PREFIX
from topics.warm import cache_folder, compiler

PARTS: Final = ("operators.warm", "topics.warm")
OF_FORMULAS: Final = "operators.nodes.warm"
OF_NODES: Final = "operators.graph.warm"
STATES_MAX: Final = 4  # states of the sources of which kernels are kept: a branch and back costs nothing


class Kernels:
    """Compiles on its way while others work; nothing is started where this code was compiled before."""

    def __init__(self, say: Callable[[str], None], *, nodes: AbstractSet[str], wire: bool = True) -> None:
        """Start to compile, and say so, where that is still to be done.

        `nodes` are the kinds of nodes that the graph has: with any of them formulas are compiled too.
        Without `wire` nothing is encoded or decoded.
        """
        self._cache = cache_folder()
        self._folder: TemporaryDirectory[str] | None = None
        self._marks: dict[str, Path] = {}  # by the part that is compiled now
        self.children: list[Child] = []
        if self._cache is None:
            return
        own = sorted(nodes & NODES.keys())
        parts = [*(PARTS if wire else PARTS[:1]), *([OF_FORMULAS] if nodes else [])]
        parts += [f"{OF_NODES} {kind}" for kind in own]
        # Each is a file in that folder, so that it goes with the kernels.
        marks = {part: self._cache / f"{part.replace(' ', '.')}-{_machine()}" for part in parts}
        self._marks = {part: mark for part, mark in marks.items() if not mark.exists()}
        if self._marks:
            say("compiling kernels (once)")
            self._folder = TemporaryDirectory(prefix="tidemark-kernels-")
            logs = Path(self._folder.name)
            self.children = [start(part.replace(" ", "."), part.split(), logs) for part in self._marks]

    def wait(self) -> None:
        """Return when all kernels are in numba's cache; raises RunError where one cannot be compiled."""
        if self._folder is None or self._cache is None:
            return
        try:
            wait_all(self.children)
        finally:
            self.close()
        for mark in self._marks.values():
            mark.touch()
        folders = sorted(self._cache.parent.glob(f"{PREFIX}*"), key=_changed_s, reverse=True)
        for older in folders[STATES_MAX:]:
            rmtree(older, ignore_errors=True)

    def close(self) -> None:
        """End what still runs."""
        stop(self.children)
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def _machine() -> str:
    """What compiled kernels depend on beside their sources."""
    return hashlib.sha256(f"{platform.node()} {compiler()}".encode()).hexdigest()[:16]


def _changed_s(folder: Path) -> float:
    """When a folder was last changed; 0 where another process has just removed it."""
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0
