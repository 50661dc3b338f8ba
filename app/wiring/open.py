"""Opening: from settings to the bus they name, and to the pipeline on it, the same way for every command."""

from collections.abc import Callable
from typing import Final

from app.config import Settings
from app.wiring.broker import open_kafka
from app.wiring.pipeline import Pipeline, member_config
from app.wiring.schemas import registered_streams
from app.wiring.state_folder import require_state_folder
from app.wiring.topics import require_topics
from topics.bus import Bus
from topics.registry.open import open_registry

SCHEMA_WAIT_S: Final = 60.0  # a worker may start before its first publisher


def open_bus(settings: Settings, *, member: bool = False) -> Bus:
    """The broker of the settings, for a `member` of the group or for one who looks from outside.

    Raises UsageError, naming the address or the setting, where it does not answer.
    """
    return open_kafka(
        settings.bus.bootstrap,
        member_config(settings) if member else settings.bus.client_settings(),
        settings.bus.group_protocol if member else "classic",
        settings.bus.kafka_reading,
    )


def open_topics(settings: Settings, *, member: bool = False) -> Bus:
    """The broker of the settings, which has the topics of the pipeline; no schema need be registered yet.

    Raises UsageError as `open_bus`, and where a topic is missing or another than the settings need.
    """
    bus = open_bus(settings, member=member)
    require_topics(bus, settings)
    return bus


def open_pipeline(settings: Settings, *, member: bool = False, on_wait: Callable[[str], None]) -> Pipeline:
    """The pipeline of the settings, on a broker that has its topics; a `member` waits for their schemas.

    Raises UsageError where a member cannot write its state, and else as `open_topics` and `pipeline_on`.
    """
    if member:
        require_state_folder(settings)
    bus = open_topics(settings, member=member)
    if member:
        # The group's own client would wait for ever without the right.
        bus.admin().group(settings.pipeline.prefix)
    return pipeline_on(settings, bus, wait_s=SCHEMA_WAIT_S if member else 0, on_wait=on_wait)


def pipeline_on(
    settings: Settings, bus: Bus, *, wait_s: float = 0, on_wait: Callable[[str], None] = lambda _: None
) -> Pipeline:
    """The pipeline of the settings on any bus, with its inputs as their schemas say.

    Waits up to `wait_s` for schemas.  Raises RunError where one is missing or the registry refuses, and
    StreamError or SettingsError where the columns do not bear the join.
    """
    registry = open_registry(settings.bus.schema_registry, settings.bus.registry_settings())
    streams = registered_streams(settings, registry, bus, wait_s=wait_s, on_wait=on_wait)
    return Pipeline(settings, bus, registry, streams)
