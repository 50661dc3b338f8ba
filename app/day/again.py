"""A run once more, from what its folder says of it, and whether that gives the same rows."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.config import load_settings
from app.day.content_hash import content_hash
from app.day.record import SETTINGS, RunRecord
from app.day.run import replay_day
from app.day.summary import Summary
from app.errors import UsageError
from app.reading.row_files import read_rows
from operators.sealed import ALIGNED
from schemas.clocks import clock_column


@dataclass(frozen=True)
class Again:
    """A run that was run again: the new one's summary, and a line for each output; `equal` if all are."""

    summary: Summary
    lines: list[str]
    equal: bool


def run_again(folder: Path, out: Path | None, bootstrap: str | None, say: Callable[[str], None]) -> Again:
    """Run what `folder` holds again, with its own settings, into `out`, and compare the rows.

    Raises UsageError where the folder holds no run, or its history, functions or settings are others now.
    """
    record = RunRecord.read(folder)
    target = out or folder / "again"
    if target.resolve() == folder.resolve():
        raise UsageError(f"{target} holds the run that is to be run again: name another folder with --out")
    summary = replay_day(record.request(folder, target, bootstrap), say)
    new = RunRecord.read(target)
    lines = [
        f"{what} is {new.ids.get(what, 'none')}, and was {was}"
        for what, was in record.ids.items()
        if new.ids.get(what) != was
    ]
    equal = True
    settings = load_settings(target / SETTINGS)
    on, left = clock_column(settings.pipeline.clock), settings.stream(settings.pipeline.left)
    for name in (ALIGNED, *settings.node_outputs):
        old, now = (
            content_hash(read_rows(one.rows_folder(home, name)), order_by=[on, *left.key])
            for one, home in ((record, folder), (new, target))
        )
        equal = equal and old == now
        lines.append(f"{name}: hash {now}, " + ("as it was" if old == now else f"and it was {old}"))
    return Again(summary, lines, equal)
