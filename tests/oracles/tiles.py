"""What a node with a function gives, row by row from the definition of tiles and context."""

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """A row of a symbol, None for a row without one; `number` is its place among all."""

    time_ns: int
    symbol: str | None
    value: float | None
    number: int = 0


class Way(NamedTuple):
    """How rows are cut, what comes before each tile, and after how many failures the function is off."""

    tile_ns: int
    rows: int
    ns: int
    failures_max: int = 3


Function = Callable[[Sequence[Row]], list[float | None]]
Valued = tuple[float | None, str]  # value and reason


def tiles_slowly(rows: Sequence[Row], way: Way, complete_ns: int, function: Function) -> list[Valued]:
    """The value of each row that comes out, in order, and why it is null."""
    ended_ns = max([complete_ns, *(row.time_ns for row in rows[-1:])])
    out: list[Valued] = []
    failures = 0
    for tile in sorted({row.time_ns // way.tile_ns for row in rows}):
        begin_ns, end_ns = tile * way.tile_ns, (tile + 1) * way.tile_ns
        if end_ns > ended_ns:
            break
        own = [row for row in rows if begin_ns <= row.time_ns < end_ns]
        if failures >= way.failures_max:
            out += [(None, "off")] * len(own)
            continue
        taken = context_of(rows, own, begin_ns, way) + [row for row in own if row.symbol is not None]
        try:
            values = dict(zip((row.number for row in taken), function(taken) if taken else [], strict=True))
        except ArithmeticError:
            failures += not way.ns or begin_ns - way.ns >= rows[0].time_ns
            out += [(None, "failed")] * len(own)
            continue
        if any(row.symbol is not None for row in own):
            failures = 0
        out += [_valued(row, taken, values, way) for row in own]
    return out


def context_of(rows: Sequence[Row], own: Sequence[Row], begin_ns: int, way: Way) -> list[Row]:
    """The rows before a tile that come with it, in their order."""
    context = []
    for symbol in {row.symbol for row in own} - {None}:
        before = [row for row in rows if row.symbol == symbol and row.time_ns < begin_ns]
        last = before[max(len(before) - way.rows, 0) :]
        context += [row for row in before if row in last or begin_ns - row.time_ns < way.ns]
    return sorted(context, key=lambda row: row.number)


def _valued(row: Row, taken: Sequence[Row], values: dict[int, float | None], way: Way) -> Valued:
    if row.symbol is None:
        return None, "null_in"
    value = values[row.number]
    if value is None:
        before = sum(one.symbol == row.symbol and one.number < row.number for one in taken)
        return None, "warming" if before < way.rows else "null_in"
    return (None, "domain") if value != value else (value, "ok")
