"""The functions of formulas for people: a line each, and the page `docs/functions.md`, out of their table."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from app.words import table_lines
from operators.formula.functions.declare import Cells, Function, Memory, Operand, Output, Setting, Takes
from operators.formula.functions.history import ROWS_F1, TIMES_S
from operators.formula.functions.quotes import TRADES
from operators.formula.functions.table import FUNCTIONS
from operators.formula.read import names_in

COMMAND: Final = "python -m app graph functions --markdown"
INTRO: Final = f"""\
# Functions of formulas

<!-- Written by `{COMMAND}` out of operators/formula/functions/. -->

What a formula of a [graph](graph.md) can call. A formula also has `+ - * /`, `< <= > >= == !=`, `and or not`,
brackets, numbers, `True` and `False`.

```console
$ python -m app graph functions
```

- A value is null where an input is null, NaN or infinite, and where the result is undefined or too large:
  `1 / 0`, `log(0)`. A function says where it differs.
- A column of texts is compared with a text, `exchange == 'N'`, or with another one, by their bytes in UTF-8;
  `where(taker == 'buy', 1, -1)` makes a number of it.
- Integers are exact, in 64 bits, and null where they do not fit; all else is float64, so is what `/` gives.
- What a call passes by name is a setting: a constant. It is part of what the feature means, its default too.
- A length of time is a whole number and its unit, `ns us ms s m h d`: `'250ms'`, `'5m'`.
- Prices in float64 are not exact: `2 * 100.01` is not `100.00 + 100.02`, so that a trade at the mid can seem
  to be above it. Prices in whole ticks are exact.
- A window is a length of time or a number of rows: the rows of the symbol whose time is less than so long
  before the row's own, or so many, with the row itself in both cases. Of rows of one time each sees those
  before it. A lag is either, too. With `reset='session'` a row sees those of its session alone.
- *Memory* says which rows a value hangs on. Of class `row` it is the row alone. Of class `window` it is the
  window's rows, so that it comes out the same wherever reading begins before them. Of class `since` it is all
  rows of the symbol since a start: that of the session, or with `'genesis'` the first row there is.
"""
TAKES: Final[Mapping[Takes, str]] = {
    "number": "number",
    "float": "number, as float64",
    "integer": "integer",
    "boolean": "boolean",
    "value": "number or boolean",
}
# When the rows of examples are.
TIMES: Final[tuple[tuple[Mapping[str, Cells], str, Cells], ...]] = (
    (ROWS_F1, "s", TIMES_S),
    (TRADES, "ms", (100, 500, 500, 1200, 2000, 3100, 4000, 6000)),
)
LENGTH: Final = "'5m'"
NEEDS: Final[Mapping[Memory, str]] = {
    "row": "the row",
    "window": "window: the rows of its window",
    "since": "since: all rows of the symbol since a start",
    "held": "held: later rows, too",
}
COMMON: Final = {"common": "that of the values", "wide": "that of the values, int64 for integers"}


def function_lines() -> Iterator[str]:
    """A line for each function: how it is called, which rows it hangs on, what it gives."""
    header = ("function", "id", "memory", "gives")
    rows = [(signature(one), one.id, one.memory, one.definition) for one in FUNCTIONS.values()]
    yield from table_lines(header, rows)


def functions_page() -> str:
    """The page, in Markdown."""
    parts = [INTRO]
    parts.append(_table(("function", "id", "memory"), [_entry(one) for one in FUNCTIONS.values()]))
    parts += [_section(one) for one in FUNCTIONS.values()]
    return "\n".join(parts)


def signature(function: Function) -> str:
    """How a function is called, with the defaults of what may be left out."""
    values = [f"{one.name}=none" if one.optional else one.name for one in function.operands]
    if function.repeats:
        values.append("...")
    names = [one.name for one in function.settings]
    values += [
        _setting(one, names) for one in function.settings if not _is_instead_of_length(one.name, names)
    ]
    return f"{function.name}({', '.join(values)})"


def _is_instead_of_length(name: str, names: Sequence[str]) -> bool:
    """Whether a setting stands with the length of time that it may be said instead of."""
    return (name == "rows" and "ns" in names) or (name == "tau_ns" and "half_life_ns" in names)


def _setting(setting: Setting, names: Sequence[str]) -> str:
    if setting.kind in ("window", "duration") and setting.positional:
        instead = [f" or {name}=" for name in names if _is_instead_of_length(name, names)]
        return LENGTH + "".join(instead)
    if setting.positional:
        return setting.name
    return f"{setting.name}={'none' if setting.default is None else repr(setting.default)}"


def _entry(function: Function) -> tuple[str, str, str]:
    return f"[`{signature(function)}`](#{function.name})", function.id, function.memory


def _section(function: Function) -> str:
    kinds = ", or ".join(_output(one, named=len(function.outputs) > 1) for one in function.outputs)
    lines = [
        f"## {function.name}",
        "",
        f"`{signature(function)}` · {function.id}",
        "",
        f"Gives {function.definition}.",
        "",
        f"Type: {kinds}. Memory: {NEEDS[function.memory]}.",
        "",
    ]
    parameters = [(f"`{one.name}`", _operand(one), "") for one in function.operands]
    parameters += [(f"`{one.name}`", _kind(one), one.about) for one in function.settings]
    return "\n".join([*lines, _table(("parameter", "takes", "what it says"), parameters), _example(function)])


def _operand(operand: Operand) -> str:
    return TAKES[operand.takes] + (", may be left out" if operand.optional else "")


def _kind(setting: Setting) -> str:
    if setting.kind == "boolean":
        return "`True` or `False`"
    if setting.kind == "word":
        return " or ".join(f"`{word!r}`" for word in setting.words)
    if setting.kind == "table":
        return "numbers in brackets, or rows of them: `(1, 0.5)`, `((1, 2), (0, 1))`"
    if setting.kind in ("window", "duration"):
        return "a length of time" + (", behind the values" if setting.positional else "")
    return "a whole number" if setting.kind == "count" else "a constant number"


def _output(output: Output, *, named: bool) -> str:
    kind = COMMON.get(output.kind, output.kind)
    return f"{kind} with `output={output.name!r}`" if named else kind


def _example(function: Function) -> str:
    example = function.example
    names = names_in(example.formula)
    columns = [example.rows[name] for name in names]
    timed = next(((unit, times) for rows, unit, times in TIMES if rows is example.rows), None)
    if function.memory != "row" and timed is not None:
        names, columns = [f"time, {timed[0]}", *names], [timed[1], *columns]
    cells = zip(*columns, example.values, strict=True)
    rows = [tuple("null" if cell is None else f"{cell!r}" for cell in row) for row in cells]
    return _table((*names, f"`{example.formula}`"), rows)


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
