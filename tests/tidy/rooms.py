"""The map of rooms in DESIGN.md: each package with the sentence that its `__init__.py` opens with.

`python -m tests.tidy.rooms` shows the map, with `--write` it is put into DESIGN.md.
"""

import ast
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.tidy.tree import PACKAGES, ROOT, python_files

DESIGN = ROOT / "DESIGN.md"
BEGIN = "<!-- rooms: written by `python -m tests.tidy.rooms --write` from the sentences of the packages -->"
END = "<!-- end of rooms -->"
INIT = "__init__.py"


def packages(root: Path, names: Iterable[str]) -> dict[str, str]:
    """The sentence of each package by its folder, `""` where it has none; `names` are files below `root`."""
    sentences = {}
    for name in names:
        if Path(name).name == INIT:
            docstring = ast.get_docstring(ast.parse((root / name).read_text(), name)) or ""
            sentences[str(Path(name).parent)] = " ".join(docstring.split("\n\n")[0].split())
    return sentences


def render(sentences: Mapping[str, str]) -> str:
    """The map: folders in the order of the layers, rooms of a folder in alphabetical order behind it."""
    layers = {name: number for number, name in enumerate(PACKAGES)}
    ordered = sorted(sentences, key=lambda folder: (layers[folder.split("/")[0]], folder))
    rows = [f"| `{folder}/` | {sentences[folder]} |" for folder in ordered]
    return "\n".join(["| room | what it is |", "|---|---|", *rows])


def rooms() -> str:
    """The map of this repository."""
    return render(packages(ROOT, python_files(*PACKAGES)))


def drawn(text: str) -> str:
    """The map as a page has it between the two markers; raises ValueError where they are not there once."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"the map belongs between a line {BEGIN} and a line {END}")
    return text.split(BEGIN)[1].split(END)[0].strip("\n")


def redrawn(text: str, new: str) -> str:
    """The page with another map between the markers."""
    return text.replace(f"{BEGIN}\n{drawn(text)}\n{END}", f"{BEGIN}\n{new}\n{END}")


def main(arguments: list[str]) -> int:
    """Show the map, or write it into DESIGN.md; returns the exit status."""
    if arguments == ["--write"]:
        DESIGN.write_text(redrawn(DESIGN.read_text(), rooms()))
        return 0
    if arguments:
        sys.stderr.write("usage: python -m tests.tidy.rooms [--write]\n")
        return 2
    sys.stdout.write(rooms() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
