"""The arguments of a call: which is which value, and what the settings are; nothing is evaluated."""

import ast
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from operators.formula.durations import OF_WINDOWS, duration_ns
from operators.formula.functions.declare import Function, Operand, Setting
from operators.formula.suggest import suggest
from operators.formula.tree import Value

Complain: TypeAlias = Callable[[str, ast.expr | ast.keyword], None]  # why, and about which part

NO_CONSTANT: Final = object()


class Arguments(NamedTuple):
    """Values in the order of the function's operands, None for one that is left out, and all settings."""

    operands: list[ast.expr | None]
    settings: dict[str, Value]


def arrange(function: Function, call: ast.Call, complain: Complain) -> Arguments:
    """Sort the arguments of a call; what is wrong with them goes to `complain`."""
    places: list[Operand | Setting] = [*function.operands]
    places += [setting for setting in function.settings if setting.positional]
    values = list(call.args)
    named: dict[str, ast.expr] = {}
    by_name = {place.name: place for place in [*places, *function.settings]}
    if not function.repeats:
        named = {place.name: value for place, value in zip(places, values, strict=False)}
    known = True
    for keyword in call.keywords:
        place = by_name.get(keyword.arg or "")
        if place is None or (isinstance(place, Operand) and not place.optional):
            complain(_strange(function, keyword.arg), keyword)
            known = False
        elif place.name in named:
            complain(f"{place.name} is passed twice", keyword)
        else:
            named[place.name] = keyword.value
    if known:  # else what is missing may be what could not be passed
        _check_count(function, places, call, named, complain)
    settings = _settings(function, call, named, complain)
    if function.repeats:
        return Arguments(list(values), settings)
    spare = values[len(places) :]  # looked at for errors of their own
    return Arguments([*(named.get(operand.name) for operand in function.operands), *spare], settings)


def _strange(function: Function, name: str | None) -> str:
    """Why there is no setting of that name."""
    if name in OF_WINDOWS and function.memory == "row":
        return f"{function.name} computes from one row, and has no {name}"
    names = [operand.name for operand in function.operands]
    if name in names:
        return f"{name} is passed by its place: {function.name}({', '.join(names)})"
    passable = [operand.name for operand in function.operands if operand.optional]
    passable += [setting.name for setting in function.settings]
    near = suggest(name or "", passable, listed="it has")
    return f"{function.name} has no setting {name or '**'}{near}"


def _check_count(
    function: Function,
    places: list[Operand | Setting],
    call: ast.Call,
    named: dict[str, ast.expr],
    complain: Complain,
) -> None:
    """Complain where a value is missing, and where there are too many."""
    count = len(call.args)
    compulsory = [place for place in places if not place.optional]
    if function.repeats:
        wrong = count < len(compulsory)
        least, most = f"at least {len(compulsory)}", len(compulsory)
    else:
        wrong = count > len(places) or any(place.name not in named for place in compulsory)
        least, most = f"{len(compulsory)} to {len(places)}", len(places)
        if len(compulsory) == len(places):
            least = str(most)
    if wrong:
        names = "" if function.repeats or most == 1 else f" ({', '.join(place.name for place in places)})"
        word = "value" if least == "1" else "values"
        passed = count + sum(place.name in named for place in places[count:])
        complain(f"{function.name} takes {least} {word}{names}, not {passed}", call)


def _settings(
    function: Function, call: ast.Call, named: dict[str, ast.expr], complain: Complain
) -> dict[str, Value]:
    """The value of each setting that has one."""
    settings: dict[str, Value] = {}
    for setting in function.settings:
        node = named.get(setting.name)
        if node is None:
            if setting.default is not None:
                settings[setting.name] = setting.default
            continue
        value = _constant(node)
        if value is NO_CONSTANT:
            complain(f"{setting.name} is a constant, and not computed from rows", node)
            continue
        if setting.kind == "duration" and node in call.args and not isinstance(value, str):
            complain(f"{function.name} takes a length of time as '5m', not {value!r}", node)
            continue
        if setting.kind == "window" and not isinstance(value, str):
            complain(f"{function.name} takes a window as '5m' or rows=5, not {value!r}", node)
            continue
        try:
            settings[setting.name] = setting.read(value)
        except ValueError as error:
            length = isinstance(value, str) and duration_ns(value) is not None
            window = length and function.memory == "row" and setting.kind != "duration"
            why = f"; {function.name} computes from one row, and has no window" if window else ""
            complain(f"{error}{why}", node)
    return settings


def _constant(node: ast.expr) -> object:
    """The value of a constant, which may have a minus, or of several in brackets; else `NO_CONSTANT`."""
    match node:
        case ast.Constant():
            return node.value
        case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as value)) if not isinstance(value, bool):
            return -value
        case ast.Tuple(parts) | ast.List(parts):
            values = tuple(map(_constant, parts))
            return NO_CONSTANT if NO_CONSTANT in values else values
        case _:
            return NO_CONSTANT
