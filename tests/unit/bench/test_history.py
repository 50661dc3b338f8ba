"""The bench of the history holds the rows of ours against those of its rivals before it measures."""

from pathlib import Path

import pytest

from tests.bench.history import SECTIONS, told

SCALE = 0.003

pytestmark = [pytest.mark.slow, pytest.mark.takes_s(20)]


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_has_the_rows_of_its_rivals_and_figures(name: str, tmp_path: Path) -> None:
    section, goal = SECTIONS[name]
    found = section(tmp_path, SCALE)
    assert found["right"]
    assert goal
    assert all(told(figure) for figure in found["figures"].values())
