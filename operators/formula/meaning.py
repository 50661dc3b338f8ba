"""The meaning of a column: a hash that is equal where the same is computed from the same.

In it: the tree of the formula with its types, constants by their bits, the meanings of the columns it reads,
the version of the kernels.  Not in it: names of nodes and features, comments, white space, parentheses.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import pyarrow as pa

from operators.formula.history import STATEFUL
from operators.formula.steps import Step

# Raised when a function gives other bits than before.
KERNELS_VERSION: Final = 1


def digest(*lines: object) -> str:
    """16 hex digits of some lines of text."""
    return hashlib.sha256("\n".join(str(line) for line in lines).encode()).hexdigest()[:16]


def column_meaning(rows: str, column: pa.Field) -> str:
    """The meaning of a column as a root gives it; `rows` is the root's meaning."""
    return digest("column", rows, column.name, column.type)


def step_meanings(
    steps: Sequence[Step], columns: Mapping[str, str], sessions: str, *, regular_hours: bool = False
) -> list[str]:
    """The meaning of each step; `columns` has those of the columns that are read.

    `sessions` is that of the sessions: what begins anew with them means something else by others, and so does
    all that looks back where it sees their rows alone.
    """
    meanings: list[str] = []
    for step in steps:
        read: object = columns[step.column] if step.function == "column" else step.bits
        if step.texts is not None:
            operator, column, other, constant = step.texts
            read = digest(operator, columns[column], repr(other) if constant else columns[other])
        operands = [meanings[place] for place in step.operands]
        if begins_anew(steps, step):
            operands.append(sessions)
        if regular_hours and step.function in STATEFUL:
            operands.append(f"regular hours {sessions}")
        meanings.append(digest("row", KERNELS_VERSION, step.function, step.kind, read, *operands))
    return meanings


def begins_anew(steps: Sequence[Step], step: Step) -> bool:
    """Whether a step begins anew with a session."""
    what = STATEFUL.get(step.function)
    if what is None or what.reset is None:
        return False
    return steps[step.operands[what.values :][what.reset]].bits != 0


def node_meaning(kind: str, rows: str, columns: Iterable[tuple[str, str]]) -> str:
    """The meaning of a node: which rows it has, and the columns that it adds, with their meanings."""
    return digest(kind, rows, *(f"{name} {meaning}" for name, meaning in columns))
