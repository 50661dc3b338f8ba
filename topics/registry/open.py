"""Where schema ids come from: a registry that speaks Confluent's protocol, or a folder."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from topics.registry.confluent import ConfluentRegistry
from topics.registry.folder import FileRegistry
from topics.wire import SchemaRegistry

__all__ = ["ConfluentRegistry", "FileRegistry", "open_registry"]


def open_registry(where: str, settings: Mapping[str, str] = MappingProxyType({})) -> SchemaRegistry:
    """Return the registry at a URL (`http://`, `https://`, or `mock://` in tests) or in a folder.

    `settings` are those of the client behind a URL.
    """
    if where.startswith(("http://", "https://", "mock://")):
        return ConfluentRegistry(where, settings)
    return FileRegistry(Path(where))
