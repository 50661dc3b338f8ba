"""Variants of settings: what each changes, read from flags or from a file, and the settings it comes to."""

import copy
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import tomli_w

from app.config import Settings, load_settings
from app.errors import UsageError
from app.settings.durations import without_unit
from app.wiring.resolved import resolved_tables
from operators.formula.suggest import suggest

NAME: Final = re.compile(r"[a-z0-9][A-Za-z0-9_.-]{0,60}")
VARIANTS_MAX: Final = 1_000
FEATURES: Final = ("graph", "features")  # around the name of a node
# Tables whose keys are settings of their own; a table anywhere else is a value, replaced as a whole.
SECTIONS: Final = (
    ("pipeline",),
    ("bus",),
    ("worker",),
    ("streams",),
    ("streams", "*"),
    ("graph",),
    ("graph", "*"),
    ("graph", "*", "features"),
    ("graph", "*", "out"),
)


class Variant(NamedTuple):
    """A name, and what is another than in the settings: values by key, such as `graph.tick.features.x`."""

    name: str
    changes: Mapping[str, Any]


def variants_of(sets: Sequence[str], file: Path | None) -> list[Variant]:
    """The variants of `--set` and of a file, whose tables are variants; flags count in all of them.

    Raises UsageError where anything is not as it should be.
    """
    flags = dict(map(_read_set, sets))
    if file is None:
        return [Variant("set", flags)]
    try:
        tables = tomllib.loads(file.read_text())
    except OSError as missing:
        raise UsageError(f"{file}: cannot be read: {missing.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as broken:
        raise UsageError(f"{file}: not valid TOML: {broken}") from None
    if not tables:
        raise UsageError(f"{file}: there is no variant, no table [NAME] with the settings it changes")
    if len(tables) > VARIANTS_MAX:
        raise UsageError(f"{file}: {len(tables):,} variants, at most {VARIANTS_MAX:,} are run at once")
    variants = []
    for name, table in tables.items():
        if not NAME.fullmatch(name):
            raise UsageError(f"{file}: {name!r} names a folder, and so has letters, digits, _, - and . alone")
        if not isinstance(table, dict):
            raise UsageError(f"{file}: {name} is no variant, which is a table: [{name}]")
        variants.append(Variant(name, {**_flat(table, ()), **flags}))
    return variants


def settings_of(base: Settings, variant: Variant, file: Path) -> Settings:
    """The settings of a variant, written whole to `file`; raises UsageError where they are not valid."""
    tables = resolved_tables(base)
    if "grace_ns" not in base.pipeline.model_fields_set:
        del tables["pipeline"]["grace_ns"]  # the day says it
    for key, value in variant.changes.items():
        _change(tables, key, value, variant.name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(tomli_w.dumps(tables))
    return load_settings(file)


def _read_set(text: str) -> tuple[str, Any]:
    """A flag `KEY=VALUE`; the value as TOML has it, and what is none is text."""
    key, equals, value = text.partition("=")
    key, value = key.strip(), value.strip()
    if not equals or not key:
        raise UsageError(f'--set {text!r}: write it as KEY=VALUE, such as graph.tick.features.x="price * 2"')
    if _is_feature(key.split(".")):
        return key, value.removeprefix('"').removesuffix('"')
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return key, value


def _flat(table: Mapping[str, Any], before: tuple[str, ...]) -> dict[str, Any]:
    """The values of a table and of those in it by their whole keys."""
    variants: dict[str, Any] = {}
    for name, value in table.items():
        path = (*before, *name.split("."))
        if isinstance(value, dict) and _is_section(path):
            variants |= _flat(value, path)
        else:
            variants[".".join(path)] = value
    return variants


def _is_section(path: Sequence[str]) -> bool:
    return any(
        len(path) == len(one) and all(want in ("*", part) for want, part in zip(one, path, strict=True))
        for one in SECTIONS
    )


def _is_feature(path: Sequence[str]) -> bool:
    return len(path) == 4 and (path[0], path[2]) == FEATURES


def _change(tables: dict[str, Any], key: str, value: object, variant: str) -> None:
    """Set a value; raises UsageError for a feature, a node or a table that is not there."""
    path = key.split(".")
    table = tables
    for depth, part in enumerate(path[:-1]):
        if part not in table and path[:depth] == ["streams"]:
            table[part] = {}
        if part not in table or not isinstance(table[part], dict):
            near = suggest(part, [name for name, one in table.items() if isinstance(one, dict)])
            raise UsageError(f"variant {variant}, {key}: the settings have no {part} there{near}")
        table = table[part]
    name = path[-1]
    if _is_feature(path) and name not in table:
        raise UsageError(
            f"variant {variant}, {key}: {path[1]} has no feature {name}"
            f"{suggest(name, table, listed='it has')}; a variant changes what is there"
        )
    if not _is_feature(path):  # a duration may be written in either way
        for other in [one for one in table if one != name and without_unit(one) == without_unit(name)]:
            del table[other]
    table[name] = copy.deepcopy(value)
