"""The files of the repository as the rules see them: tracked, or new and not ignored."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from tests.tidy.exemptions import EXEMPT

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("app", "operators", "topics", "state", "replay", "gpu_sink", "schemas")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def files() -> tuple[str, ...]:
    """Paths relative to the root, with forward slashes."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    answer = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return tuple(sorted(name for name in set(answer.split("\0")) if name and (ROOT / name).is_file()))


def python_files(*roots: str) -> Iterator[str]:
    """The Python files, of these top-level folders where any are given."""
    for name in files():
        if name.endswith(".py") and (not roots or name.split("/")[0] in roots):
            yield name


def texts() -> Iterator[tuple[str, str]]:
    """Every file that is text, with its content."""
    for name in files():
        content = (ROOT / name).read_bytes()
        if b"\0" not in content:
            yield name, content.decode(errors="replace")


@cache
def parsed(name: str) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse((ROOT / name).read_text(), name)


def functions(name: str) -> Iterator[Function]:
    """Every function and method of a file, nested ones too."""
    for node in ast.walk(parsed(name)):
        if isinstance(node, Function):
            yield node


def assert_none_but_exempt(rule: str, offenders: set[str]) -> None:
    """Fail for what breaks the rule and is not exempt, and for what is exempt and does not break it."""
    exempt = EXEMPT.get(rule, set())
    assert not offenders - exempt, f"{rule}: {', '.join(sorted(offenders - exempt))}"
    assert not exempt - offenders, (
        f"{rule}: no longer needs its exemption: {', '.join(sorted(exempt - offenders))}"
    )
