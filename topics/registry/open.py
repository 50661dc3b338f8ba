"""Where schema ids come from: a registry that speaks Confluent's protocol, or a folder."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from topics.registry.confluent import ConfluentRegistry
from topics.registry.folder import FileRegistry
from topics.wire import SchemaRegistry

__all__ = ["ConfluentRegistry", "FileRegistry", "open_registry", "registry_name"]


def open_registry(where: str, settings: Mapping[str, str] = MappingProxyType({})) -> SchemaRegistry:
    """Return the registry at a URL (`http://`, `https://`, or `mock://` in tests) or in a folder.

    `settings` are those of the client behind a URL.
    """
    return ConfluentRegistry(where, settings) if _is_url(where) else FileRegistry(Path(where))


def registry_name(where: str) -> str:
    """Return what to call a registry in a message: its URL, or its folder in full, whoever reads it where."""
    return where if _is_url(where) else f"folder {Path(where).absolute()}"


def _is_url(where: str) -> bool:
    return where.startswith(("http://", "https://", "mock://"))
