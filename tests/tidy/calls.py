"""Whether a call that a page names is made: both functions exist, and the caller's file names the callee."""

import ast
import itertools
import re
from pathlib import Path

from tests.tidy.tree import Function

CALL = re.compile(r"`([A-Za-z_][\w.]*(?: -> [A-Za-z_][\w.]*)+)`")


def calls(text: str) -> list[tuple[str, str]]:
    """Caller and callee of each `caller -> callee` in backticks; of a chain each neighbours."""
    chains = [chain.split(" -> ") for chain in CALL.findall(text)]
    return [pair for chain in chains for pair in itertools.pairwise(chain)]


def fault(root: Path, caller: str, callee: str) -> str | None:
    """What is wrong with a call, or None.

    Both are `module.function`, `module.Class.method` or `module.Class`, defined in the source below `root`.
    """
    for name in (caller, callee):
        if definition(root, name) is None:
            return f"there is no {name}"
    file, _ = source(root, caller)
    wanted = callee.rsplit(".", 1)[-1]
    if wanted == "__init__":
        wanted = callee.split(".")[-2]
    if wanted not in names_used(ast.parse(file.read_text())):
        return f"{file.relative_to(root)} does not name {wanted}"
    return None


def source(root: Path, name: str) -> tuple[Path, list[str]]:
    """The file of the module that a dotted name begins with, and the parts behind it."""
    parts = name.split(".")
    for depth in range(len(parts) - 1, 0, -1):
        file = root.joinpath(*parts[:depth]).with_suffix(".py")
        if file.is_file():
            return file, parts[depth:]
    return root / "absent", parts


def definition(root: Path, name: str) -> ast.AST | None:
    """The class or function of a dotted name, or None where the source has none."""
    file, parts = source(root, name)
    if not file.is_file() or not parts:
        return None
    found: ast.AST = ast.parse(file.read_text())
    for part in parts:
        inside = [
            node
            for node in ast.iter_child_nodes(found)
            if isinstance(node, Function | ast.ClassDef) and node.name == part
        ]
        if not inside:
            return None
        found = inside[-1]
    return found


def names_used(tree: ast.AST) -> set[str]:
    """Names and attributes that a file reads; what it only defines or imports is not among them."""
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return used | {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
