"""The commands of a Typer application by what is typed, and the examples that their help shows."""

import shlex
from collections.abc import Iterator

import typer
from typer.core import TyperGroup
from typer.main import get_command


def helps(app: typer.Typer) -> dict[str, str]:
    """The help of every command by the words that reach it, such as `dead show`."""
    return dict(_walk(_group(app), ()))


def examples(help_text: str) -> list[list[str]]:
    """The words of every example in a command's help, as a shell would cut them."""
    paragraphs = help_text.split("\n\n")
    return [shlex.split(text.removeprefix("Example:")) for text in paragraphs if text.startswith("Example:")]


def reached(app: typer.Typer, arguments: list[str]) -> str:
    """Parse arguments as the application does and return the command they reach, without running it.

    Raises TyperException for what the command would refuse.
    """
    group, names, rest = _group(app), list[str](), arguments
    while True:
        name, command, rest = group.resolve_command(group.make_context(" ".join(names), list(rest)), rest)
        assert command is not None
        names.append(str(name))
        if not isinstance(command, TyperGroup):
            command.make_context(" ".join(names), rest)
            return " ".join(names)
        group = command


def _group(app: typer.Typer) -> TyperGroup:
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    return group


def _walk(group: TyperGroup, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _walk(command, (*names, name))
        else:
            yield " ".join((*names, name)), command.help or ""
