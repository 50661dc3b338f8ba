"""The walk of a page: files opened one after another, and calls between them that are made.

A file is opened where a name has its module in front (`app.worker.worker.Worker.turn`); from then on the walk
says `Worker.turn`.  A call `caller -> callee` is made where the code of the caller names the callee.
"""

import ast
import itertools
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.tidy.tree import Function

STEP = re.compile(r"`([A-Za-z_][\w.]*(?: -> [A-Za-z_][\w.]*)*)`")


class Walk(NamedTuple):
    """The modules opened, in order, the calls as (caller, callee) with full names, and what is wrong."""

    opened: list[str]
    calls: list[tuple[str, str]]
    faults: list[str]


def walk(root: Path, text: str) -> Walk:
    """Follow the steps in backticks through the source below `root`.

    A step is a name that opens a file, or a chain of calls of which the last alone may open one.
    """
    opened: list[str] = []
    calls: list[tuple[str, str]] = []
    faults: list[str] = []
    for step in STEP.findall(text):
        chain = step.split(" -> ")
        if len(chain) == 1 and module_of(root, chain[0]) is None:
            continue  # some other word in backticks
        names = []
        for place, name in enumerate(chain, start=1):
            module = module_of(root, name)
            if module is None:
                homes = [home for home in opened if definition(root, f"{home}.{name}") is not None]
                if len(homes) != 1:
                    faults.append(f"{step}: {name} is in {len(homes)} of the files that are open")
                names += [f"{home}.{name}" for home in homes[:1]]
                continue
            if module in opened:
                faults.append(f"{step}: {module} is open already")
            elif place < len(chain):
                faults.append(f"{step}: {module} is opened before the end of a step")
            opened.append(module)
            names.append(name)
        calls += itertools.pairwise(names)
    faults += [wrong for caller, callee in calls if (wrong := fault(root, caller, callee))]
    return Walk(opened, calls, faults)


def fault(root: Path, caller: str, callee: str) -> str | None:
    """What is wrong with a call, or None.

    Both are `module.function`, `module.Class.method` or `module.Class`, defined in the source below `root`.
    """
    for name in (caller, callee):
        if definition(root, name) is None:
            return f"there is no {name}"
    wanted = callee.rsplit(".", 1)[-1]
    if wanted == "__init__":
        wanted = callee.split(".")[-2]
    if wanted not in names_used(root, caller):
        return f"{caller} does not name {wanted}"
    return None


def module_of(root: Path, name: str) -> str | None:
    """The module that a dotted name begins with, or None."""
    parts = name.split(".")
    for depth in range(len(parts) - 1, 0, -1):
        if root.joinpath(*parts[:depth]).with_suffix(".py").is_file():
            return ".".join(parts[:depth])
    return None


_parsed = cache(ast.parse)  # by text: a test may write the same file anew


def definition(root: Path, name: str) -> ast.AST | None:
    """The class or function of a dotted name, or None where the source has none."""
    module = module_of(root, name)
    if module is None:
        return None
    node: ast.AST = _parsed(root.joinpath(*module.split(".")).with_suffix(".py").read_text())
    for part in name.removeprefix(f"{module}.").split("."):
        inside = [
            child
            for child in ast.iter_child_nodes(node)
            if isinstance(child, Function | ast.ClassDef) and child.name == part
        ]
        if not inside:
            return None
        node = inside[-1]
    return node


def names_used(root: Path, name: str) -> set[str]:
    """Names and attributes that the code of a function or class reads.

    `self._commit` counts as `commit` where the class has got that one from its constructor.
    """
    code = definition(root, name)
    assert code is not None, name
    constructor = definition(root, f"{name.rsplit('.', 1)[0]}.__init__")
    parameters = (
        {one.arg for one in ast.walk(constructor) if isinstance(one, ast.arg)} if constructor else set()
    )
    used = {node.attr for node in ast.walk(code) if isinstance(node, ast.Attribute)}
    used |= {node.id for node in ast.walk(code) if isinstance(node, ast.Name)}
    return used | (parameters & {one.removeprefix("_") for one in used})
