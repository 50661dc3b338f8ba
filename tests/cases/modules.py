"""Scripts name modules by the places of the day they were written; these are the places of today."""

import sys
from importlib import import_module
from typing import Any, Final

# By the name in a script: the module that has it now, or for a package the names that it had at its top.
MOVED: Final = {
    "app.aligned": "app.reading.aligned",
    "app.broker": "app.wiring.broker",
    "app.replay_day": "app.day.run",
    "app.replay_request": "app.day.request",
    "operators.settings": "operators.join.settings",
    "tests.blocks": "tests.stage.blocks",
    "topics.avro_schema": "topics.avro.schema",
    "topics.decode": "topics.avro.decode",
    "topics.progress": "topics.avro.progress",
}
AT_THE_TOP: Final = {
    ("app.audit", "audit"): "app.audit.topics",
    ("app.wiring", "Pipeline"): "app.wiring.pipeline",
    ("app.wiring", "member_config"): "app.wiring.pipeline",
    ("app.wiring", "registered_streams"): "app.wiring.schemas",
    ("app.wiring", "topic_specs"): "app.wiring.pipeline",
    ("app.wiring", "warm_up"): "app.wiring.pipeline",
    ("replay.imports", "import_folder"): "replay.imports.folder",
    ("replay.publish", "Publication"): "replay.publish.publication",
    ("replay.store", "HistoryStore"): "replay.store.days",
    ("topics.memory", "MemoryBus"): "topics.memory.bus",
    ("topics.registry", "open_registry"): "topics.registry.open",
}


def stand_in() -> None:
    """Have the scripts' imports find what they name, in this process."""
    for old, new in MOVED.items():
        sys.modules[old] = import_module(new)
    for (package, name), new in AT_THE_TOP.items():
        setattr(import_module(package), name, getattr(import_module(new), name))
    worker: Any = import_module("app.worker")
    worker.Worker = import_module("app.worker.assembly").open_worker
