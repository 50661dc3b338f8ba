"""What is wrong with a setting or a flag, in words: what was given and what was expected, with its unit."""

import re
import types
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from app.settings.durations import duration_keys, without_unit
from operators.formula.suggest import did_you_mean
from schemas.clocks import NS_PER_MS
from schemas.durations import DurationError, duration_ns, duration_text
from topics.kafka.settings import is_secret

# By a part of the key: what a number of it counts.
UNITS: Final = {
    "ns": "nanoseconds",
    "ms": "milliseconds",
    "size": "bytes",
    "rows": "rows",
    "messages": "messages",
}
EXAMPLES: Final = {"ns": "5_000_000_000", "ms": "5_000", "size": "67_108_864"}
MOMENT: Final = "a moment with its zone, such as 2024-01-02T14:30:00Z"
KINDS: Final = {
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text in quotes",
    "tuple_type": 'a list, such as ["name"]',
    "list_type": 'a list, such as ["name"]',
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "datetime_type": MOMENT,
    "datetime_parsing": MOMENT,
    "datetime_from_date_parsing": MOMENT,
    "timezone_aware": MOMENT,
}
NUMBERS: Final = ("int_type", "int_parsing", "int_parsing_size", "int_from_float")


def expected(error: ErrorDetails, key: str, as_duration: Callable[[str], str] | None = None) -> str:
    """What should stand there, with unit and example, where pydantic's words would name none.

    `as_duration` writes a duration with its unit, as an alternative to a key in one unit.
    """
    kind, context = error["type"], error.get("ctx", {})
    unit = next((part for part in key.replace("-", "_").split("_") if part in UNITS), "")
    such_as = f", such as {EXAMPLES[unit]}" if unit in EXAMPLES else ""
    or_text = _or_duration(error["input"], unit, as_duration)
    if kind in NUMBERS:
        return f"expected {f'whole {UNITS[unit]}' if unit else 'a whole number'}{such_as}{or_text}"
    if kind in ("greater_than_equal", "less_than_equal"):
        range_ = f"{context['ge']} or more" if "ge" in context else f"at most {context['le']}"
        return f"expected {range_}{f' {UNITS[unit]}' if unit else ''}{such_as}{or_text}"
    if kind in KINDS:
        return f"expected {KINDS[kind]}"
    if kind == "literal_error":
        allowed = [word.strip(" '") for word in context["expected"].replace(" or ", ",").split(",")]
        return f"expected {_either(allowed)}{did_you_mean(str(error['input']), allowed)}"
    message = error["msg"].removeprefix("Value error, ")
    if " is not one of " in message:  # a choice of the command line
        allowed = re.findall("'([^']*)'", message.partition(" is not one of ")[2])
        return f"expected {_either(allowed)}{did_you_mean(str(error['input']), allowed)}"
    return f"{message[:1].lower()}{message[1:]}"


def told(error: ErrorDetails, settings: type[BaseModel]) -> str:
    """One line for an error of the settings: where, what was given unless it may be a secret, what to do."""
    location = _as_written(error["loc"])
    where = ".".join(location) or "settings"
    if of_sessions(error["loc"]):
        where = re.sub(r"\.([0-9]+)(?=\.|$)", r"[\1]", where)
    if error["type"] == "extra_forbidden":
        return f"unknown key {where}{known_keys(location, error['loc'], settings)}"
    if error["type"] in ("missing", "too_long", "tuple_type") and where.endswith("]"):
        return f"{where}: expected from and to, as [2024-01-02T14:30:00Z, 2024-01-02T21:00:00Z]"
    if error["type"] == "missing":
        return f"{where} is missing: it has no default"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error" and of_sessions(error["loc"]) and isinstance(error["input"], str):
        return f"{where} = {error['input']!r}: {message}"
    if error["type"] == "value_error":
        return f"{where}: {message}" if location[:1] == ["streams"] or of_sessions(error["loc"]) else message
    key = location[-1] if location else ""
    wanted = expected(error, key, lambda text: f'{without_unit(key)} = "{text}"')
    given = error["input"]
    if not isinstance(given, str | int | float) or any(
        is_secret(part.replace("_", ".")) for part in location
    ):
        return f"{where}: {wanted}"  # it is a secret, or may hold one
    return f"{where} = {given!r}: {wanted}"


