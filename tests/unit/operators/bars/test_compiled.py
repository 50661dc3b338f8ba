"""How the kernels of bars are compiled."""

import ast
from pathlib import Path
from typing import Final

import operators.bars

FOLDER: Final = Path(operators.bars.__file__).parent
MADE: Final = {"array", "empty", "zeros", "ones", "full", "copy", "arange", "concatenate", "append", "where"}


def test_no_kernel_of_bars_allocates() -> None:
    kernels = [*FOLDER.glob("*_kernel.py")]
    assert len(kernels) > 5
    for file in kernels:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef) and node.decorator_list:
                calls = [call.func for call in ast.walk(node) if isinstance(call, ast.Call)]
                named = {call.attr for call in calls if isinstance(call, ast.Attribute)}
                assert not named & MADE, f"{file.name}: {node.name}"
                within = [part for statement in node.body for part in ast.walk(statement)]
                slices = [part for part in within if isinstance(part, ast.Slice)]
                assert not slices, f"{file.name}: {node.name} makes a view"
