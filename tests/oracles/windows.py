"""Sequence windows by their definition: look back over the rows read so far, one row at a time."""

import math
from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]
Window = tuple[list[list[float]], list[bool]]


def windows_slowly(rows: Sequence[Row], steps: int, columns: Sequence[str], by: str) -> list[Window]:
    """Per row the values of its symbol's last `steps` rows, itself the last, and which of them are there.

    A null is NaN; where no row is, zeros; a row whose symbol is null stands alone.
    """
    answer = []
    for number, row in enumerate(rows):
        before = [] if row[by] is None else [r for r in rows[:number] if r[by] == row[by]]
        window = [*before, row][-steps:]
        missing = steps - len(window)
        values = [[math.nan if r[name] is None else float(r[name]) for name in columns] for r in window]
        answer.append(([[0.0] * len(columns)] * missing + values, [False] * missing + [True] * len(window)))
    return answer