def of_sessions(location: tuple[int | str, ...]) -> bool:
    """Whether a value says what the sessions of a venue are: such mistakes are told with their lines."""
    return location[:1] == ("calendars",) or location[:2] == ("graph", "anchor")


def known_keys(location: list[str], path: tuple[int | str, ...], settings: type[BaseModel]) -> str:
    """The nearest key to the unknown one at `location`, and those its table has."""
    if len(location) == 1:
        names = list(settings.model_fields)
        return f"{did_you_mean(location[0], names)}; the tables are {', '.join(names)}"
    if location[0] == "graph" and len(location) == 2:
        near = did_you_mean(location[1], ["name", "anchor"])
        return f"{near}; [graph] has name, anchor, and a table for each node"
    table = _table_at(settings, path[:-1])
    if table is None:
        return ""
    fields = sorted(table.model_fields.items(), key=lambda field: _says(table, field[0]))
    names = [field.alias or name for name, field in fields]
    near = did_you_mean(location[-1], [*names, *duration_keys(table)])
    return f"{near}{_elsewhere(location, settings)}; {_label(location)} has {', '.join(names)}"


def _says(table: type[BaseModel], key: str) -> int:
    """How far above a table the one is that says this key: its own keys come first where all are listed."""
    above = [key in vars(kind).get("__annotations__", {}) for kind in table.__mro__]
    return above.index(True)


def _elsewhere(location: list[str], settings: type[BaseModel]) -> str:
    """Which table has the very key that another one was given."""
    for name in ("pipeline", "bus", "worker"):
        table = settings.model_fields[name].annotation
        assert isinstance(table, type) and issubclass(table, BaseModel)  # noqa: PT018 - one thought
        if location[0] != name and location[-1] in (*table.model_fields, *duration_keys(table)):
            return f"; it belongs to [{name}]"
    return ""


def _label(location: list[str]) -> str:
    """The name of the table that a key stands in, as it is written in the file."""
    match location:
        case ["graph", "anchor", _]:
            return "anchor"
        case ["calendars", _, _]:
            return "[calendars.NAME]"
        case ["graph", _, _]:
            return "[graph.NAME]"
        case ["graph", _, "out", _]:
            return "[graph.NAME.out]"
        case ["graph", _, table, _]:
            return table
        case ["streams", _, _]:
            return "[streams.NAME]"
        case ["streams", _, "fields", column, _]:
            return f"fields.{column}"
        case ["streams", _, *_, table, _]:
            return table
    return f"[{location[0]}]"


def _table_at(table: Any, path: tuple[int | str, ...]) -> type[BaseModel] | None:
    """The table of settings at a path of keys: through tables, and through mappings of names to them."""
    for kind in _kinds(table):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            if not path:
                return kind
            if path[0] in kind.model_fields:
                return _table_at(kind.model_fields[str(path[0])].annotation, path[1:])
        elif get_origin(kind) is dict and path:
            return _table_at(get_args(kind)[1], path[1:])
    return None


def _kinds(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _kinds(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for one in get_args(annotation):
            yield from _kinds(one)
    else:
        yield annotation


def _as_written(location: tuple[int | str, ...]) -> list[str]:
    """Where a value stands in the file: the nodes of a graph are tables of `[graph]` itself."""
    parts = [str(part) for part in location]
    return ["graph", *parts[2:]] if parts[:2] == ["graph", "nodes"] else parts


def _or_duration(given: object, unit: str, as_duration: Callable[[str], str] | None) -> str:
    """The way to write it with a unit: the text that was given where it is a duration, else an example."""
    if as_duration is None or unit not in ("ns", "ms"):
        return ""
    try:
        ns = duration_ns(given if isinstance(given, str) else None)
        text = duration_text(ns) if unit == "ns" or ns % NS_PER_MS == 0 else "5s"
    except DurationError:
        text = "5s"
    return f", or {as_duration(text)}"


def _either(allowed: list[str]) -> str:
    quoted = [f'"{word}"' for word in allowed]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
