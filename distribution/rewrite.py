"""Imports of our own folders, rewritten to lie below one name; no line moves."""

import ast
import re
from collections.abc import Collection
from typing import Final

NAME: Final = "tidemark"

# How commands and extras are named in messages and docs, and what they are called once installed.
_COMMANDS: Final = (
    (re.compile(r"python -m app\b"), NAME),
    (re.compile(r"python -m (replay|gpu_sink)\b"), rf"python -m {NAME}.\1"),
    (re.compile(r"\bmake kafka-stop\b"), f"{NAME} kafka stop"),
    (re.compile(r"\bmake kafka\b"), f"{NAME} kafka start"),
    (re.compile(r"tidemark-gpu-sink\[(\w+)\]"), rf"{NAME}[\1]"),
)


class RewriteError(ValueError):
    """An import that cannot be put below another name; the message says where."""


def rewritten(source: str, roots: Collection[str], place: str) -> str:
    """The source with each absolute import from one of `roots` below `tidemark`; raises RewriteError.

    `import app.errors` would bind another name than the rest of the file uses: say `from app import errors`.
    """
    lines = source.split("\n")
    imports = [
        node for node in ast.walk(ast.parse(source, place)) if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    for node in sorted(imports, key=lambda node: -node.col_offset):  # what stands behind it has moved already
        where = f"{place}:{node.lineno}"
        if isinstance(node, ast.Import):
            if any(alias.name.split(".")[0] in roots for alias in node.names):
                raise RewriteError(f"{where}: import {node.names[0].name}: say it with from")
        elif node.module and node.module.split(".")[0] in roots:
            line = lines[node.lineno - 1].encode()  # columns count bytes
            head, tail = line[: node.col_offset].decode(), line[node.col_offset :].decode()
            before = f"from {node.module} import"
            if not tail.startswith(before):
                raise RewriteError(f"{where}: an import that is laid out in another way")
            lines[node.lineno - 1] = head + f"from {NAME}.{node.module} import" + tail[len(before) :]
    return installed("\n".join(lines))


def installed(text: str) -> str:
    """The text with our commands and extras named as they are where the wheel is installed."""
    for pattern, command in _COMMANDS:
        text = pattern.sub(command, text)
    return text
