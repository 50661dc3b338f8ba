"""No switch that nobody pulls: what a protocol leaves to its callers, some caller decides."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from tests.tidy.tree import PACKAGES, assert_none_but_exempt, parsed, python_files


class Switch(NamedTuple):
    """A parameter with a default of a protocol's method; `place` is None where it is passed by name alone."""

    protocol: str
    method: str
    parameter: str
    place: int | None

    def is_passed(self, call: ast.Call) -> bool:
        """Whether a call of a method of this name passes the parameter; `**` may, and so does."""
        by_name = any(keyword.arg in (self.parameter, None) for keyword in call.keywords)
        return by_name or (self.place is not None and len(call.args) > self.place)


def switches(protocol: ast.ClassDef) -> Iterator[Switch]:
    """The switches of all methods of a protocol."""
    for method in protocol.body:
        if isinstance(method, ast.FunctionDef):
            signature = method.args
            places = [*signature.posonlyargs, *signature.args]
            for place in range(len(places) - len(signature.defaults), len(places)):
                yield Switch(protocol.name, method.name, places[place].arg, place - 1)  # self is not passed
            for argument, default in zip(signature.kwonlyargs, signature.kw_defaults, strict=True):
                if default is not None:
                    yield Switch(protocol.name, method.name, argument.arg, None)


def test_every_default_of_a_protocol_is_overruled_by_some_caller() -> None:
    """By the names of methods: a call of another class's method of the same name counts as well."""
    declared: list[Switch] = []
    calls: dict[str, list[ast.Call]] = defaultdict(list)
    for name in python_files(*PACKAGES):
        for node in ast.walk(parsed(name)):
            if isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(base) for base in node.bases):
                declared += switches(node)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                calls[node.func.attr].append(node)
    assert declared
    assert_none_but_exempt(
        "switches nobody pulls",
        {
            f"{switch.protocol}.{switch.method}({switch.parameter}=)"
            for switch in declared
            if not any(switch.is_passed(call) for call in calls[switch.method])
        },
    )
