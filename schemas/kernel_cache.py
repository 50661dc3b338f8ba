"""Where compiled kernels are kept: in a folder of their own for each state of their sources.

Numba asks of a kernel it has kept only whether the kernel's own file has changed.  What was compiled into it
from other files, other kernels and numbers, would stay as it was: after an update a decoder could go by the
instructions of its former version.  This stands below the operators and the topics since both have kernels.
"""

import hashlib
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGES: Final = ("operators", "topics", "schemas")
PREFIX: Final = "kernels-"

_COMPILER: Final = re.compile(rb"^from (?:numba|(?:tidemark\.)?operators\.bars\.compiled) ", re.MULTILINE)
_IMPORT: Final = re.compile(
    rb"^from (?:tidemark\.)?((?:%s)[\w.]*) import (\([^)]*\)|[^\n]*)" % b"|".join(map(str.encode, PACKAGES)),
    re.MULTILINE,
)


def kernel_cache(kept_in: str, root: Path = ROOT) -> str:
    """Return the folder for kernels of the sources as they are now, which is made where it is not there.

    `kept_in` is where numba was told to keep kernels, or empty: then they lie beside the sources, or in the
    user's home where that is not ours to write.
    """
    name = PREFIX + fingerprint(root)
    if kept_in:
        return kept_in if Path(kept_in).name == name else str(Path(kept_in) / name)
    for base in (root / "operators" / "__pycache__", Path.home() / ".cache" / "tidemark"):
        folder = base / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        return str(folder)
    return ""  # numba looks for a place of its own


@cache
def fingerprint(root: Path = ROOT) -> str:
    """Return 16 hex digits that change with any source that can be compiled into a kernel."""
    digest = hashlib.sha256()
    for file in sorted(compiled_sources(root)):
        digest.update(f"{file.relative_to(root)}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def compiled_sources(root: Path = ROOT) -> set[Path]:
    """The modules of kernels, and all that these import, in turn."""
    modules = [file for package in PACKAGES for file in (root / package).rglob("*.py")]
    sources: set[Path] = set()
    pending: list[Path] = [file for file in modules if _COMPILER.search(file.read_bytes())]
    while pending:
        file = pending.pop()
        if file not in sources:
            sources.add(file)
            pending += _imported(file, root)
    return sources


def _imported(file: Path, root: Path) -> Iterable[Path]:
    for name, what in _IMPORT.findall(file.read_bytes()):
        place = root.joinpath(*name.decode().split("."))
        named = [place / f"{word.decode()}.py" for word in re.findall(rb"\w+", what)]  # modules of a package
        yield from filter(Path.exists, (place.with_suffix(".py"), place / "__init__.py", *named))
