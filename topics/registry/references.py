"""Schema references put into the schema that makes them, so that one text says it all."""

import json
from collections.abc import Sequence
from typing import Any, Final

from topics.wire import CodecError

_NAMED: Final = frozenset({"record", "error", "enum", "fixed"})
_BUILT_IN: Final = frozenset(
    {"null", "boolean", "int", "long", "float", "double", "bytes", "string", "array", "map", *_NAMED}
)


def with_references(schema: str, definitions: Sequence[str]) -> str:
    """Return an Avro schema (JSON) in which each type of `definitions` stands where it is named first.

    Raises CodecError for text that is no schema.
    """
    whole = _Whole()
    try:
        for definition in definitions:
            whole.learn(json.loads(definition), "")
        return json.dumps(whole.written(json.loads(schema), ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as broken:
        raise CodecError(f"not an Avro schema: {type(broken).__name__}: {broken}") from None


class _Whole:
    """One schema as it is put together: what may be referred to, and what it has defined already."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Any, str]] = {}
        self._defined: set[str] = set()

    def learn(self, node: Any, namespace: str) -> None:
        """Keep each named type of a definition, with the namespace that it stands in."""
        if isinstance(node, list):
            for branch in node:
                self.learn(branch, namespace)
        if not isinstance(node, dict):
            return
        if node["type"] in _NAMED if isinstance(node["type"], str) else False:
            full = _full_name(node, namespace)
            self._known.setdefault(full, (node, namespace))
            for field in node.get("fields", ()):
                self.learn(field["type"], full.rpartition(".")[0])
            return
        for inner in ("type", "items", "values"):
            self.learn(node.get(inner), namespace)

    def written(self, node: Any, namespace: str) -> Any:
        """A type, with what it refers to for the first time."""
        if isinstance(node, str):
            return self._reference(node, namespace)
        if isinstance(node, list):
            return [self.written(branch, namespace) for branch in node]
        kind = node["type"]
        if isinstance(kind, str) and kind in _NAMED:
            return self._definition(node, namespace)
        if not isinstance(kind, str) or kind not in _BUILT_IN:  # a name, or a type within a type
            return self.written(kind, namespace)
        inner = {key: self.written(node[key], namespace) for key in ("items", "values") if key in node}
        return {**node, **inner}

    def _reference(self, name: str, namespace: str) -> Any:
        if name in _BUILT_IN:
            return name
        for full in (name if "." in name or not namespace else f"{namespace}.{name}", name):
            if full in self._defined:
                return full
            if full in self._known:
                return self.written(*self._known[full])
        return name

    def _definition(self, node: dict[str, Any], namespace: str) -> Any:
        full = _full_name(node, namespace)
        if full in self._defined:
            return full
        self._defined.add(full)
        inside, _, short = full.rpartition(".")
        defined = {**node, "name": short, "namespace": inside}
        if "fields" in node:
            defined["fields"] = [
                {**field, "type": self.written(field["type"], inside)} for field in node["fields"]
            ]
        return defined


def _full_name(node: dict[str, Any], namespace: str) -> str:
    name = str(node["name"])
    if "." in name:
        return name
    own = node.get("namespace", namespace)
    return f"{own}.{name}" if own else name
