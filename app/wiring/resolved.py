"""The whole of the settings, resolved: written down beside a run, they give the same run in any folder."""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import tomli_w

from app.config import Settings
from app.settings.sessions import CalendarTable
from app.wiring.functions import function_anywhere
from app.wiring.model_store import ModelStore

ID_LENGTH: Final = 12
KEPT_MAX: Final = 20  # settings of one pipeline
_FILES: Final = ("file", "function", "schema_file")
# Of the worker's table what decides which rows there are; the rest says when and how they are written.
_DECIDE: Final = ("format", "late", "dead", "message_size_max")


def resolved_tables(settings: Settings) -> dict[str, Any]:
    """Every setting, defaults too, as the tables of a file; paths lie where they are for any folder.

    No secret is in it.
    """
    named = settings.model_dump(exclude_none=True, by_alias=True, exclude={"graph", "calendars"})
    tables: dict[str, Any] = {name: _plain(table) for name, table in named.items()}
    registry = settings.bus.schema_registry
    if "://" not in registry:
        tables["bus"]["schema_registry"] = str(Path(registry).resolve())
    return tables | graph_tables(settings)


def graph_tables(settings: Settings) -> dict[str, Any]:
    """The tables of the graph, and of the calendars it goes by; none without a graph."""
    if not settings.graph.nodes:
        return {}
    graph: dict[str, Any] = {"name": settings.graph.name}
    tables: dict[str, Any] = {"graph": graph}
    if settings.graph.has_models:
        graph["models"] = str(ModelStore.of(settings).folder)
    if settings.graph.anchor is not None:
        graph["anchor"] = settings.graph.anchor.model_dump(exclude_none=True)
        tables["calendars"] = {name: _calendar(table) for name, table in settings.calendars.items()}
    for name, node in settings.graph.nodes.items():
        table = node.model_dump(mode="json", exclude_none=True, by_alias=True)
        if node.function is not None:  # whose file lies beside the settings it was named in
            table["function"] = function_anywhere(settings, node.function)
        graph[name] = table
    return tables


def _calendar(table: CalendarTable) -> dict[str, Any]:
    """A calendar as it was given, its file where it lies for any folder."""
    values = table.model_dump(by_alias=True, exclude_unset=True)
    return values if table.file is None else {"file": str(table.file.resolve())}


def _plain(value: object) -> Any:
    """A value as TOML has it."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return str(value.resolve()) if isinstance(value, Path) else value


def settings_id(settings: Settings) -> str:
    """12 hex digits that are equal where settings give the same rows of the same inputs.

    Where things lie and who they are is not in it: broker, prefix, topics, folders, slots, metrics.  Nor is
    what functions of the user do, which the meanings of nodes say.
    """
    tables = resolved_tables(settings)
    told = {
        "pipeline": {k: v for k, v in tables["pipeline"].items() if k != "prefix"},
        "partitions": tables["bus"]["partitions"],
        "worker": {k: v for k, v in tables["worker"].items() if k in _DECIDE},
        "streams": {name: _apart_from_places(table) for name, table in tables["streams"].items()},
        "graph": {
            name: _apart_from_places(_as_before(node)) if isinstance(node, dict) else node
            for name, node in tables.get("graph", {}).items()
            if name != "models"
        },
        "calendars": {name: _apart_from_places(table) for name, table in tables.get("calendars", {}).items()},
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:ID_LENGTH]


def _as_before(node: dict[str, Any]) -> dict[str, Any]:
    """A node without keys that came later and are not said: settings without them keep the id they had."""
    node = {key: value for key, value in node.items() if (key, value) != ("hours", "all")}
    if "bins" in node:
        node["bins"] = {key: value for key, value in node["bins"].items() if (key, value) != ("q_ppm", [])}
    return node


def keep_settings(settings: Settings) -> str:
    """Write the whole settings beside the local state, under their id, which is returned.

    The last `KEPT_MAX` that were used stay.
    """
    folder, told = settings.worker.state / settings.pipeline.prefix, settings_id(settings)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"settings-{told}.toml"
    unfinished = file.with_name(f"{file.name}.{settings.worker.slot}.unfinished")
    unfinished.write_text(tomli_w.dumps(resolved_tables(settings)))
    unfinished.replace(file)
    kept = sorted(folder.glob("settings-*.toml"), key=lambda one: one.stat().st_mtime_ns)
    for old in kept[:-KEPT_MAX]:
        old.unlink(missing_ok=True)
    return told


def _apart_from_places(table: dict[str, Any]) -> dict[str, Any]:
    """A table without its topic, and of a file its name alone."""
    named = {key: Path(value).name for key in _FILES if (value := table.get(key)) is not None}
    out = {"out": {k: v for k, v in table["out"].items() if k != "topic"}} if "out" in table else {}
    return {key: value for key, value in table.items() if key != "topic"} | named | out
