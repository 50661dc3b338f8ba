"""Two graphs compared, feature by feature: what means something else, and what that reaches."""

import difflib
import io
import re
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from app.config import Settings, load_settings
from app.errors import UsageError
from app.graph.columns import input_columns
from app.graph.show import Past
from app.lock.meanings import FeatureMeaning, feature_meanings, identity_plan
from app.words import table_lines
from replay.store.objects import Folder

TOKENS: Final = re.compile(r"'[^']*'|\w+(?:\.\w+)?|\S")
GIT_S: Final = 60


class Compared:
    """A graph of settings: its features, and its nodes by name."""

    def __init__(self, settings: Settings, store: Folder | None) -> None:
        """Raises UsageError where it has errors, or its inputs are not known."""
        asof = input_columns(settings, store).asof
        plan = identity_plan(settings, asof)
        self.settings = settings
        self.nodes = {} if plan is None else {node.name: node for node in plan.nodes}
        self.features = {one.name: one for one in feature_meanings(settings, asof)}

    def needs(self, one: FeatureMeaning) -> str:
        """What a feature needs of other rows."""
        node = self.nodes[one.node]
        return "its tile" if node.tiles is not None else Past.of(node.features, one.column).needs


def difference_lines(before: Compared, now: Compared) -> Iterator[str]:
    """A line for each feature that is new, gone or means something else, and for each output's layout."""
    names = [*now.features, *(name for name in before.features if name not in now.features)]
    rows = [
        (name, *words)
        for name in names
        if (words := _words(before, now, before.features.get(name), now.features.get(name)))
    ]
    if rows:
        # Without a header: each line says what it is about.
        yield from (f"  {line}" for line in table_lines(("", "", ""), rows)[1:])
    layouts = list(_layouts(before, now))
    yield from layouts
    if not rows and not layouts:
        yield "  every feature means what it did, and no output changes"


def _words(
    before: Compared, now: Compared, old: FeatureMeaning | None, new: FeatureMeaning | None
) -> tuple[str, str] | None:
    """What became of a feature; None where it means what it did, under the version that it had."""
    if new is None:
        assert old is not None, "it is a feature of one of the two"
        return ("gone", f"was {old.formula}")
    if old is None:
        return ("new", f"{new.formula}; needs {now.needs(new)}")
    if (old.meaning, old.version) == (new.meaning, new.version):
        return None
    parts = []
    if new.version != old.version:
        parts.append(f"now @{new.version}")
    elif new.meaning != old.meaning:
        parts.append(f"still @{new.version}")
    if (was := before.needs(old)) != (needs := now.needs(new)):
        parts.append(f"needs {was} -> {needs}")
    readers = [one.name for one in now.features.values() if new.name in one.reads]
    parts.append(f"read by {', '.join(readers)}" if readers else "no other column reads it")
    return (f"changed ({_why(old, new)})", "; ".join(parts))


def _why(old: FeatureMeaning, new: FeatureMeaning) -> str:
    """The parts of the formula that differ, else what else does."""
    if old.formula != new.formula:
        return _apart(TOKENS.findall(old.formula), TOKENS.findall(new.formula))
    if old.join != new.join:
        return f"rows joined {old.join} -> {new.join}"
    if old.meaning == new.meaning:
        return "the version alone"
    return "its source or its packages" if new.of_function else "what it reads"


def _apart(old: Sequence[str], new: Sequence[str]) -> str:
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return ", ".join(
        _changed(" ".join(old[i:j]), " ".join(new[k:m]))
        for tag, i, j, k, m in matcher.get_opcodes()
        if tag != "equal"
    )


def _changed(old: str, new: str) -> str:
    """What became of a part of a formula."""
    if old and new:
        return f"{old} -> {new}"
    return f"{new} added" if new else f"{old} removed"


def _layouts(before: Compared, now: Compared) -> Iterator[str]:
    """Outputs that are new, end, or get other columns."""
    for name in dict.fromkeys([*now.nodes, *before.nodes]):
        old, new = (_columns(graph, name) for graph in (before, now))
        if old == new:
            continue
        topic = (now if new else before).settings.topic(name)
        if not old:
            yield f"  {topic} is new"
        elif not new:
            yield f"  {topic} ends"
        else:
            more = [f"+{column}" for column in new if column not in old]
            less = [f"-{column}" for column in old if column not in new]
            types = [c for c in new if c in old and new[c] != old[c]]
            changes = [*more, *less, *(f"{c} {old[c]} -> {new[c]}" for c in types)]
            yield f"  {topic} gets a new layout: {', '.join(changes) or 'another order'}"


def _columns(graph: Compared, name: str) -> dict[str, str]:
    """The columns of an output and their types; none without one."""
    node = graph.nodes.get(name)
    output = None if node is None else node.output
    return {} if output is None else {field.name: str(field.type) for field in output.layout}


@contextmanager
def settings_at(file: Path, revision: str) -> Iterator[Settings]:
    """The settings of a file as a revision of git has them, with the files beside that they name.

    Raises UsageError where git has no such revision, or no such file in it.
    """
    top = Path(_git(file.parent, "rev-parse", "--show-toplevel").decode().strip())
    inside = file.resolve().relative_to(top.resolve())
    commit = _git(file.parent, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    archive = _git(top, "archive", commit.decode().strip())
    with TemporaryDirectory(prefix="tidemark-diff-") as folder:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(folder, filter="data")
        old = Path(folder) / inside
        if not old.exists():
            raise UsageError(f"{revision} has no file {inside}")
        yield load_settings(old)


def _git(folder: Path, *words: str) -> bytes:
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, check=True, timeout=GIT_S
        ).stdout
    except FileNotFoundError:
        raise UsageError("git is not installed: name the older file in place of --git") from None
    except subprocess.CalledProcessError as refused:
        lines = refused.stderr.decode(errors="replace").strip().splitlines()
        raise UsageError(f"git {words[0]}: {lines[0] if lines else 'it failed'}") from None
