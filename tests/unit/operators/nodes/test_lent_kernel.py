"""What is lent is the array itself: values read and written by index, in the type of the array."""

import ast
from pathlib import Path

import numpy as np
import pytest
from numba import njit

from operators.nodes.lent_kernel import lend
from operators.nodes.row_kernel import Grid


@njit(nogil=True)
def fill(grid: Grid, line: Grid, rows: int) -> float:
    """Number the places of a row of `grid`, add them to `line`, and return the sum of what is read back."""
    grid, line, total = lend(lend(grid)), lend(line), 0.0
    for i in range(rows):
        grid[1, i] = i + 1
        line[np.uint64(i)] += grid[1, i]
        total += grid[1, i] + line[i]
    return total


@njit(nogil=True)
def copied(grid: Grid, target: Grid, row: int, size: int) -> None:
    """Copy a row of what is lent."""
    part = lend(grid)[row]
    for i in range(size):
        target[i] = part[i]


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.uint8])
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_is_lent_is_read_and_written_where_it_lies(dtype: type, order: str) -> None:
    grid: Grid = np.array(np.zeros((3, 5)), dtype, order="C" if order == "C" else "F")
    line: Grid = np.full(5, 10, dtype)
    assert fill(grid, line, 4) == 2 * sum(range(1, 5)) + 40
    assert grid.tolist() == [[0] * 5, [1, 2, 3, 4, 0], [0] * 5]
    assert line.tolist() == [11, 12, 13, 14, 10]


def test_a_row_of_what_is_lent_is_lent() -> None:
    grid, target = np.arange(12).reshape(3, 4), np.zeros(4, np.int64)
    copied(grid, target, 2, 3)
    assert target.tolist() == [8, 9, 10, 0]


def test_no_kernel_lends_an_array_that_it_made() -> None:
    """All that is lent are arguments, views of one, and rows of the program."""
    lent = set()
    for file in (Path(__file__).resolve().parents[4] / "operators").rglob("*_kernel.py"):
        for function in ast.walk(ast.parse(file.read_text())):
            if not isinstance(function, ast.FunctionDef):
                continue
            own = {argument.arg for argument in function.args.args}
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "lend":
                    lent.add(file.name)
                    names = {name.id for name in ast.walk(call.args[0]) if isinstance(name, ast.Name)}
                    assert names <= own | {"k", "np", "at"}, (
                        f"{file.name}: {function.name} lends {ast.unparse(call)}"
                    )
    assert {"run_kernel.py", "stateful_kernel.py"} <= lent
