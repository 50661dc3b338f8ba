"""What a page asks its reader to type: commands of its console blocks with what they show, and its Python."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_BLOCK: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEREDOC: Final = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")
_COMMENT: Final = re.compile(r"\s+#\s.*$")


@dataclass(frozen=True)
class Step:
    """A command of a page, and the lines that stand below it."""

    command: str
    shown: tuple[str, ...]

    @property
    def code(self) -> int:
        """How it must end: bad input where the page shows its error, else well."""
        return 2 if any(line.startswith("error: ") for line in self.shown) else 0


def blocks(page: Path, language: str) -> list[str]:
    """The text of a page's fenced blocks of one language."""
    return [text for kind, text in _BLOCK.findall(page.read_text()) if kind == language]


def steps(block: str) -> Iterator[Step]:
    """The commands of a console block: a line after `$ `, with its continuations and its heredoc."""
    lines = block.splitlines()
    place = 0
    while place < len(lines):
        assert lines[place].startswith("$ "), f"a console block begins with a command: {lines[place]!r}"
        command = [_COMMENT.sub("", lines[place].removeprefix("$ "))]
        place += 1
        while command[-1].endswith("\\"):
            command.append(_COMMENT.sub("", lines[place].removeprefix("> ")))
            place += 1
        if heredoc := _HEREDOC.search(command[-1]):
            while command[-1] != heredoc[2]:
                command.append(lines[place].removeprefix("> "))
                place += 1
        shown = []
        while place < len(lines) and not lines[place].startswith("$ "):
            shown.append(lines[place])
            place += 1
        yield Step("\n".join(command), tuple(shown))


def masked(line: str) -> str:
    """A line without what differs from run to run: numbers with their units, hashes, and spacing."""
    line = re.sub(r"\b[0-9a-f]{16,}\b", "#", line)
    line = re.sub(r"\d[\d,.:]*(\s?(ns|us|ms|s|min|h|[kMG]i?B|bytes)\b)?", "#", line)
    return " ".join(line.split())


def missing_line(shown: tuple[str, ...], output: str) -> str | None:
    """The first line shown that the command did not say, or not in this order; None without one."""
    lines = iter([masked(line) for line in output.splitlines()])
    for line in shown:
        if line.strip() not in ("", "...") and masked(line) not in lines:
            return line
    return None
