"""Fitted models on disk: artefacts named by their sha256, and records of the moments they are valid from.

The folder is `[graph] models`, beside the settings.  Runs over history take the records of the folder;
workers take those of the topic `<prefix>.models`, which have the same form.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from app.config import Settings
from app.errors import RunError
from operators.tiles.calls import TileError
from schemas.json_text import read_json

RECORDS: Final = "records.jsonl"
SUFFIX: Final = ".model"
FORMAT: Final = 1


class RecordError(ValueError):
    """A record of a model that cannot be read; the message says why."""


class ModelRecord(NamedTuple):
    """That a model is valid from a moment on.

    `model`    the node, and `meaning` what it meant as the model was fitted (16 hex digits).
    `sha256`   of the artefact.
    `rows`     how many it was fitted with, and `graph` the meaning of their graph.
    """

    model: str
    meaning: str
    valid_from_ns: int
    sha256: str
    rows: int
    graph: str

    @property
    def key(self) -> bytes:
        """What it replaces another record by: its model, meaning and moment."""
        return f"{self.model}/{self.meaning}/{self.valid_from_ns}".encode()

    def value(self) -> bytes:
        """As JSON."""
        return json.dumps({"format": FORMAT, **self._asdict()}).encode()


def read_record(value: bytes) -> ModelRecord:
    """A record as it was written; raises RecordError for anything else."""
    try:
        read = read_json(value)
        record = ModelRecord(**{name: read[name] for name in ModelRecord._fields})
    except (ValueError, KeyError, TypeError) as wrong:
        raise RecordError(f"is no record of a model: {wrong}") from None
    wanted = dict.fromkeys(ModelRecord._fields, str) | {"valid_from_ns": int, "rows": int}
    for name, value_of in record._asdict().items():
        if type(value_of) is not wanted[name]:
            raise RecordError(f"is no record of a model: {name} is {value_of!r}")
    return record


class ModelStore:
    """The folder of the models of some settings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, settings: Settings) -> "ModelStore":
        """The folder beside the settings; without a file of settings from the working folder on."""
        beside = Path() if settings.file is None else settings.file.parent
        return cls((beside / settings.graph.models).resolve())

    def path(self, sha256: str) -> Path:
        """Where an artefact lies."""
        return self.folder / f"{sha256}{SUFFIX}"

    def put(self, raw: bytes) -> str:
        """Write an artefact, whole or not at all; returns its sha256."""
        sha256 = hashlib.sha256(raw).hexdigest()
        path = self.path(sha256)
        if not path.is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            _write_whole(path, raw)
        return sha256

    def get(self, sha256: str) -> bytes:
        """An artefact; raises TileError where its bytes are others, and OSError where it cannot be read."""
        path = self.path(sha256)
        with path.open("rb") as file:
            if (
                hashlib.file_digest(file, "sha256").hexdigest() != sha256
            ):  # a file of any size, in little memory
                raise TileError(
                    f"{path} is another file than its name says: copy it anew from where it was fitted"
                )
            file.seek(0)
            return file.read()

    def records(self) -> list[ModelRecord]:
        """The records of the folder; raises RunError for one that cannot be read."""
        path = self.folder / RECORDS
        if not path.is_file():
            return []
        records = []
        for number, line in enumerate(path.read_text().splitlines(), 1):
            try:
                records.append(read_record(line.encode()))
            except RecordError as wrong:
                raise RunError(f"{path}:{number} {wrong}") from None
        return records

    def require_free(self, records: Iterable[ModelRecord]) -> None:
        """Raise RunError where a moment of these records has another artefact in the folder."""
        known = {one.key: one for one in self.records()}
        for record in records:
            before = known.setdefault(record.key, record)
            if before.sha256 != record.sha256:
                raise RunError(
                    f"{self.folder / RECORDS}: {record.model} is valid from {record.valid_from_ns} with "
                    f"another artefact, {before.sha256[:12]}, not {record.sha256[:12]}: take that back, "
                    f"with `python -m app graph models {record.model} --take-back {record.valid_from_ns}`"
                )

    def add(self, records: Iterable[ModelRecord]) -> None:
        """Write records beside those that are there; raises RunError where a moment has another artefact."""
        records = list(records)
        self.require_free(records)
        self._write({one.key: one for one in (*self.records(), *records)}.values())

    def take_back(self, model: str, meaning: str, valid_from_ns: int) -> ModelRecord | None:
        """Remove a record; returns it, or None where there is no such record."""
        of_this = (model, meaning, valid_from_ns)
        records = self.records()
        found = next((one for one in records if one[:3] == of_this), None)
        if found is not None:
            self._write(one for one in records if one is not found)
        return found

    def _write(self, records: Iterable[ModelRecord]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = b"".join(record.value() + b"\n" for record in sorted(records))
        _write_whole(self.folder / RECORDS, lines)


def _write_whole(path: Path, raw: bytes) -> None:
    unfinished = path.with_name(f"_{path.name}.{os.getpid()}")
    unfinished.write_bytes(raw)
    unfinished.replace(path)
