"""A small synthetic day on any bus, published and joined in this process, for tests of whole runs."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import pyarrow as pa
import tomli_w

from app.config import Settings, load_settings
from app.day.content_hash import content_hash
from app.day.request import ReplayRequest, run_settings
from app.process.clock import pause
from app.reading.aligned import write_output
from app.reading.row_files import read_rows
from app.task.metadata import from_position
from app.wiring.pipeline import Pipeline, topic_specs
from app.wiring.schemas import registered_streams
from app.worker.assembly import open_worker
from replay.market.generate import generate_day
from replay.publish.publication import STEP_ROWS_MAX, Publication
from replay.store.day import Day
from replay.store.days import HistoryStore
from topics.avro.schema import avro_schema
from topics.block import TopicPartition
from topics.bus import Bus
from topics.catalogue import apply, plan
from topics.registry.open import open_registry

DATE = "2024-01-15"
TRADES, QUOTES, SYMBOLS = 3_000, 15_000, 12
PATIENCE_S = 30.0
ASK_AGAIN_S = 0.01  # leaves the processor to what is waited for


def small_days(store: Path) -> list[Day]:
    """Make the day, unless it is there."""
    return generate_day(HistoryStore(store), DATE, symbols=SYMBOLS, trades=TRADES, quotes=QUOTES)


@dataclass(frozen=True)
class DayRun:
    """One pipeline with topics of its own, over `days`; its configuration is `folder`/tidemark.toml."""

    pipeline: Pipeline
    days: Sequence[Day]
    folder: Path

    @classmethod
    def on(cls, bus: Bus, days: Sequence[Day], folder: Path, prefix: str, **worker: object) -> "DayRun":
        """Make topics and schemas; `worker` are settings of that table, `partitions` and `group_protocol` of
        the bus's, over those of the file `config`.
        """
        folder.mkdir(parents=True, exist_ok=True)
        request = ReplayRequest(date=days[0].date, out=folder)
        config = worker.pop("config", None)
        assert config is None or isinstance(config, Path)
        of_bus = {
            "partitions": worker.pop("partitions", 3),
            "group_protocol": worker.pop("group_protocol", "classic"),
        }
        asked = load_settings(config, {"bus": of_bus, "worker": worker})
        tables = run_settings(
            asked,
            days,
            prefix=prefix,
            bootstrap=bus.name.split()[-1],
            folder=folder,
            grace_ns=request.grace_ns_for(days, asked),
        )
        file = folder / "tidemark.toml"
        file.write_text(tomli_w.dumps(tables))
        settings = load_settings(file)
        apply(bus.admin(), plan(bus.admin(), topic_specs(settings)))
        registry = open_registry(settings.bus.schema_registry)
        for day in days:
            registry.register(f"{settings.topic(day.stream.name)}-value", avro_schema(day.stream))
        streams = registered_streams(settings, registry, wait_s=0, on_wait=lambda _: None)
        return cls(Pipeline(settings, bus, registry, streams), days, folder)

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "tidemark.toml"

    def topic(self, kind: str) -> str:
        """The topic of a stream, or of `aligned`, `late`, `dead`."""
        return self.pipeline.settings.topic(kind)

    def publication(self, shape: str = "block", step_rows_max: int = STEP_ROWS_MAX) -> Publication:
        """What publishes the days to this run's topics."""
        settings = self.pipeline.settings
        return Publication(
            bus=self.pipeline.bus,
            registry=self.pipeline.registry,
            days=self.days,
            topics={name: settings.topic(name) for name in settings.stream_names},
            partitions=settings.bus.partitions,
            shape="record" if shape == "record" else "block",
            grace_ns=settings.pipeline.grace_ns,
            clock=settings.pipeline.clock,
            run=settings.pipeline.prefix,
            step_rows_max=step_rows_max,
        )

    def publish(self, shape: str = "block") -> None:
        """Publish all of it."""
        publication = self.publication(shape)
        publication.run()
        publication.close()

    def join(self, workers: int = 1) -> None:
        """Let workers join what is published, to its final records, each in a thread of its own."""
        deadline_s = monotonic() + PATIENCE_S
        with ThreadPoolExecutor(workers) as threads:
            runs = [threads.submit(self._work, slot, deadline_s) for slot in range(workers)]
        for run in runs:
            run.result()

    def _work(self, slot: int, deadline_s: float) -> None:
        worker = open_worker(self.pipeline.with_slot(str(slot)), until_final=True)
        worker.run(lambda: monotonic() > deadline_s)
        worker.close()
        assert monotonic() <= deadline_s, f"worker {slot} is not done within {PATIENCE_S} s"

    def aligned(self) -> pa.Table:
        """The aligned rows, partition after partition."""
        write_output(self.pipeline, "aligned", self.folder / "aligned")
        return read_rows(self.folder / "aligned")

    def hash(self) -> str:
        """The hash of the aligned rows, as a replay prints it."""
        return content_hash(self.aligned(), order_by=["event_ns", "symbol"])


def messages_seen(bus: Bus, settings: Settings) -> int:
    """How many messages of its inputs a pipeline's group has dealt with, by what it committed."""
    reader = bus.consumer(group=settings.pipeline.prefix)
    sources = [
        TopicPartition(settings.topic(name), number)
        for name in settings.stream_names
        for number in range(settings.bus.partitions)
    ]
    committed = reader.committed(sources).values()
    reader.close()
    return sum(
        from_position(position, "").progress.next_offset for position in committed if position is not None
    )


def until(holds: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Ask again until it holds; after `patience_s` fail with `what`."""
    deadline_s = monotonic() + patience_s
    while not holds():
        assert monotonic() < deadline_s, f"not within {patience_s} s: {what}"
        pause(ASK_AGAIN_S)
