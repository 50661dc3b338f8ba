"""Which files of a folder belong to which stream, and which belong to none."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from replay.errors import SourceError

STREAMS: Final = ("trade", "quote")  # read from what is named `trades*` and `quotes*`; the first drives
FORMATS: Final = {
    ".parquet": "Parquet",
    ".csv": "CSV",
    ".csv.gz": "CSV",
    ".arrow": "Arrow",
    ".feather": "Arrow",
    ".ipc": "Arrow",
    ".arrows": "Arrow",
}
READABLE: Final = "Parquet, CSV (.csv, .csv.gz) or Arrow IPC (.arrow, .feather, .ipc, .arrows)"
NAMES_MAX: Final = 5
_HIVE_NULL: Final = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, slots=True)
class Place:
    """A file of a stream: where, its name inside the folder, and the columns that its path holds."""

    path: Path
    name: str
    format: str
    partition: tuple[tuple[str, str | None], ...] = ()


def find_files(folder: Path) -> tuple[dict[str, list[Place]], list[str]]:
    """Return the files of each stream, by name, and a line about what else is in the folder.

    A stream's files are named `trades*` or lie, at any depth, in folders that are.  Hidden files are left
    alone.  Raises SourceError for a file of a stream in another format, or twice in two formats.
    """
    if not folder.is_dir():
        raise SourceError(
            f"{folder} is not a folder: name one that holds trades*.parquet and quotes*.parquet"
        )
    files: dict[str, list[Place]] = {stream: [] for stream in STREAMS}
    others = []
    for entry in sorted(folder.iterdir()):
        if _hidden(entry.name):
            continue
        stream = next((name for name in STREAMS if entry.name.startswith(f"{name}s")), None)
        if stream is None:
            others.append(entry.name + "/" * entry.is_dir())
            continue
        paths = sorted(entry.rglob("*")) if entry.is_dir() else [entry]
        files[stream] += [place for path in paths if (place := _place(path, folder)) is not None]
    for places in files.values():
        _require_once(places)
    if not any(files.values()):
        has = f"; it has {_listed(others)}" if others else ""
        raise SourceError(
            f"{folder} holds neither trades*.parquet nor quotes*.parquet (or the like as {READABLE}){has}"
        )
    return files, [f"not read, since neither trades* nor quotes*: {_listed(others)}"] if others else []


def _place(path: Path, folder: Path) -> Place | None:
    inside = path.relative_to(folder)
    if path.is_dir() or any(_hidden(part) for part in inside.parts):
        return None
    suffix = _suffix(path)
    if suffix is None:
        raise SourceError(f"{path} is not read: write it as {READABLE}, or move it out of the folder")
    pairs = (unquote(part).partition("=") for part in inside.parts[:-1])
    partition = tuple((name, None if value == _HIVE_NULL else value) for name, is_, value in pairs if is_)
    return Place(path, inside.as_posix(), FORMATS[suffix], partition)


def _require_once(places: list[Place]) -> None:
    """Raise SourceError where two files differ in their format alone: their rows would be there twice."""
    stems: dict[str, Place] = {}
    for place in places:
        suffix = _suffix(place.path) or ""
        other = stems.setdefault(place.name.removesuffix(suffix), place)
        if other is not place:
            raise SourceError(
                f"{other.path} and {place.path} have one name in two formats: their rows would be there "
                "twice; move one of them out of the folder"
            )


def _suffix(path: Path) -> str | None:
    return next((suffix for suffix in FORMATS if path.name.endswith(suffix)), None)


def _hidden(name: str) -> bool:
    return name.startswith((".", "_"))


def _listed(names: list[str]) -> str:
    more = len(names) - NAMES_MAX
    return ", ".join(names[:NAMES_MAX]) + (f" and {more} more" if more > 0 else "")
