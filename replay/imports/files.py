"""Which files of a folder belong to which stream, and which belong to none."""

import os
from collections import deque
from collections.abc import Iterable
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
    ".dbn": "DBN",
    ".dbn.zst": "DBN",
}
READABLE: Final = (
    "Parquet, CSV (.csv, .csv.gz), Arrow IPC (.arrow, .feather, .ipc, .arrows) or DBN (.dbn, .dbn.zst)"
)
NAMES_MAX: Final = 5
_HIVE_NULL: Final = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, slots=True)
class Place:
    """A file of a stream: where, its name inside the folder, and the columns that its path holds.

    `origin` is the absolute path by which a history remembers it: in the folder, also where a link leads out.
    """

    path: Path
    name: str
    format: str
    origin: Path
    partition: tuple[tuple[str, str | None], ...] = ()


def find_files(folder: Path) -> tuple[dict[str, list[Place]], list[str]]:
    """Return the files of each stream, by name, and lines about what else is in the folder.

    A stream's files are named `trades*`, in any case, or lie, at any depth, in folders that are; links to
    folders are followed.  Hidden files are left alone.  Raises SourceError for a file of a stream in another
    format, or twice in two formats, where the only file of a stream seems to be `quote.csv` or
    `aapl_quotes.csv`, and for a folder that cannot be read.
    """
    if not folder.is_dir():
        raise SourceError(
            f"{folder} is not a folder: name one that holds trades*.parquet and quotes*.parquet"
        )
    try:
        return _find_files(folder)
    except OSError as refused:
        raise SourceError(
            f"{refused.filename} cannot be read ({refused.strerror}), and its rows would be missing: "
            "make it readable, or move it out of the folder"
        ) from None


def _find_files(folder: Path) -> tuple[dict[str, list[Place]], list[str]]:
    entries: dict[str, list[Path]] = {stream: [] for stream in STREAMS}
    others = []
    for entry in sorted(folder.iterdir()):
        if _hidden(entry.name):
            continue
        stream = next((name for name in STREAMS if entry.name.lower().startswith(f"{name}s")), None)
        if stream is None:
            is_folder = os.path.isdir(entry)  # noqa: PTH112 - Path's raises for a link that does not matter here
            others.append(entry.name + "/" * is_folder)
        else:
            entries[stream].append(entry)
    files: dict[str, list[Place]] = {}
    notes = [f"not read, since neither trades* nor quotes*: {listed(others)}"] if others else []
    for stream, of_stream in entries.items():
        paths, lines = _walk(of_stream, folder)
        files[stream] = [_place(path, folder) for path in paths]
        notes += lines
        _require_once(files[stream])
    for stream in [name for name, places in files.items() if not places]:
        _require_no_other_name(folder, stream, others)
    if not any(files.values()):
        has = f"; it has {listed(others)}" if others else ""
        raise SourceError(
            f"{folder} holds neither trades*.parquet nor quotes*.parquet (or the like as {READABLE}){has}"
        )
    return files, notes


def _require_no_other_name(folder: Path, stream: str, others: list[str]) -> None:
    """Raise SourceError where what is not read seems to be the files of a stream that has none."""
    near = [name for name in others if stream in name.lower() and (name.endswith("/") or _suffix(Path(name)))]
    if near:
        example = f"{stream}s{_suffix(Path(near[0])) or '/'}"
        raise SourceError(
            f"{folder} holds no {stream}s*, and would be read without {listed(near)}: call it {example}, or "
            "move it out of the folder"
        )


def _walk(entries: list[Path], folder: Path) -> tuple[list[Path], list[str]]:
    """Return the files that are these entries or lie in them, sorted, and a line per link not followed.

    Folders come before links, so that one that a link leads to as well is read by its own name.  Raises
    OSError for what cannot be read.
    """
    paths: list[Path] = []
    lines: list[str] = []
    names: dict[Path, str] = {}  # of the folders read, by where they really are
    left = deque(sorted(entries, key=os.path.islink))
    while left:
        start = left.popleft()
        if not start.is_dir():
            paths.append(start)
            continue
        holders = (folder.resolve(), start.parent.resolve())
        for parent, folders, inside in os.walk(start, onerror=_refuse):
            here, real = Path(parent), Path(parent).resolve()
            name = here.relative_to(folder).as_posix()
            if real in names or (here.is_symlink() and _holds(real, holders)):
                again = f"is {names[real]} again" if real in names else f"leads back to {real}"
                lines.append(f"{name} {again}: not read twice")
                folders.clear()
                continue
            names[real] = name
            folders[:] = [one for one in folders if not _hidden(one)]
            left += [here / one for one in sorted(folders) if (here / one).is_symlink()]
            paths += [here / one for one in inside if not _hidden(one)]
    return sorted(paths), lines


def _refuse(refused: OSError) -> None:
    raise refused


def _holds(folder: Path, others: Iterable[Path]) -> bool:
    return any(other.is_relative_to(folder) for other in others)


def _place(path: Path, folder: Path) -> Place:
    inside = path.relative_to(folder)
    if not path.exists():
        raise SourceError(f"{path} is a link to nothing: mend it, or move it out of the folder")
    suffix = _suffix(path)
    if suffix is None:
        raise SourceError(f"{path} is not read: write it as {READABLE}, or move it out of the folder")
    pairs = (unquote(part).partition("=") for part in inside.parts[:-1])
    partition = tuple((name, None if value == _HIVE_NULL else value) for name, is_, value in pairs if is_)
    return Place(path, inside.as_posix(), FORMATS[suffix], folder.resolve() / inside, partition)


def _require_once(places: list[Place]) -> None:
    """Raise SourceError where two files differ in their format alone: their rows would be there twice."""
    stems: dict[str, Place] = {}
    for place in places:
        suffix = _suffix(place.path) or ""
        other = stems.setdefault(place.name[: len(place.name) - len(suffix)].lower(), place)
        if other.format != place.format or _suffix(other.path) != suffix:
            raise SourceError(
                f"{other.path} and {place.path} have one name in two formats: their rows would be there "
                "twice; move one of them out of the folder"
            )


def _suffix(path: Path) -> str | None:
    return next((suffix for suffix in FORMATS if path.name.lower().endswith(suffix)), None)


def _hidden(name: str) -> bool:
    return name.startswith((".", "_"))


def listed(names: list[str]) -> str:
    """Return the first names, and how many there are more."""
    more = len(names) - NAMES_MAX
    return ", ".join(names[:NAMES_MAX]) + (f" and {more} more" if more > 0 else "")
