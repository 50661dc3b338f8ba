"""The rules of DESIGN.md and the tests that guard them."""

import re
from collections.abc import Iterable

from tests.tidy.tree import functions

GUARD = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
SECTION = "## Surprising rules"


def rules(page: str) -> list[str]:
    """The text of each rule of a page, on one line."""
    section = page.split(f"{SECTION}\n")[1].split("\n## ")[0]
    items = re.findall(r"^- (\*\*.*(?:\n  .*)*)", section, re.MULTILINE)
    return [" ".join(item.split()) for item in items]


def missing_guards(text: str, test_files: Iterable[str]) -> list[str]:
    """Guards in a text that are no test, each with the file that has a test of that name, if any."""
    homes: dict[str, list[str]] = {}
    for file in test_files:
        for function in functions(file):
            homes.setdefault(function.name, []).append(file)
    missing = []
    for file, name in GUARD.findall(text):
        if not name.startswith("test_") or file not in homes.get(name, []):
            elsewhere = homes.get(name, [])
            missing.append(f"{file}::{name}" + (f" (it is in {', '.join(elsewhere)})" if elsewhere else ""))
    return missing
