"""Habits of the code that a machine can see."""

import ast
import re

from tests.tidy.tree import PACKAGES, ROOT, files, functions, parsed, python_files, texts

LEFT_FOR_LATER = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME"]) + r")\b")
TERMINAL = re.compile(r"\b(print|print_json|echo|(stdout|stderr|console\.file)\.write)$")


def test_every_module_opens_with_a_sentence() -> None:
    silent = [name for name in python_files(*PACKAGES) if not ast.get_docstring(parsed(name))]
    assert not silent
    unended = [
        name
        for name in python_files(*PACKAGES)
        if not (ast.get_docstring(parsed(name)) or "").split("\n\n")[0].rstrip().endswith((".", ":", "`"))
    ]
    assert not unended, f"the first sentence ends in a full stop: {unended}"


def test_no_python_lives_in_docker() -> None:
    inside = [name for name in files() if name.startswith("docker/")]
    assert not [name for name in inside if name.endswith((".py", ".pyi", ".ipynb"))]
    firsts = {name: (ROOT / name).read_bytes().split(b"\n", 1)[0] for name in inside}
    assert not [name for name, first in firsts.items() if first.startswith(b"#!") and b"python" in first]


def test_nothing_is_left_for_later() -> None:
    assert not [name for name, text in texts() if LEFT_FOR_LATER.search(text)]


def test_imports_are_absolute() -> None:
    relative = {
        name
        for name in python_files()
        for node in ast.walk(parsed(name))
        if isinstance(node, ast.ImportFrom) and node.level
    }
    assert not relative


def test_only_benches_and_notebooks_print() -> None:
    printing = {
        name
        for name in python_files()
        for node in ast.walk(parsed(name))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    }
    assert not {name for name in printing if not name.startswith(("tests/bench/", "docs/notebooks/"))}


def test_only_commands_write_to_the_terminal_or_who_is_handed_their_console() -> None:
    writing = {
        f"{name}:{node.lineno}"
        for name in python_files(*PACKAGES)
        if not (_imports(name, "typer") or _is_program(name))
        for function in functions(name)
        if not any(argument.arg == "console" for argument in function.args.args)
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and TERMINAL.search(ast.unparse(node.func))
    }
    assert not writing


def _imports(name: str, module: str) -> bool:
    """Whether a file imports a module by its name."""
    return any(
        isinstance(node, ast.Import) and any(one.name == module for one in node.names)
        for node in parsed(name).body
    )


def _is_program(name: str) -> bool:
    """Whether a file can be run with `python -m`."""
    return any(
        isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"
        for node in parsed(name).body
    )


def test_the_environment_is_read_in_one_place() -> None:
    readers = {
        name
        for name in python_files(*PACKAGES)
        for node in ast.walk(parsed(name))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    }
    assert readers <= {"app/config.py"}


def test_no_error_is_swallowed() -> None:
    swallowing = {
        f"{name}:{node.lineno}"
        for name in python_files()
        for node in ast.walk(parsed(name))
        if isinstance(node, ast.ExceptHandler) and all(isinstance(line, ast.Pass) for line in node.body)
    }
    assert not swallowing
