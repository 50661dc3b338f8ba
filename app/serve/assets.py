"""The files of the page, read once: a browser gets them from memory, under no name but theirs."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).with_name("static")
KINDS: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the page, with its type and its entity tag."""

    content: bytes
    kind: str
    tag: str


def read_assets() -> dict[str, Asset]:
    """By path below `/static/` each file that a browser may ask for."""
    files = [file for file in sorted(FOLDER.rglob("*")) if file.suffix in KINDS]
    return {file.relative_to(FOLDER).as_posix(): _asset(file) for file in files}


def _asset(file: Path) -> Asset:
    content = file.read_bytes()
    return Asset(content, KINDS[file.suffix], f'"{hashlib.sha256(content).hexdigest()[:16]}"')
