"""The request of a replay, checked before anything is touched, and the settings that follow from it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from app.config import Settings, load_settings
from app.day.dates import require_date
from app.day.reading import Reading
from app.day.summary import DIRECT
from app.errors import UsageError
from app.wiring.resolved import graph_tables
from replay.imports.files import READABLE
from replay.store.day import Day
from replay.store.objects import Folder
from schemas.clocks import NS_PER_S, Clock

BLOCK_SPAN_NS = 10 * NS_PER_S  # market time a block may span at full speed; it costs no waiting there


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRequest:
    """One day, where it comes from, how it is published and joined, where the rows go.

    A field that is None takes its value from `config`, or the default.
    """

    date: str
    out: Path
    rows: Path | None = None  # of several days; None where the day stands alone
    config: Path | None = None
    data: Path | None = None
    store: Folder | None = None
    reading: Reading = field(default_factory=Reading)  # how the files in `data` are read
    wire: bool = True  # through topics; else straight from files into the tasks, on no bus
    bus: Literal["kafka", "embedded"] | None = None
    bootstrap: str | None = None
    speed: float | None = None  # times market time; None is as fast as it goes
    partitions: int | None = None
    workers: int = 1
    shape: Literal["block", "record"] = "block"
    format: Literal["frame", "avro"] | None = None
    clock: Clock | None = None
    carry: Literal["row", "column"] | None = None
    allow_exact: bool | None = None
    tolerance_ns: int | None = None
    grace_ns: int | None = None
    feature: str | None = None  # NODE.COLUMN, which the picture shows

    def __post_init__(self) -> None:
        require_date(self.date)
        if self.data is not None and not self.data.is_dir():
            raise UsageError(
                f"DATA={self.data}: {'a file' if self.data.is_file() else 'no such folder'}; name a folder "
                f"that holds trades* and quotes*, each as {READABLE}"
            )
        if self.out.exists() and not self.out.is_dir():
            raise UsageError(
                f"OUT={self.out} is a file: name a folder, new or old, for rows, summary and picture"
            )
        if self.bus == "embedded" and self.bootstrap:
            raise UsageError("BUS=embedded and BOOTSTRAP= exclude each other: one runs without a broker")
        if not 1 <= self.workers <= 100:
            raise UsageError(f"WORKERS={self.workers} must be 1 to 100")
        if not self.wire and self.workers > 1:
            raise UsageError(
                f"WORKERS={self.workers} would share topics, and this run has none: leave it out, or say "
                "--through-wire"
            )

    def rows_folder(self, output: str) -> Path:
        """Where the rows of an output go: beside the summary, or into a folder of several days."""
        return self.out / output if self.rows is None else self.rows / output / f"day={self.date}"

    def bus_words(self, bus: str) -> str:
        """What a run is said to go through: its bus, or none."""
        return bus if self.wire else DIRECT

    def identity(self, settings: Settings, days: Sequence[Day]) -> dict[str, object]:
        """What must be equal for an unfinished run to go on: all that decides what is published and joined.

        The broker's address and the speed may change, as long as the grace that follows from it does not.
        """
        fields = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items()}
        for unneeded in ("bootstrap", "speed", "config", "reading", "feature"):
            del fields[unneeded]
        return fields | {
            "settings": settings.model_dump(mode="json", exclude={"bus": {"bootstrap"}}),
            "grace_ns": self.grace_ns_for(days, settings),
            "days": [day.summary.digest for day in days],
        }

    def settings(self) -> Settings:
        """The file's settings, overridden by those of the request."""
        pipeline = {
            "clock": self.clock,
            "carry": self.carry,
            "allow_exact": self.allow_exact,
            "tolerance_ns": self.tolerance_ns,
            "grace_ns": self.grace_ns,
        }
        bus = {"partitions": self.partitions}
        return load_settings(
            self.config, {"pipeline": pipeline, "bus": bus, "worker": {"format": self.format}}
        )

    def grace_ns_for(self, days: Sequence[Day], settings: Settings) -> int | None:
        """The grace the day needs: its own disorder and the market time a block may span.

        None where the flag or the file sets one.
        """
        if self.grace_ns is not None or "grace_ns" in settings.pipeline.model_fields_set:
            return None
        disorder_ns = max(day.disorder_ns(settings.pipeline.clock) for day in days)
        return disorder_ns + (BLOCK_SPAN_NS if self.shape == "block" and self.speed is None else 0)


def run_settings(
    settings: Settings,
    days: Sequence[Day],
    *,
    prefix: str,
    bootstrap: str,
    folder: Path,
    grace_ns: int | None,
) -> dict[str, Any]:
    """The configuration of one run: the requested settings, on topics and in folders of its own."""
    pipeline = settings.pipeline.model_dump(mode="json", exclude_none=True) | {
        "prefix": prefix,
        "max_ahead_of": "inputs",  # history lies far behind this machine's clock
    }
    if grace_ns is not None:
        pipeline["grace_ns"] = grace_ns
    files = {name: value for name, value in settings.bus if isinstance(value, Path)}
    bus = settings.bus.model_dump(mode="json", exclude_none=True) | {
        **{name: str(file.resolve()) for name, file in files.items()},
        "bootstrap": bootstrap,
        "schema_registry": str((folder / "schemas").resolve()),
    }
    worker = settings.worker.model_dump(mode="json") | {"state": str((folder / "state").resolve())}
    streams = {}
    for day in days:
        own = settings.stream(day.stream.name).model_dump(mode="json", exclude_none=True, exclude={"topic"})
        own["key"] = list(day.stream.key)
        if day.stream.sequence is not None:
            own["sequence"] = day.stream.sequence
        streams[day.stream.name] = own
    tables = {"pipeline": pipeline, "bus": bus, "worker": worker, "streams": streams}
    graph = graph_tables(settings)
    for node in graph.get("graph", {}).values():
        if isinstance(node, dict):
            node.get("out", {}).pop("topic", None)
    tables |= graph
    return tables
