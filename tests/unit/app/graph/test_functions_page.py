"""The page of functions is what the table of functions gives."""

from app.graph.functions_page import COMMAND, functions_page
from operators.formula.functions.table import FUNCTIONS
from tests.stage.programs import ROOT, App

PAGE = ROOT / "docs/functions.md"


def test_the_page_is_that_of_the_table() -> None:
    assert PAGE.read_text() == functions_page(), f"run `{COMMAND} > docs/functions.md`"


def test_every_function_has_its_section_with_all_it_takes_and_its_example() -> None:
    sections = {part.split("\n")[0]: part for part in functions_page().split("\n## ")[1:]}
    assert list(sections) == list(FUNCTIONS)
    for function in FUNCTIONS.values():
        section = sections[function.name]
        names = [one.name for one in function.operands] + [one.name for one in function.settings]
        assert all(f"| `{name}` |" in section for name in names)
        assert f"`{function.example.formula}` |" in section


def test_the_command_lists_every_function_and_prints_the_page(run_app: App) -> None:
    names = [line.split("(")[0] for line in run_app("graph", "functions").out.splitlines()[1:]]
    assert names == list(FUNCTIONS)
    assert run_app("graph", "functions", "--markdown").out == functions_page()
