"""Topics that somebody else has filled, the settings proposed for them, and a pipeline that runs on these."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tomli_w

from app.config import Settings, load_settings
from app.infer.propose import propose
from app.infer.sample import take_sample
from topics.bus import Bus, TopicSpec
from topics.memory.bus import MemoryBus
from topics.partitioner import partition_of
from topics.registry.folder import FileRegistry
from topics.wire import SchemaRegistry

Messages = Iterable[tuple[bytes | None, bytes | None]]


class Topic:
    """A topic on an embedded bus, and what is proposed for it."""

    def __init__(
        self,
        folder: Path,
        messages: Messages = (),
        *,
        name: str = "md.trades",
        partitions: int = 1,
        bus: Bus | None = None,
        registry: SchemaRegistry | None = None,
        timestamp_ms: int | None = None,
    ) -> None:
        """Messages with a key lie where it belongs, others in turn."""
        self.name, self.partitions, self.folder = name, partitions, folder
        self.bus = bus or MemoryBus()
        self.registry = registry or FileRegistry(folder / "schemas")
        self.settings = Settings.model_validate({"bus": {"partitions": partitions}})
        self.bus.admin().create([TopicSpec(name=name, partitions=partitions, configs={})])
        producer = self.bus.producer()
        for number, (key, value) in enumerate(messages):
            home = number % partitions if key is None else partition_of(key, partitions)
            producer.produce(name, partition=home, key=key, value=value, timestamp_ms=timestamp_ms)

    def proposal(self, stream: str = "trade") -> str:
        """What is proposed, as text."""
        sample = take_sample(self.bus, self.name, self.partitions, 500)
        return propose(sample, self.settings, self.registry, stream)

    def table(self, stream: str = "trade") -> dict[str, Any]:
        """The table that is proposed, after a file with it has been loaded; {} for comments only."""
        text = self.proposal(stream)
        table: dict[str, Any] = tomllib.loads(text).get("streams", {}).get(stream, {})
        file = self.folder / "proposed.toml"
        file.write_text(tomli_w.dumps({"pipeline": {"left": stream, "right": ["other"]}}) + text)
        loaded = load_settings(file)
        assert not table or loaded.topic(stream) == self.name
        return table
