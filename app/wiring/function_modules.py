"""Files of a user's project loaded as modules: as they are now, and leaving nothing behind in the process."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

from app.wiring.apart import Apart
from app.wiring.function_source import Reached, SourceError
from operators.tiles.calls import failure_words
from schemas.without_pandas import show_pandas


def load_module(path: Path, reached: Reached, apart: Apart) -> ModuleType:
    """The module of a file, with the files beside it that it loads; nothing of them stays behind.

    Raises SourceError where it cannot be loaded.
    """
    if "pandas" in reached.packages:
        show_pandas()
    spec = spec_from_file_location(path.stem, path, loader=_Fresh(path.stem, str(path)))
    assert spec is not None
    assert spec.loader is not None
    loader, module = spec.loader, module_from_spec(spec)
    with _only_here(reached.modules):
        try:
            apart.load(lambda: loader.exec_module(module))
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
