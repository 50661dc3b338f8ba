"""A capture as a folder: what it holds from which place to which, and its rows as Arrow files.

capture.json             what it is (`Captured`)
settings.toml            the whole settings, resolved
streams/NAME.arrow       the columns of each input, without rows
partition-00000/         of each task:
    state.arrow          what nodes remembered (key, value) at some commit before the first one
    before-ROOT.arrow    rows since then, or those that nodes need of the past; in order
    ROOT.arrow           the captured rows, in order
    live-NODE.arrow      what live gave at each node with a topic, in order
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from app.capture.stands import Stand
from app.config import Settings
from app.errors import UsageError
from operators.sealed import Entries
from schemas.stream import Stream

NAME: Final = "capture.json"
SETTINGS: Final = "settings.toml"
VERSION: Final = 1
ENTRIES: Final = pa.schema([("key", pa.binary()), ("value", pa.binary())])


@dataclass(frozen=True)
class Span:
    """What is held of one task: its rows from behind `lower` up to `upper`, by root, and those before."""

    lower: Stand
    upper: Stand
    rows: Mapping[str, int]
    before: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """As it is written down."""
        return {
            "lower": self.lower.to_json(),
            "upper": self.upper.to_json(),
            "rows": dict(self.rows),
            "before": dict(self.before),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Span":
        """Read what `to_json` gave; raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            Stand.from_json(fields["lower"]),
            Stand.from_json(fields["upper"]),
            {name: int(rows) for name, rows in fields["rows"].items()},
            {name: int(rows) for name, rows in fields["before"].items()},
        )


@dataclass(frozen=True)
class Captured:
    """What a capture is: its edge, the meaning of each node then, and a span for each task.

    `live`  the nodes whose live rows it has.
    """

    edge: str
    meanings: Mapping[str, str]
    live: tuple[str, ...]
    spans: tuple[Span, ...]

    def write(self, folder: Path) -> None:
        """Write it down."""
        fields = {
            "version": VERSION,
            "edge": self.edge,
            "meanings": dict(self.meanings),
            "live": list(self.live),
            "spans": [span.to_json() for span in self.spans],
        }
        (folder / NAME).write_text(json.dumps(fields, indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> "Captured":
        """Read it back; raises UsageError where the folder is no capture of this version."""
        file = folder / NAME
        try:
            fields = json.loads(file.read_text())
            if fields["version"] != VERSION:
                raise ValueError(f"it is of version {fields['version']}, and this program reads {VERSION}")
            spans = tuple(map(Span.from_json, fields["spans"]))
            return cls(str(fields["edge"]), dict(fields["meanings"]), tuple(fields["live"]), spans)
        except OSError as missing:
            raise UsageError(f"{file}: {missing.strerror}; name a folder that graph capture made") from None
        except (ValueError, KeyError, TypeError, AttributeError) as broken:
            raise UsageError(f"{file}: not a capture: {broken}") from None


def partition_folder(folder: Path, number: int) -> Path:
    """Where the rows of a task lie."""
    return folder / f"partition-{number:05d}"


def write_rows(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Write rows to a file, and return how many these are."""
    rows = 0
    with open_rows(path, schema) as write:
        for batch in batches:
            write(batch)
            rows += batch.num_rows
    return rows


@contextmanager
def open_rows(path: Path, schema: pa.Schema) -> Iterator[Any]:
    """Open a file of rows; what is given takes a batch of them."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        yield writer.write_batch


def read_rows(path: Path) -> pa.Table:
    """The rows of a file, which stay on disk until they are looked at; raises UsageError where it is none."""
    try:
        return pa.ipc.open_stream(pa.memory_map(str(path))).read_all()
    except (OSError, pa.ArrowException) as broken:
        raise UsageError(f"{path}: not a file of a capture: {broken}") from None


def write_entries(path: Path, entries: Entries) -> None:
    """Write down what nodes remember."""
    pairs = list(entries)
    columns = [pa.array([pair[part] for pair in pairs], pa.binary()) for part in (0, 1)]
    write_rows(path, ENTRIES, [pa.RecordBatch.from_arrays(columns, schema=ENTRIES)])


def read_entries(path: Path) -> list[tuple[bytes, bytes]]:
    """Read what nodes remembered."""
    table = read_rows(path)
    return list(zip(table.column("key").to_pylist(), table.column("value").to_pylist(), strict=True))


def write_streams(folder: Path, streams: Mapping[str, Stream]) -> None:
    """Write down the columns of the inputs."""
    (folder / "streams").mkdir()
    for name, stream in streams.items():
        write_rows(folder / "streams" / f"{name}.arrow", stream.schema, [])


def read_streams(folder: Path, settings: Settings) -> dict[str, Stream]:
    """The inputs with the columns that they had; their keys are those of the settings."""
    streams = {}
    for name in settings.stream_names:
        own = settings.stream(name)
        schema = read_rows(folder / "streams" / f"{name}.arrow").schema
        streams[name] = Stream(name=name, schema=schema, key=own.key, sequence=own.sequence)
    return streams
