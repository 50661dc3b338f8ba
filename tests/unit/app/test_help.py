"""The help of every command says what it does, and of each option what it is and its default."""

from collections.abc import Iterator
from importlib import import_module

import pytest
import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

import app.cli
import replay.cli

for name in app.cli.MODULES:
    import_module(f"app.commands.{name}")  # registers its commands

PROGRAMS = {"app": app.cli.app, "replay": replay.cli.app}


def commands(command: object, name: str) -> Iterator[tuple[str, TyperCommand]]:
    """Every command that does something, by the words it is called with."""
    if isinstance(command, TyperGroup):
        for word, inner in command.commands.items():
            yield from commands(inner, f"{name} {word}")
    else:
        assert isinstance(command, TyperCommand)
        yield name, command


EVERY = dict(pair for name, each in PROGRAMS.items() for pair in commands(typer.main.get_command(each), name))


@pytest.mark.parametrize("name", EVERY)
def test_a_command_says_in_a_sentence_what_it_does_beginning_with_a_verb(name: str) -> None:
    first = (EVERY[name].help or "").split("\n\n")[0]
    assert first.endswith(".")
    assert first.split()[0] not in {"The", "A", "Who", "What", "How", "Same"}


@pytest.mark.parametrize("name", EVERY)
def test_an_example_is_a_command_that_parses(name: str) -> None:
    text = " ".join((EVERY[name].help or "").split())
    examples = [part.split(" Example: ")[0] for part in text.split("Example: python -m ")[1:]]
    assert examples
    for example in examples:
        words = example.removeprefix(name).replace('"', "").split()
        assert example.startswith(name)
        EVERY[name].make_context(name, words, resilient_parsing=True)
        known = {option for parameter in EVERY[name].params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= known


@pytest.mark.parametrize("name", EVERY)
def test_an_option_stands_alone(name: str) -> None:
    for parameter in EVERY[name].params:
        text = " ".join(str(getattr(parameter, "help", "")).split())
        place = f"{name} {parameter.opts[0]}: {text!r}"
        assert len(text.split()) > 2, place
        assert text.endswith((".", ")")), place
        assert text.split()[0] not in {"Of", "Only", "With", "Who", "May", "Where", "As", "These", "This"}, (
            place
        )
        said = parameter.required or parameter.default not in (None, False) or parameter.multiple
        switch = isinstance(parameter, TyperOption) and parameter.is_flag
        assert said or switch or any(words in text for words in ("Default:", "Without it", "instead")), place
