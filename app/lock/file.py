"""`graph.lock`: a TOML file beside the settings, a table for each feature, sorted, one line a value."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import tomli_w

from app.config import Settings
from app.errors import UsageError
from app.lock.meanings import FeatureMeaning

NAME: Final = "graph.lock"
HEADER: Final = """\
# What each feature of the graph means, by name and version, as `python -m app graph lock` wrote it.  It
# belongs into version control: what means something else under the same name and version is refused.
"""
_IDENTITY: Final = re.compile(r"(\w+)\.(\w+)@([1-9][0-9]{0,8})")
_KEYS: Final = {"formula", "join", "meaning"}
DROPPED: Final = "dropped"


class Locked(NamedTuple):
    """What a feature means by the lock: hash, formula, and how the rows it is computed from are joined.

    One that is `dropped` is in no graph any more, and shall come into none.
    """

    meaning: str
    formula: str
    join: str
    dropped: bool = False


def lock_path(settings: Settings) -> Path | None:
    """Where the lock of these settings is or would be; None where they are of no file."""
    return None if settings.file is None else settings.file.parent / NAME


def read_lock(path: Path) -> dict[str, Locked]:
    """What is locked, by `node.column@version`; raises UsageError for a file that is no lock."""
    try:
        tables = tomllib.loads(path.read_text())
        return {identity: _entry(identity, table) for identity, table in tables.items()}
    except (OSError, UnicodeDecodeError, ValueError) as broken:
        raise UsageError(
            f"{path}: not a lock of a graph: {broken}; take it from version control, or remove it and let "
            "`python -m app graph lock` write it anew"
        ) from None


def write_lock(path: Path, locked: Mapping[str, Locked]) -> None:
    """Write the lock, all or nothing; raises UsageError where the disk refuses."""
    ordered = sorted(locked.items(), key=lambda entry: _order(entry[0]))
    tables = {
        identity: {"formula": one.formula, "join": one.join, "meaning": one.meaning}
        | ({DROPPED: True} if one.dropped else {})
        for identity, one in ordered
    }
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        unfinished.write_text(f"{HEADER}\n{tomli_w.dumps(tables)}")
        unfinished.replace(path)
    except OSError as refused:
        raise UsageError(f"{path}: cannot be written: {refused.strerror}") from None


def entries_of(features: Iterable[FeatureMeaning]) -> dict[str, Locked]:
    """The entries that these features make."""
    return {one.identity: Locked(one.meaning, one.formula, one.join) for one in features}


def _entry(identity: str, table: object) -> Locked:
    if not _IDENTITY.fullmatch(identity):
        raise ValueError(f"{identity} is not node.column@version")
    if not isinstance(table, dict) or not _is_entry(table):
        raise ValueError(f"{identity} needs the texts formula, join and meaning, and nothing else")
    return Locked(table["meaning"], table["formula"], table["join"], DROPPED in table)


def _is_entry(table: dict[str, object]) -> bool:
    texts = {key: value for key, value in table.items() if key != DROPPED}
    return (
        set(texts) == _KEYS
        and all(isinstance(value, str) for value in texts.values())
        and table.get(DROPPED, True) is True
    )


def _order(identity: str) -> tuple[str, str, int]:
    match = _IDENTITY.fullmatch(identity)
    assert match, f"{identity} is no identity"
    return match[1], match[2], int(match[3])
