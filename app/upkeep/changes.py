"""Two settings of a pipeline compared, key by key, and how far each change reaches."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from app.config import Settings
from app.upkeep.reach import MEANS, Reach, kind_of
from app.wiring.resolved import graph_tables

NONE: Final = "none"
_ORDER: Final[tuple[Reach, ...]] = ("generation", "period", "live")


class Change(NamedTuple):
    """A setting with two values, as text; `none` where one of the two has none."""

    key: str
    old: str
    new: str
    reach: Reach
    does: str


def changes(old: Settings, new: Settings) -> list[Change]:
    """Every setting that differs, the farthest reach first; defaults count as if they were written.

    No secret is in either.
    """
    before, after = _flat(_tables(old)), _flat(_tables(new))
    differences = [
        _change(key, before.get(key, NONE), after.get(key, NONE))
        for key in sorted(before.keys() | after.keys())
        if before.get(key, NONE) != after.get(key, NONE)
    ]
    beside = [_input_change(name, old, new) for name in _inputs_beside(old, new)]
    return sorted([*beside, *differences], key=lambda one: _ORDER.index(one.reach))


def farthest(differences: list[Change]) -> Reach | None:
    """The farthest reach of these changes, None of none."""
    return differences[0].reach if differences else None


def change_lines(differences: list[Change]) -> Iterator[str]:
    """The changes for people: under each reach what it means, then a line a key."""
    for reach in _ORDER:
        of_reach = [one for one in differences if one.reach == reach]
        if of_reach:
            yield f"{reach}: {MEANS[reach]}"
        for one in of_reach:
            yield f"  {one.key}: {one.old} -> {one.new}"
            yield f"    {one.does}"


def _change(key: str, old: str, new: str) -> Change:
    kind = kind_of(key)
    assert kind is not None, f"{key} is in no kind of app/upkeep/reach.py"
    return Change(key, old, new, kind.reach, kind.does)


def _input_change(name: str, old: Settings, new: Settings) -> Change:
    kind = kind_of("pipeline.right")
    assert kind is not None
    there = [NONE if name not in one.stream_names else "read by nodes" for one in (old, new)]
    return Change(f"streams.{name}", there[0], there[1], kind.reach, kind.does)


def _inputs_beside(old: Settings, new: Settings) -> list[str]:
    """Inputs that one of the two has for its nodes alone, and the other has not."""
    joined = {one.pipeline.left for one in (old, new)} | {*old.pipeline.right, *new.pipeline.right}
    return sorted((set(old.stream_names) ^ set(new.stream_names)) - joined)


def _tables(settings: Settings) -> dict[str, Any]:
    """The settings as tables, those of streams that the file leaves out as well."""
    tables = settings.model_dump(by_alias=True, exclude={"graph", "calendars", "streams"})
    tables["streams"] = {
        name: settings.stream(name).model_dump(by_alias=True) for name in settings.stream_names
    }
    return tables | graph_tables(settings)


def _flat(value: object, key: str = "") -> dict[str, str]:
    """By full name the value of each setting, as text; what is not set is left out."""
    if isinstance(value, Mapping):
        return {
            name: text
            for part, inner in value.items()
            for name, text in _flat(inner, f"{key}.{part}" if key else str(part)).items()
        }
    if value is None:
        return {}
    return {key: _words(value)}


def _words(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_words, value))}]"
    return str(value)
