"""Functions of the user: loaded from the files that settings name, checked, and made ready to be called."""

import inspect
import sys
import typing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.metadata import version
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pyarrow as pa

from app.config import Settings
from app.process.watchdog import Watchdog, end_process
from app.settings.functions import FUNCTION, FunctionTable
from app.settings.graph import Loaded
from app.wiring.function_frames import KINDS, Engine, engine_of
from app.wiring.function_source import Reached, SourceError, reached_by
from operators.tiles.calls import failure_words
from operators.tiles.settings import Mistake, UserFunction
from schemas.clocks import NS_PER_MS
from schemas.durations import duration_text
from schemas.without_pandas import show_pandas


def load_functions(settings: Settings) -> dict[str, Loaded]:
    """By node the function that its table names, or why it cannot be used.

    A file lies beside the settings; without any it is named from the working folder.
    """
    folder = Path() if settings.file is None else settings.file.parent
    return {
        name: _loaded(folder, name, node)
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
    path = (folder / match["file"]).resolve()
    try:
        reached = reached_by(path, match["name"])
        function = getattr(_module(path, reached), match["name"])
        engine = _engine(function, f"{path.name}:{reached.line}")
    except SourceError as wrong:
        return None, (Mistake("function", str(wrong)),)
    place = f"{path.name}:{reached.line}"
    limit_ns = table.time_limit_ms * NS_PER_MS
    late = f"{place}: node {node}: the function took longer than time_limit = {duration_text(limit_ns)}"
    watchdog = Watchdog(limit_ns, lambda: end_process(late))
    run = _Call(function, engine, tuple(table.returns), watchdog)
    versions = f"{engine.package} {version(engine.package)}"
    return UserFunction(run, reached.meaning, versions, place), ()


class _Call:
    """Calls a function with rows as it takes them."""

    def __init__(self, function: Any, engine: Engine, names: Sequence[str], watchdog: Watchdog) -> None:
        self._function, self._engine, self._names, self._watchdog = function, engine, names, watchdog

    def __call__(self, rows: pa.RecordBatch) -> Mapping[str, pa.Array]:
        frame = self._engine.give(rows)
        with self._watchdog.over():
            made = self._function(frame)
        return self._engine.take(made, frame, self._names)


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


def _module(path: Path, reached: Reached) -> ModuleType:
    """The module of a file, with the files beside it that it loads; nothing of them stays behind."""
    if "pandas" in reached.packages:
        show_pandas()
    spec = spec_from_file_location(path.stem, path, loader=_Fresh(path.stem, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    with _only_here(reached.modules):
        try:
            spec.loader.exec_module(module)
        except Exception as wrong:  # whatever the file of somebody else raises
            raise SourceError(f"{path.name} cannot be loaded: {failure_words(wrong)}") from None
    return module


class _Fresh(SourceFileLoader):
    """Loads the source as it is now: what was compiled before may be of the same second."""

    def get_code(self, fullname: str) -> CodeType | None:
        """As of `SourceFileLoader`."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _Beside(MetaPathFinder):
    """Finds the modules of a project."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        """As of `MetaPathFinder`."""
        file = self._files.get(fullname)
        if file is None:
            return None
        folders = [str(file.parent)] if file.name == "__init__.py" else None
        loader = _Fresh(fullname, str(file))
        return spec_from_file_location(fullname, file, loader=loader, submodule_search_locations=folders)


@contextmanager
def _only_here(files: Mapping[str, Path]) -> Iterator[None]:
    """Let the modules of a project be found, under names that others may have elsewhere in this process."""
    own = {name: file for name, file in files.items() if name}
    tops = {name.partition(".")[0] for name in own}

    def taken() -> list[str]:
        return [name for name in sys.modules if name.partition(".")[0] in tops]

    others = {name: sys.modules.pop(name) for name in taken()}
    finder = _Beside(own)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in taken():
            del sys.modules[name]
        sys.modules.update(others)
