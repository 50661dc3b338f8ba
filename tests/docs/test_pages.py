"""What README and the pages say works as it stands: each command is typed, each Python block runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.checkout import Checkout
from tests.docs.pages import blocks, masked, missing_line, steps
from tests.docs.play import NOT_PLAYED, NOT_RUN, PAGES, every_step, opened, pages_on, play
from tests.stage.programs import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.takes_s(700)]


@pytest.fixture(scope="module")
def checkout() -> Iterator[Checkout]:
    checkout = opened(java=False)
    yield checkout
    checkout.stop_broker()


@pytest.mark.parametrize("page", pages_on("embedded"), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_and_the_python_of_a_page_work_as_they_stand(page: Path, checkout: Checkout) -> None:
    play(page, checkout)


def test_what_is_not_played_is_on_a_page() -> None:
    commands = [step.command for page in PAGES for step in every_step(page)]
    python = [text for page in PAGES for text in blocks(page, "python")]
    for words in NOT_PLAYED:
        assert any(command.startswith(words) for command in commands), f"no page has {words} any more"
    for words in NOT_RUN:
        assert any(words in text for text in python), f"no page has {words} any more"


def test_a_step_is_a_command_with_its_lines_and_what_it_shows() -> None:
    heredoc = "$ python - <<EOF\nx = 1  # kept\nEOF\n"
    first, second, third = steps(
        f"$ a --b  # why\nsaid 1,234 rows in 3.2 s\n{heredoc}$ c \\\n  d\nerror: no\n"
    )
    assert (first.command, first.shown) == ("a --b", ("said 1,234 rows in 3.2 s",))
    assert second.command == "python - <<EOF\nx = 1  # kept\nEOF"
    assert (third.command, third.code) == ("c \\\n  d", 2)


def test_output_is_compared_without_what_differs_from_run_to_run() -> None:
    assert masked("trade in  137,816 rows, 3.2 s at 127.0.0.1:22872") == masked(
        "trade in 9 rows, 4 ms at 1.1.1.1:1"
    )
    assert missing_line(("a 1", "...", "b"), "x\na 2\ny\nb") is None
    assert missing_line(("b", "a"), "a\nb") == "a"
