"""A table of settings as text: keys with the comments that stand above them, in TOML."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Final

import tomli_w

_WIDTH: Final = 100  # letters of a line of comment
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+\Z")


class Table:
    """The lines of a proposal: comments, and keys with values that a file of settings takes."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def comment(self, text: str) -> None:
        """Write a comment, on as many lines as it needs; signs that TOML refuses there are escaped."""
        wrapped = textwrap.wrap(_printable(text), _WIDTH - 2, break_long_words=False, break_on_hyphens=False)
        self._lines += [f"# {line}" for line in wrapped]

    def quote(self, line: str) -> None:
        """Write a comment on one line, such as a command."""
        self._lines.append(f"#   {_printable(line)}")

    def header(self, *names: str) -> None:
        """Begin a table."""
        self._lines.append(f"[{'.'.join(map(_key, names))}]")

    def key(self, name: str, value: object, *, idle: bool = False) -> None:
        """Write a key with its value; an `idle` one is a comment, to be made a key by whoever wants it."""
        self._lines.append(f"{'# ' if idle else ''}{_key(name)} = {_inline(value)}")

    def gap(self) -> None:
        """Leave a line empty."""
        self._lines.append("")

    def paste(self, text: str) -> None:
        """Write lines that are ready."""
        self._lines += text.splitlines()

    def text(self) -> str:
        """All lines."""
        return "\n".join(self._lines) + "\n"


def _inline(value: object) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(name)} = {_inline(one)}' for name, one in value.items())} }}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_inline, value))}]"
    return tomli_w.dumps({"v": value}).strip().removeprefix("v = ")


def _key(name: str) -> str:
    return name if _BARE.match(name) else _inline(name)


def _printable(text: str) -> str:
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text
    )
