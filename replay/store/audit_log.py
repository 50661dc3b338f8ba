"""The audit log of a history: who ran which command on which table, why, and what became of it.

A row is written before a command changes anything and one when it has ended, both with the same run: a run
with one row alone was killed.  The log is a table beside the others, and SQL reads it.
"""

import getpass
import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa

from replay.errors import HistoryError
from replay.store.objects import Folder
from replay.store.part import logged_name
from replay.store.part_writer import PartPlace, write_part
from replay.store.places import TableRules, portions, with_places
from replay.store.stored_types import to_stored
from replay.store.table import Change, HistoryTable, create_table, has_table

AUDIT_LOG: Final = "audit_log"
KEPT_DAYS: Final = 90
# `outcome` is begun, done or failed; `version` the table's as the row was written, null where there was none.
LOG_SCHEMA: Final = pa.schema(
    [
        ("known_ns", pa.int64()),
        ("run", pa.string()),
        ("by", pa.string()),
        ("command", pa.string()),
        ("stream", pa.string()),
        ("outcome", pa.string()),
        ("version", pa.int64()),
        ("rows", pa.int64()),
        ("files", pa.int64()),
        ("why", pa.string()),
        ("message", pa.string()),
    ]
)
_RULES: Final = TableRules(stream=AUDIT_LOG, key=(), sequence=None, order="known", zone="UTC", buckets=1)


@dataclass(slots=True)
class Effect:
    """What a command has done so far: rows and files that it wrote, moved, let go or deleted."""

    rows: int = 0
    files: int = 0


@contextmanager
def logged(store: Folder, command: str, stream: str | None, why: str) -> Iterator[Effect]:
    """Log a command around what it does; its body counts in the effect.

    `stream` is None for a command on all of them.  Raises HistoryError before anything is changed where the
    log cannot be written.
    """
    facts = {"run": uuid.uuid4().hex, "by": whoami(), "command": command, "stream": stream, "why": why}
    effect = Effect()
    _append(store, facts, "begun", effect)
    try:
        yield effect
    except BaseException as failed:
        _append(store, facts, "failed", effect, str(failed) or type(failed).__name__)
        raise
    _append(store, facts, "done", effect)


def whoami() -> str:
    """The user, machine and process that this is."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in containers
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}:{os.getpid()}"


def require_not_log(stream: str, command: str) -> None:
    """Raise HistoryError for a command that the audit log does not take."""
    if stream == AUDIT_LOG:
        raise HistoryError(f"{command} is not for {AUDIT_LOG}, to which rows are only added")


def require_log_kept(stream: str, before: str) -> None:
    """Raise HistoryError where days of the audit log would go that are to be kept."""
    first = (datetime.now(UTC).date() - timedelta(days=KEPT_DAYS)).isoformat()
    if stream == AUDIT_LOG and before > first:
        raise HistoryError(f"{AUDIT_LOG} is kept for {KEPT_DAYS} days: --before {first} at the latest")


def _append(store: Folder, facts: dict[str, Any], outcome: str, effect: Effect, message: str = "") -> None:
    """Add a row in a commit of its own."""
    stream = facts["stream"]
    version = HistoryTable(store, stream).version if stream and has_table(store, stream) else None
    row = facts | {
        "known_ns": time.time_ns(),
        "outcome": outcome,
        "version": version,
        "rows": effect.rows,
        "files": effect.files,
        "message": message,
    }
    table = create_table(store, _RULES, LOG_SCHEMA)
    (rows,) = pa.Table.from_pylist([row], schema=LOG_SCHEMA).to_batches()
    placed = with_places(rows, np.zeros(1, np.int64), np.zeros(1, np.int32))
    (portion,) = portions(to_stored(placed, table.stored), table.rules)
    place = PartPlace(
        name=logged_name(AUDIT_LOG), date=portion.date, bucket=portion.bucket, source=facts["by"]
    )
    part = write_part(table.root, place, table.rules, table.stored, [portion.rows])
    table.commit(
        Change(adds=[part], transactions={}, expected={}, facts={"by": facts["by"], "command": "log"})
    )
