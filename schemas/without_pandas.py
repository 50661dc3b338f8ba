"""Keeps pandas out of a process: pyarrow loads it with its first array, which takes 0.5 s."""

import sys
from importlib.abc import MetaPathFinder


class WithoutPandas(MetaPathFinder):
    """Hides pandas, which pyarrow imports to check whether values are pandas'."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        """Refuse pandas and leave all others to the finders behind this one."""
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is hidden from this process", name=fullname)


def hide_pandas() -> None:
    """Hide it from here on."""
    sys.meta_path.insert(0, WithoutPandas())


def show_pandas() -> None:
    """Hide it no longer: somebody's function needs it."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, WithoutPandas)]
