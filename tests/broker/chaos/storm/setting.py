"""The setting of a storm: one pipeline on topics of its own, with a feed, a crew and a watcher."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import time_ns
from typing import Any, Final
from uuid import uuid4

import tomli_w

from app.config import Settings, load_settings
from app.wiring.pipeline import topic_specs
from tests.broker.chaos.crew import Crew
from tests.broker.chaos.log_reader import open_transactions
from tests.broker.chaos.own_broker import OwnBroker
from tests.broker.chaos.storm.events import SESSION_S
from tests.broker.chaos.storm.feed import GRACE_MS, Feed, Flow, registered
from tests.broker.chaos.storm.market import NS_PER_MS
from tests.broker.chaos.storm.verifier import Source
from tests.broker.chaos.storm.watcher import StormWatcher
from topics.catalogue import apply, plan
from topics.kafka.bus import KafkaBus
from topics.registry.folder import FileRegistry

PARTITIONS: Final = 4
TOLERANCE_NS: Final = 60 * 10**9
TRANSACTION_MS: Final = 10_000


@dataclass(slots=True)
class Setting:
    """What a storm rages over; the crew's workers keep their states apart, as on machines of their own."""

    broker: OwnBroker
    folder: Path
    settings: Settings
    source: Source
    feed: Feed
    crew: Crew
    watcher: StormWatcher

    def state(self, slot: str) -> Path:
        """Where the worker of a slot keeps its local state."""
        return self.folder / f"state-{slot}"

    def open_transactions(self) -> int:
        """How many partitions of the pipeline hold something behind an open transaction."""
        names = [spec.name for spec in topic_specs(self.settings)]
        places = [(name, number) for name in names for number in range(PARTITIONS)]
        return open_transactions(self.broker.bootstrap, places)


@contextmanager
def set_up(
    broker: OwnBroker,
    folder: Path,
    seed: int,
    *,
    behind_s: float = 0.0,
    tolerance: bool = True,
    graph: Mapping[str, Any] | None = None,
    older: Path | None = None,
    thin: int = 1,
) -> Iterator[Setting]:
    """Make topics and schemas and start the watcher; the feed is to be started.

    The market's time is the wall clock's, and at first `behind_s` behind it.  `graph` stands behind the join.
    `older` is the checkout of an older version, of which every other worker is.  One of `thin` blocks is fed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    prefix = f"storm-{uuid4().hex[:12]}"
    config = folder / "tidemark.toml"
    tables = _tables(broker.bootstrap, folder, prefix, tolerance=tolerance)
    config.write_text(tomli_w.dumps({**tables, "graph": graph or {}}))
    settings = load_settings(config)
    admin = KafkaBus(broker.bootstrap).admin()
    apply(admin, plan(admin, topic_specs(settings)))
    ids = registered(FileRegistry(folder / "schemas"), prefix)
    begin_ns = (time_ns() - int(behind_s * 1e9)) // NS_PER_MS * NS_PER_MS
    feed = Feed(
        Flow(
            bootstrap=broker.bootstrap,
            prefix=prefix,
            partitions=PARTITIONS,
            begin_ns=begin_ns,
            seed=seed,
            ids=ids,
            thin=thin,
        )
    )
    tolerance_ns = TOLERANCE_NS if tolerance else None
    source = Source(broker.bootstrap, prefix, PARTITIONS, ids, begin_ns, tolerance_ns)
    watcher = StormWatcher(broker.bootstrap, f"{prefix}.aligned", PARTITIONS)
    setting = Setting(broker, folder, settings, source, feed, Crew(config, older), watcher)
    watcher.start()
    try:
        yield setting
    finally:
        setting.crew.close()
        feed.close()
        watcher.end()  # whoever asks for its verdict closes it


def _tables(bootstrap: str, folder: Path, prefix: str, *, tolerance: bool) -> dict[str, Any]:
    """The configuration: as it comes, but for a session and a transaction that end within seconds."""
    pipeline: dict[str, Any] = {"prefix": prefix, "grace_ns": GRACE_MS * NS_PER_MS}
    return {
        "pipeline": pipeline | ({"tolerance_ns": TOLERANCE_NS} if tolerance else {}),
        "bus": {
            "bootstrap": bootstrap,
            "partitions": PARTITIONS,
            "schema_registry": str(folder / "schemas"),
            "kafka": {
                "producer.transaction.timeout.ms": str(TRANSACTION_MS),
                "reconnect.backoff.max.ms": "500",
            },
        },
        "worker": {
            "session_timeout_ms": int(1_000 * SESSION_S),
            "last_known_interval_ms": 5_000,
        },
    }
