"""Durations in the settings: `tolerance = "2s"` is `tolerance_ns = 2_000_000_000`."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from schemas.clocks import NS_PER_MS
from schemas.durations import DurationError, duration_ns

UNIT_NS: Final = {"ns": 1, "ms": NS_PER_MS}


class MisstatedDurationError(ValueError):
    """A duration of the settings will not do; `location` is where it stands, as in an error of pydantic."""

    def __init__(self, location: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.location = location


def duration_keys(table: type[BaseModel]) -> dict[str, str]:
    """The keys of a table that take a duration with its unit, each with the key in one unit beside it."""
    return {key: whole for whole in table.model_fields if (key := without_unit(whole)) != whole}


def without_unit(whole: str) -> str:
    """The key for durations with a unit beside a key in one unit: `idle_after` for `idle_after_ms`."""
    return "_".join(part for part in whole.split("_") if part not in UNIT_NS)


def in_whole_units(
    table: type[BaseModel], given: Mapping[str, Any], location: tuple[str, ...]
) -> dict[str, Any]:
    """The values of one table with each duration under the key in one unit, as a whole number.

    Raises MisstatedDurationError for a duration that is none, or given under both keys.
    """
    wholes = duration_keys(table)
    if twice := [key for key in wholes if key in given and wholes[key] in given]:
        where = ".".join(location)
        raise MisstatedDurationError(
            (*location, twice[0]),
            f"{where}.{twice[0]} and {where}.{wholes[twice[0]]} are both given: they are one setting, leave "
            "one of them out",
        )
    return {
        wholes.get(key, key): _whole(wholes[key], value, (*location, key)) if key in wholes else value
        for key, value in given.items()
    }


def _whole(key: str, given: object, location: tuple[str, ...]) -> int:
    unit = next(part for part in key.split("_") if part in UNIT_NS)
    shown = f"{'.'.join(location)} = {given!r}"
    if unit != "ns" and str(given).strip().replace("_", "").isdecimal():
        # A bare number is nanoseconds everywhere; beside a key in milliseconds it was hardly meant so.
        raise MisstatedDurationError(
            location, f'{shown}: expected a unit, such as "5s" or "500ms"; {key} takes the bare number'
        )
    try:
        ns = duration_ns(given)
    except DurationError as wrong:
        raise MisstatedDurationError(location, f"{shown}: {wrong}") from None
    if ns % UNIT_NS[unit]:
        raise MisstatedDurationError(location, f"{shown}: expected whole milliseconds")
    return ns // UNIT_NS[unit]
