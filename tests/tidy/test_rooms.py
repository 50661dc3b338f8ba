"""Rooms say what they hold in one sentence, no imports go in a circle, and no class does everything."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from tests.tidy.tree import PACKAGES, Function, assert_none_but_exempt, parsed, python_files

METHODS_MAX = 15  # public ones, properties among them
ATTRIBUTES_MAX = 12
RECORDS = {"NamedTuple", "BaseModel", "BaseSettings", "Section", "Credentials"}


def rooms() -> Iterator[str]:
    """The `__init__.py` of every package inside a top folder."""
    for name in python_files(*PACKAGES):
        if name.endswith("/__init__.py") and name.count("/") > 1:
            yield name


def module_of(name: str) -> str:
    """The dotted name of a Python file."""
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imports(modules: Mapping[str, str]) -> dict[str, set[str]]:
    """Which of these modules (name to file) each imports, wherever in its file it does."""
    imported: dict[str, set[str]] = defaultdict(set)
    for module, name in modules.items():
        for node in ast.walk(parsed(name)):
            if isinstance(node, ast.Import):
                imported[module] |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                parts = {f"{node.module}.{alias.name}" for alias in node.names}
                imported[module] |= {part if part in modules else node.module for part in parts}
    return {module: others & modules.keys() for module, others in imported.items()}


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """The modules of one circle, in order, or none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as cycle:
        return [str(module) for module in cycle.args[1]]
    return []


def classes(name: str) -> Iterator[ast.ClassDef]:
    """Every class of a file."""
    return (node for node in ast.walk(parsed(name)) if isinstance(node, ast.ClassDef))


def is_record(node: ast.ClassDef) -> bool:
    """Whether a class is a record of settings or figures, which never changes."""
    above = {ast.unparse(base).rsplit(".", 1)[-1] for base in node.bases}
    return bool(above & RECORDS) or any("frozen=True" in ast.unparse(one) for one in node.decorator_list)


def public_methods(node: ast.ClassDef) -> set[str]:
    """The methods that others call."""
    return {one.name for one in node.body if isinstance(one, Function) and not one.name.startswith("_")}


def attributes(node: ast.ClassDef) -> set[str]:
    """What an object of the class holds: its fields, and whatever its own methods assign to `self`."""
    fields = {ast.unparse(one.target) for one in node.body if isinstance(one, ast.AnnAssign)}
    return fields | {
        inner.attr
        for method in node.body
        if isinstance(method, Function)
        for inner in ast.walk(method)
        if isinstance(inner, ast.Attribute)
        and isinstance(inner.ctx, ast.Store)
        and isinstance(inner.value, ast.Name)
        and inner.value.id == "self"
    }


def test_a_room_is_one_sentence_and_no_code() -> None:
    for name in rooms():
        body = parsed(name).body
        assert len(body) == 1, f"{name} has code"
        sentence = ast.get_docstring(parsed(name)) or ""
        assert sentence.endswith("."), f"{name} says nothing"
        assert "\n" not in sentence, f"{name} says it in more than a line"
        assert ". " not in sentence, f"{name} says more than one sentence"


def test_no_imports_go_in_a_circle() -> None:
    modules = {module_of(name): name for name in python_files()}
    assert circle(imports(modules)) == []


def test_a_circle_is_seen() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}


def test_no_test_module_imports_another() -> None:
    modules = {module_of(name): name for name in python_files("tests")}
    tests = {module for module in modules if module.rsplit(".", 1)[-1].startswith("test_")}
    assert not {(one, other) for one, others in imports(modules).items() for other in others & tests}


def test_no_class_has_more_than_15_public_methods_or_12_attributes() -> None:
    large = {
        f"{name}:{node.name}"
        for name in python_files(*PACKAGES)
        for node in classes(name)
        if len(public_methods(node)) > METHODS_MAX
        or (len(attributes(node)) > ATTRIBUTES_MAX and not is_record(node))
    }
    assert_none_but_exempt("large classes", large)


def test_a_large_class_is_seen() -> None:
    (worker,) = ast.parse("class A:\n    b: int\n    def c(self):\n        self.d, self._e = 1, 2").body
    (figures,) = ast.parse("@dataclass(frozen=True, slots=True)\nclass A:\n    b: int").body
    assert isinstance(worker, ast.ClassDef)
    assert isinstance(figures, ast.ClassDef)
    assert (attributes(worker), public_methods(worker)) == ({"b", "d", "_e"}, {"c"})
    assert is_record(figures)
    assert not is_record(worker)
