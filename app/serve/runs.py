"""Runs that lie in a folder: replays and backtests by their summaries, and two of them held together."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from app.audit.against import AlignedRun, differences
from app.audit.files import ParquetFiles
from app.config import Settings
from app.errors import UsageError
from schemas.clocks import clock_column

SUMMARY: Final = "summary.json"
DEPTH_MAX: Final = 4  # folders below the one that is named
RUNS_MAX: Final = 500
SUMMARY_SIZE_MAX: Final = 4 << 20
MEMORY_SIZE_MAX: Final = 256 << 20
SHOWN: Final = (
    *("date", "bus", "clock", "partitions", "workers", "shape", "hash", "seconds", "rows_per_second"),
    *("rows_in", "rows_out", "rows_late", "rows_dead", "rows_aligned", "rows_matched"),
    *("audit_violations", "seal_latency_ms"),
)  # of a summary


class Runs:
    """The runs below a folder; a run is known by its path from there."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._folder = folder
        self._settings = settings

    def view(self) -> dict[str, Any]:
        """Every run with what its summary says, the one that was written last first."""
        runs = sorted(self._files(), key=lambda file: file.stat().st_mtime, reverse=True)[:RUNS_MAX]
        return {"folder": str(self._folder), "runs": [self._run(file) for file in runs]}

    def compare(self, one: str, other: str) -> dict[str, Any]:
        """The differences between the joined rows of two runs, in lines; none where they are alike.

        Raises UsageError for what is no run, or has no joined rows.
        """
        mine, theirs = (self._aligned(name) for name in (one, other))
        pipeline = self._settings.pipeline
        lines = differences(
            mine,
            theirs,
            on=clock_column(pipeline.clock),
            keys=self._settings.stream(pipeline.left).key,
            memory_size_max=MEMORY_SIZE_MAX,
        )
        return {"one": one, "other": other, "differences": lines}

    def _files(self) -> Iterator[Path]:
        """The summaries, not those of folders that are hidden or written right now."""
        folders = [self._folder] if self._folder.is_dir() else []
        for _ in range(DEPTH_MAX + 1):
            yield from (file for folder in folders if (file := folder / SUMMARY).is_file())
            folders = [
                each
                for folder in folders
                for each in folder.iterdir()
                if each.is_dir() and not each.is_symlink() and each.name[0] not in "._"
            ]

    def _run(self, file: Path) -> dict[str, Any]:
        name = file.parent.relative_to(self._folder).as_posix()
        try:
            if file.stat().st_size > SUMMARY_SIZE_MAX:
                raise ValueError(f"it has more than {SUMMARY_SIZE_MAX:,} bytes")
            summary = json.loads(file.read_text())
            shown = {key: summary[key] for key in SHOWN if key in summary}
        except (OSError, ValueError, TypeError, RecursionError) as broken:
            return {"run": name, "broken": str(broken)}
        return {"run": name, **shown}

    def _aligned(self, name: str) -> AlignedRun:
        """The joined rows of a run; the name is looked up among those there are, and leads nowhere else."""
        known = {file.parent.relative_to(self._folder).as_posix(): file.parent for file in self._files()}
        if name not in known:
            raise UsageError(f"there is no run {name!r} below {self._folder}")
        return AlignedRun.of_files(ParquetFiles.at(known[name] / "aligned"))
