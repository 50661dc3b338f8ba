"""The tutorial as it stands, in a checkout; from the archive and without a network it is `make tutorial`."""

import pytest

from tests.docs.pages import blocks
from tests.docs.play import TUTORIAL, every_step, opened, play

STEPS_MIN = 12


def test_the_tutorial_installs_shows_and_checks() -> None:
    steps = every_step(TUTORIAL)
    assert len(steps) >= STEPS_MIN
    assert [step.command for step in steps[:2]] == ["tar -xf tidemark-*.tar.gz", "tidemark-*/install.sh venv"]
    assert not any("python -m app" in step.command or "make " in step.command for step in steps)
    assert "from tidemark import asof_join" in "".join(blocks(TUTORIAL, "python"))


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_tutorial_works_as_it_stands() -> None:
    checkout = opened(java=False)
    try:
        play(TUTORIAL, checkout)
    finally:
        checkout.stop_broker()
