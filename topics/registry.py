"""Where schema ids come from: a registry that speaks Confluent's protocol, or a folder."""

from pathlib import Path

from topics.confluent_registry import ConfluentRegistry
from topics.file_registry import FileRegistry
from topics.wire import SchemaRegistry

__all__ = ["ConfluentRegistry", "FileRegistry", "open_registry"]


def open_registry(where: str) -> SchemaRegistry:
    """Return the registry at a URL (`http://`, `https://`, or `mock://` in tests) or in a folder."""
    if where.startswith(("http://", "https://", "mock://")):
        return ConfluentRegistry(where)
    return FileRegistry(Path(where))
