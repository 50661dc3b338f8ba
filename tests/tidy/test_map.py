"""Every package says in one sentence what it is, and DESIGN.md has all of them."""

from pathlib import Path

import pytest

from tests.tidy.rooms import BEGIN, DESIGN, END, drawn, packages, redrawn, render, rooms
from tests.tidy.tree import PACKAGES, ROOT, python_files


def test_every_package_opens_with_one_sentence() -> None:
    sentences = packages(ROOT, python_files(*PACKAGES))
    assert set(sentences) >= set(PACKAGES)
    assert not [folder for folder, sentence in sentences.items() if not sentence.endswith(".")]


def test_the_map_of_rooms_is_that_of_the_packages() -> None:
    map_drawn = drawn(DESIGN.read_text())
    assert map_drawn == rooms(), "run `python -m tests.tidy.rooms --write`"


def test_a_room_stands_behind_its_folder_with_its_first_sentence(tmp_path: Path) -> None:
    names = ["state/__init__.py", "app/watch/__init__.py", "app/__init__.py", "app/watch/words.py"]
    for name, text in zip(
        names, ["A cache.", "What people\nask.\n\nMore.", "Services.", "Not a room."], strict=True
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f'"""{text}"""\n')
    rows = render(packages(tmp_path, names)).splitlines()[2:]
    assert rows == [
        "| `app/` | Services. |",
        "| `app/watch/` | What people ask. |",
        "| `state/` | A cache. |",
    ]


def test_a_map_is_put_between_its_markers_and_nowhere_else() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert redrawn(page, "new\nmap") == f"before\n{BEGIN}\nnew\nmap\n{END}\nafter\n"
    with pytest.raises(ValueError, match="the map belongs between"):
        redrawn("a page without markers", "new")
