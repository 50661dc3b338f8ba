"""What a run was made of, written down beside it: with its settings file it gives the same run again."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from app.day.request import ReplayRequest
from app.day.summary import write_json
from app.errors import UsageError
from app.wiring.pipeline import Pipeline
from app.wiring.resolved import ID_LENGTH, settings_id
from replay.store.day import Day
from replay.store.objects import Folder, located, parse_store

NAME: Final = "request.json"
SETTINGS: Final = "tidemark.toml"  # of the run, whole: defaults, flags, environment and what the day needed


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The request of a run, resolved; `ids` are those of its summary.

    `store` is the history's folder or URL, and `rows` where the rows lie, if not beside the summary.
    """

    date: str
    store: str
    rows: str | None
    wire: bool
    bus: Literal["kafka", "embedded"]
    shape: Literal["block", "record"]
    speed: float | None
    workers: int
    ids: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, request: ReplayRequest, pipeline: Pipeline, days: Sequence[Day], bus: str, store: Folder
    ) -> "RunRecord":
        """That of a run on a bus of this name."""
        inputs = "\n".join(f"{day.stream.name} {day.summary.digest}" for day in days)
        ids = {
            "settings": settings_id(pipeline.settings),
            "inputs": hashlib.sha256(inputs.encode()).hexdigest()[:ID_LENGTH],
        }
        if pipeline.graph is not None:
            ids["graph"] = pipeline.graph.meaning[:ID_LENGTH]
        return cls(
            date=request.date,
            store=str(located(store)),
            rows=None if request.rows is None else str(request.rows.resolve()),
            wire=request.wire,
            bus="embedded" if bus == "embedded" else "kafka",
            shape=request.shape,
            speed=request.speed,
            workers=request.workers,
            ids=ids,
        )

    def write(self, folder: Path) -> None:
        """Write it down, all or nothing."""
        write_json(folder / NAME, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "RunRecord":
        """That of the run in a folder; raises UsageError where it holds none of one day."""
        file = folder / NAME
        try:
            told: dict[str, Any] = json.loads(file.read_text())
            return cls(**told)
        except OSError as missing:
            raise UsageError(
                f"{file}: {missing.strerror}; name the folder of a run of one day, as replay or backtest "
                "left it"
            ) from None
        except (ValueError, TypeError) as broken:
            raise UsageError(f"{file}: not a run's record ({broken})") from None

    def request(self, folder: Path, out: Path, bootstrap: str | None) -> ReplayRequest:
        """The same run again, into another folder."""
        return ReplayRequest(
            date=self.date,
            config=folder / SETTINGS,
            store=parse_store(self.store),
            wire=self.wire,
            bus=self.bus,
            bootstrap=bootstrap if self.bus == "kafka" else None,
            shape=self.shape,
            speed=self.speed,
            workers=self.workers,
            out=out,
        )

    def rows_folder(self, folder: Path, output: str) -> Path:
        """Where the rows of an output of the run in a folder lie."""
        return folder / output if self.rows is None else Path(self.rows) / output / f"day={self.date}"
