"""Functions and models of the user: loaded from the files that settings name, and made ready to be called."""

import inspect
import typing
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa

from app.config import Settings
from app.process.watchdog import HARD_NS, Watchdog, end_process
from app.settings.functions import FUNCTION, FunctionTable
from app.settings.graph import Loaded
from app.wiring.apart import Apart, Timed
from app.wiring.function_frames import KINDS, Engine, engine_of
from app.wiring.function_modules import load_module
from app.wiring.function_source import SourceError, reached_by
from app.wiring.model_store import ModelStore
from app.wiring.models import load_model
from operators.tiles.settings import Mistake, UserFunction
from schemas.clocks import NS_PER_MS
from schemas.durations import duration_text


def load_functions(settings: Settings) -> dict[str, Loaded]:
    """By node the function or the model that its table names, or why it cannot be used.

    A file lies beside the settings; without any it is named from the working folder.
    """
    folder = Path() if settings.file is None else settings.file.parent
    store = ModelStore.of(settings)
    return {
        name: load_model(folder, name, node, store) if node.kind == "model" else _loaded(folder, name, node)
        for name, node in settings.graph.nodes.items()
        if node.function is not None
    }


def function_anywhere(settings: Settings, text: str) -> str:
    """File and name, with the file where it lies for settings in any folder."""
    match = FUNCTION.fullmatch(text)
    assert match, f"{text} names no function"
    folder = Path() if settings.file is None else settings.file.parent
    return f"{(folder / match['file']).resolve()}:{match['name']}"


def _loaded(folder: Path, node: str, table: FunctionTable) -> Loaded:
    assert table.function is not None
    match = FUNCTION.fullmatch(table.function)
    assert match, f"{table.function} names no function"
    path, apart = (folder / match["file"]).resolve(), Apart()
    try:
        reached = reached_by(path, match["name"])
        function = getattr(load_module(path, reached, apart), match["name"])
        engine = _engine(function, f"{path.name}:{reached.line}")
    except SourceError as wrong:
        return None, (Mistake("function", str(wrong)),)
    place = f"{path.name}:{reached.line}"
    limit_ns = table.time_limit_ms * NS_PER_MS
    late = f"{place}: node {node}: the function took longer than time_limit = {duration_text(limit_ns)}"
    watchdog = Watchdog(limit_ns, lambda: end_process(late), hard_ns=HARD_NS)
    run = _Call(function, engine, tuple(table.returns), Timed(apart, watchdog))
    versions = f"{engine.package} {version(engine.package)}"
    return UserFunction(run, reached.meaning, versions, place), ()


class _Call:
    """Calls a function with rows as it takes them."""

    def __init__(self, function: Any, engine: Engine, names: Sequence[str], timed: Timed) -> None:
        self._function, self._engine, self._names, self._timed = function, engine, names, timed

    def __call__(self, rows: pa.RecordBatch) -> Mapping[str, pa.Array]:
        frame = self._engine.give(rows)
        made = self._timed(self._function, frame)
        return self._engine.take(made, rows.num_rows, self._names)


def _engine(function: Any, place: str) -> Engine:
    """What a function says that it takes and gives; raises SourceError where that is nothing we have."""
    name = function.__name__
    parameters = list(inspect.signature(function).parameters.values())
    wanted = [one for one in parameters if one.default is one.empty]
    if (
        len(wanted) != 1
        or wanted[0] is not parameters[0]
        or wanted[0].kind is not wanted[0].POSITIONAL_OR_KEYWORD
    ):
        raise SourceError(f"{place}: {name} takes the rows alone: write def {name}(rows: pl.DataFrame)")
    rows = wanted[0].name
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError) as wrong:
        raise SourceError(f"{place}: the types that {name} says cannot be read: {wrong}") from None
    if rows not in hints:
        raise SourceError(f"{place}: {name} does not say what {rows} is: {KINDS}")
    engine = engine_of(hints[rows])
    if engine is None:
        raise SourceError(f"{place}: {rows} of {name} is {_type_words(hints[rows])}: expected {KINDS}")
    if "return" not in hints:
        raise SourceError(f"{place}: {name} does not say what it gives: write -> {_type_words(hints[rows])}")
    if engine_of(hints["return"]) is not engine:
        raise SourceError(
            f"{place}: {name} takes {_type_words(hints[rows])} and says that it gives "
            f"{_type_words(hints['return'])}: both are of one kind"
        )
    return engine


def _type_words(annotation: object) -> str:
    return (
        getattr(annotation, "__name__", str(annotation)) if isinstance(annotation, type) else str(annotation)
    )
