"""The stage: one pipeline on topics of its own, with a feed, a crew and a watcher, and then the figures."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

import pyarrow as pa
import tomli_w
from confluent_kafka import Message

from app.audit.topics import audit
from app.config import Settings, load_settings
from app.wiring.pipeline import Pipeline, member_config, topic_specs
from app.wiring.schemas import registered_streams
from tests.broker.chaos.crew import Crew, Hand
from tests.broker.chaos.feed import GRACE_MS, Feed
from tests.broker.chaos.log_reader import open_transactions, read_all
from tests.broker.chaos.sinks import verify_nodes
from tests.broker.chaos.verifier import Breaks, Figures, read_inputs, verify
from tests.broker.chaos.watcher import Watcher
from tests.stage.day_runs import DayRun, until
from topics.catalogue import apply, plan
from topics.kafka.bus import KafkaBus
from topics.registry.open import open_registry

TRANSACTION_MS = 5_000  # how long what a dead worker left open may hold readers back
PARTITIONS = 2
WATCHED_S = 0.1  # until the watcher has seen what a worker committed before it died

Tables = Mapping[str, Mapping[str, Any]]


def never(_stream: str, _row: Mapping[str, Any]) -> bool:
    """No row breaks a rule."""
    return False


@dataclass(slots=True)
class Stage:
    """What a scene is played on; `seed` decides what may be left to chance."""

    bootstrap: str
    folder: Path
    seed: int
    pipeline: Pipeline
    feed: Feed
    crew: Crew
    watcher: Watcher
    of_nodes: dict[str, Watcher] = field(default_factory=dict)
    schema: pa.Schema | None = None  # of the aligned rows as they began, where it has grown since
    breaks: Breaks = never
    late_allowed: bool = False
    complete: bool = True  # false where the fault ends the run for good: what waits then is not lost
    note: str = ""
    kept: dict[str, list[Message]] = field(default_factory=dict)  # what a scene takes from a topic
    recovered_s: list[float] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        """The settings of the pipeline."""
        return self.pipeline.settings

    @property
    def watchers(self) -> tuple[Watcher, ...]:
        """Those of the aligned topic and of every node's."""
        return (self.watcher, *self.of_nodes.values())

    @property
    def config(self) -> Path:
        """Its configuration file."""
        return self.folder / "tidemark.toml"

    def topic(self, kind: str) -> str:
        """A topic by what it holds."""
        return self.settings.topic(kind)

    def become(self, run: DayRun) -> None:
        """Go on with the pipeline of a day, published already."""
        for watcher in self.watchers:
            watcher.close()
        self.pipeline = run.pipeline
        self.crew.close()
        self.crew = Crew(run.config)
        self.watcher, *others = watchers_of(self.bootstrap, self.settings, repeats=False)
        self.of_nodes = dict(zip(self.settings.node_outputs, others, strict=True))

    def grow(self) -> None:
        """Go on with the schemas as they are registered now, as a worker does that starts."""
        self.schema = self.schema or self.pipeline.asof.aligned_schema()
        registry, settings = self.pipeline.registry, self.settings
        streams = registered_streams(settings, registry, wait_s=0, on_wait=lambda _: None)
        self.pipeline = Pipeline(settings, self.pipeline.bus, registry, streams)

    def rows_seen(self, more: int = 1) -> None:
        """Wait until the watcher has seen `more` rows than now."""
        wanted = self.watcher.seen.rows + more
        until(lambda: self.watcher.seen.rows >= wanted, f"{more} more rows become visible")

    def account(self) -> str:
        """Where everybody stands: for whoever asks why a scene failed."""
        lines = [f"feed: {self.feed.steps} steps, {self.feed.steps_failed} of them failed"]
        for hand in self.crew.hands:
            lines += [f"worker {hand.slot}, alive {hand.alive}:", *hand.said().strip().splitlines()[-4:]]
        return "\n".join([*lines, f"seen: {self.watcher.seen.rows} rows"])

    def keep(self, *kinds: str) -> None:
        """Remember what these topics hold, before it is taken from them."""
        topics = [self.topic(kind) for kind in kinds]
        self.kept |= read_all(self.bootstrap, topics, self.settings.bus.partitions)

    def finish(self, *hands: Hand) -> None:
        """End the feed and let these workers read it to its end."""
        self.feed.finish()
        for hand in hands:
            hand.ended_well()

    def recovers(self, since: Hand) -> None:
        """Note how long it takes from the start of this worker until rows become visible again."""
        begun_s = since.begun_s + WATCHED_S
        until(
            lambda: self.watcher.seen.recovered_s(begun_s) is not None or not since.alive,
            "rows become visible again",
        )
        found = self.watcher.seen.recovered_s(begun_s)
        assert found is not None, since.said()
        self.recovered_s.append(found + WATCHED_S)

    def figures(self) -> Figures:
        """Close the watcher, wait for open transactions to end or time out, and verify everything."""
        topics = [spec.name for spec in topic_specs(self.settings)]
        places = [(topic, number) for topic in topics for number in range(self.settings.bus.partitions)]
        deadline_s = monotonic() + 2 * TRANSACTION_MS / 1_000
        until(
            lambda: monotonic() > deadline_s or not open_transactions(self.bootstrap, places),
            "no transaction is open",
        )
        for watcher in self.watchers:
            watcher.close()
        log = read_all(self.bootstrap, topics, self.settings.bus.partitions) | self.kept
        schema = self.schema or self.pipeline.asof.aligned_schema()
        inputs = read_inputs(log, self.settings, self.pipeline.registry, schema, self.breaks)
        figures = verify(
            log,
            self.settings,
            inputs,
            schema,
            self.watcher.seen.messages,
            late_allowed=self.late_allowed,
            complete=self.complete,
        )
        figures.open_transactions = open_transactions(self.bootstrap, places)
        figures.duplicated += sum(watcher.seen.duplicated for watcher in self.watchers)
        figures.out_of_order += sum(watcher.seen.out_of_order for watcher in self.watchers)
        of_nodes = {name: watcher.seen.messages for name, watcher in self.of_nodes.items()}
        verify_nodes(log, self.pipeline, figures, of_nodes, complete=self.complete)
        if self.complete:
            report = audit(self.pipeline)
            assert report.violations == [], report.violations
        return figures


