"""The pipeline of a run straight from files: its settings lie in a folder, and it is on no broker."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomli_w

from app.config import Settings, load_settings
from app.day.record import SETTINGS
from app.day.request import run_settings
from app.wiring.open import pipeline_on
from app.wiring.pipeline import Pipeline
from replay.store.day import Day
from topics.avro.schema import avro_schema
from topics.memory.bus import MemoryBus
from topics.registry.open import open_registry


def make_pipeline(
    wanted: Settings, days: Sequence[Day], folder: Path, *, prefix: str, grace_ns: int | None
) -> Pipeline:
    """Write the settings of a run, whole, and the schemas of its days into `folder`; return its pipeline.

    `grace_ns` is that of the run, None where the settings name one.
    """
    tables: dict[str, Any] = run_settings(
        wanted, days, prefix=prefix, bootstrap=MemoryBus().name, folder=folder, grace_ns=grace_ns
    )
    (folder / SETTINGS).write_text(tomli_w.dumps(tables))
    settings = load_settings(folder / SETTINGS)
    registry = open_registry(settings.bus.schema_registry)
    for day in days:
        registry.register(f"{settings.topic(day.stream.name)}-value", avro_schema(day.stream))
    return open_pipeline_in(folder)


def open_pipeline_in(folder: Path, grace_ns: int | None = None) -> Pipeline:
    """The pipeline whose settings and schemas `make_pipeline` wrote into a folder.

    `grace_ns` takes the place of that of the settings.
    """
    return pipeline_on(load_settings(folder / SETTINGS, {"pipeline": {"grace_ns": grace_ns}}), MemoryBus())
