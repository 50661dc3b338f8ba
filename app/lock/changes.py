"""Features that mean something else than their lock says: found, told, locked anew or adopted."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from app.config import Settings
from app.errors import UsageError
from app.lock.file import NAME, Locked, entries_of, lock_path, read_lock, write_lock
from app.lock.meanings import FeatureMeaning, feature_meanings
from operators.formula.suggest import suggest
from operators.join.settings import AsofSettings


class Written(NamedTuple):
    """What has become of a lock: features that are new in it, that changed in it, and all of this graph."""

    path: Path
    added: tuple[str, ...]
    adopted: tuple[str, ...]
    features: int


def require_meanings(settings: Settings, asof: AsofSettings) -> None:
    """Raise UsageError, naming them all, where features mean something else than the lock says.

    Without a lock, and for a feature that is not in it, there is nothing to refuse; nothing is written.
    """
    path = lock_path(settings)
    if path is not None and settings.graph.nodes and path.exists():
        refuse_changes(path, read_lock(path), feature_meanings(settings, asof), settings)


def write_meanings(settings: Settings, asof: AsofSettings) -> Written:
    """Put the features that the lock lacks into it; raises UsageError where one that it has has changed.

    What the graph has no longer stays in it: a name and version that meant something is never free again.
    """
    path, features = _lockable(settings, asof)
    locked = read_lock(path) if path.exists() else {}
    refuse_changes(path, locked, features, settings)
    ours = entries_of(features)
    write_lock(path, {**locked, **ours})
    return Written(path, tuple(name for name in ours if name not in locked), (), len(ours))


def adopt_meanings(settings: Settings, asof: AsofSettings, names: Sequence[str]) -> Written:
    """Let the lock say what these features mean now: `node.column`, or `node` for all of a node.

    Raises UsageError where there is no lock, or no such feature.
    """
    path, features = _lockable(settings, asof)
    if not path.exists():
        raise UsageError(f"{path}: there is no lock yet; `python -m app graph lock` writes it")
    locked = read_lock(path)
    chosen = []
    for name in names:
        named = [one for one in features if name in (one.node, one.name, one.identity)]
        if not named:
            near = suggest(name, [one.name for one in features], listed="there are")
            raise UsageError(f"the graph has no feature {name}{near}")
        chosen += named
    ours = entries_of(chosen)
    write_lock(path, {**locked, **ours})
    added = tuple(name for name in ours if name not in locked)
    adopted = tuple(name for name in ours if name in locked and locked[name].meaning != ours[name].meaning)
    return Written(path, added, adopted, len(features))


def refuse_changes(
    path: Path, locked: Mapping[str, Locked], features: Sequence[FeatureMeaning], settings: Settings
) -> None:
    """Raise UsageError with a line for each feature whose meaning is not the one that is locked."""
    changed = [
        one for one in features if one.identity in locked and locked[one.identity].meaning != one.meaning
    ]
    if not changed:
        return
    names = {f"{one.node}.{one.column}" for one in changed}
    every = [one.name for one in features]
    lines, ways = [], []
    for one in changed:
        why = _why(one, locked[one.identity], names)
        versions = [int(key.split("@")[1]) for key in locked if key.split("@")[0] == one.name]
        ways.append(one.name if every.count(one.name) == 1 else one.identity)
        lines.append(f'{one.identity} {why}: write "... @{max(versions) + 1}", or adopt {ways[-1]}')
    count = f"{len(changed)} feature{'s' * (len(changed) > 1)}"
    raise UsageError(
        f"{path}: {count} would mean something else under the same name and version\n"
        + "".join(f"  {line}\n" for line in lines)
        + "a new version keeps old and new rows apart; to change what the old one means: python -m app graph "
        f"adopt {' '.join(ways)} -c {settings.file}"
    )


def _why(one: FeatureMeaning, old: Locked, changed: set[str]) -> str:
    """What is another: the formula, the join, what the formula reads, or what functions give."""
    if one.formula != old.formula:
        return f"meant {old.formula}, now {one.formula}"
    if one.join != old.join:
        return f"is computed from rows joined {old.join}, now {one.join}"
    if read := [name for name in one.reads if name in changed]:
        return f"is {one.formula} still, but reads {', '.join(read)}"
    if one.of_function:
        return f"is {one.formula} still, but its source, its packages or the columns it gets are others"
    return f"is {one.formula} still, but reads a column of another type, or functions give other bits"


def _lockable(settings: Settings, asof: AsofSettings) -> tuple[Path, list[FeatureMeaning]]:
    path, features = lock_path(settings), feature_meanings(settings, asof)
    if path is None:
        raise UsageError(f"{NAME} lies beside a file of settings: say -c my.toml")
    if not features:
        raise UsageError(f"{settings.file}: there is no graph to lock, no table [graph.NAME]")
    return path, features