@contextmanager
def staged(
    bootstrap: str,
    folder: Path,
    seed: int,
    tables: Tables | None = None,
    *,
    base_ns: int | None = None,
    registry_url: str | None = None,
    partitions: int = PARTITIONS,
) -> Iterator[Stage]:
    """Make topics and schemas for a scene, and take the topics down after it."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "tidemark.toml"
    prefix = f"chaos-{uuid4().hex[:12]}"
    config.write_text(
        tomli_w.dumps(_tables(bootstrap, folder, prefix, tables or {}, registry_url, partitions))
    )
    settings = load_settings(config)
    bus = KafkaBus(bootstrap, member_config(settings), group_protocol=settings.bus.group_protocol)
    specs = topic_specs(settings)
    apply(bus.admin(), plan(bus.admin(), specs))
    registry = open_registry(settings.bus.schema_registry)
    extra = {} if base_ns is None else {"base_ns": base_ns}
    feed = Feed(bootstrap, registry, prefix, partitions=partitions, seed=seed, **extra)
    streams = registered_streams(settings, registry, wait_s=0, on_wait=lambda _: None)
    pipeline = Pipeline(settings, bus, registry, streams)
    repeats = settings.worker.guarantee == "at_least_once"
    crew = Crew(config)
    watcher, *others = watchers_of(bootstrap, settings, repeats=repeats)
    of_nodes = dict(zip(settings.node_outputs, others, strict=True))
    stage = Stage(bootstrap, folder, seed, pipeline, feed, crew, watcher, of_nodes)
    try:
        yield stage
    finally:
        stage.crew.close()
        for one in stage.watchers:
            one.close()
        names = {spec.name for spec in (*specs, *topic_specs(stage.settings))}
        KafkaBus(bootstrap).admin().delete(sorted(names))


def watchers_of(bootstrap: str, settings: Settings, *, repeats: bool) -> list[Watcher]:
    """Watchers that read already: of the aligned topic, and of that of each node with an output."""
    topics = [settings.topic(name) for name in ("aligned", *settings.node_outputs)]
    watchers = [Watcher(bootstrap, topic, settings.bus.partitions, repeats=repeats) for topic in topics]
    for watcher in watchers:
        watcher.start()
    return watchers


def _tables(
    bootstrap: str, folder: Path, prefix: str, tables: Tables, registry_url: str | None, partitions: int
) -> dict[str, Any]:
    """The configuration: short waits, so that a scene takes seconds, and what the scene asks for."""
    protocol = tables.get("bus", {}).get("group_protocol", "classic")
    kafka = {
        "producer.transaction.timeout.ms": str(TRANSACTION_MS),
        "producer.linger.ms": "0",
        "consumer.fetch.wait.max.ms": "10",
        "reconnect.backoff.max.ms": "500",
    }
    if protocol == "classic":
        kafka["consumer.heartbeat.interval.ms"] = "50"
    made: dict[str, Any] = {
        "pipeline": {"prefix": prefix, "grace_ns": GRACE_MS * 1_000_000},
        "bus": {
            "bootstrap": bootstrap,
            "partitions": partitions,
            "schema_registry": registry_url or str(folder / "schemas"),
            "kafka": kafka,
        },
        "worker": {
            "state": str(folder / "state"),
            "commit_interval_ms": 20,
            "checkpoint_interval_ms": 50,
            "last_known_interval_ms": 100,
            "state_interval_ms": 100,
            "session_timeout_ms": 3_000,
        },
    }
    for table, values in tables.items():
        if table == "bus" and "kafka" in values:
            values = {**values, "kafka": {**kafka, **values["kafka"]}}
        made[table] = made.get(table, {}) | dict(values)
    return made
