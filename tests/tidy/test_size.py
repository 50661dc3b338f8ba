"""A file can be held in the head, a function seen at once."""

from tests.tidy.tree import ROOT, assert_none_but_exempt, functions, python_files

FILE_LINES = 400
FUNCTION_LINES = 60


def test_files_are_shorter_than_400_lines() -> None:
    lengths = {name: len((ROOT / name).read_text().splitlines()) for name in python_files()}
    long = {name for name, lines in lengths.items() if lines >= FILE_LINES}
    assert_none_but_exempt("long files", long)


def test_functions_are_shorter_than_60_lines() -> None:
    long = {
        f"{name}:{function.name}"
        for name in python_files()
        for function in functions(name)
        if (function.end_lineno or 0) - function.lineno + 1 >= FUNCTION_LINES
    }
    assert_none_but_exempt("long functions", long)
