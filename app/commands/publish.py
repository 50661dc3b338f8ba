"""A day of the history to the inputs of a pipeline, as its settings have them."""

from collections.abc import Sequence

import typer

from app.cli import Bootstrap, ConfigFile, app, say
from app.config import Settings, load_settings
from app.errors import UsageError
from app.wiring.broker import open_kafka
from replay.publish.options import (
    STORE,
    AsOfOption,
    ClientConfig,
    ClockOption,
    DateOption,
    GraceOption,
    PrefixOption,
    RegistryOption,
    RunOption,
    ShapeOption,
    SpeedOption,
    StoreOption,
    VersionOption,
    parse_as_of,
    parse_versions,
)
from replay.publish.pace import parse_speed
from replay.publish.session import Target, of_registry, parse_client_config, without_registry
from replay.publish.session import publish as publish_days
from replay.store.catalog import list_days
from replay.store.days import HistoryStore
from replay.store.objects import parse_store
from topics.warm import warm_encoder


@app.command()
def publish(
    date: DateOption,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    prefix: PrefixOption = None,
    store: StoreOption = STORE,
    shape: ShapeOption = "block",
    speed: SpeedOption = "max",
    grace_ns: GraceOption = None,
    clock: ClockOption = None,
    registry: RegistryOption = None,
    run: RunOption = None,
    client_config: ClientConfig = None,
    version: VersionOption = None,
    as_of: AsOfOption = None,
) -> None:
    """Publish a day to the inputs of a pipeline, each row once; stopped, the same command goes on.

    This is `python -m replay publish` with settings: topics, keys, grace, clock, broker, registry and
    security are theirs, flags win.

    Example: python -m app publish --date 2024-01-15 --config tidemark.toml
    """
    settings = load_settings(
        config,
        {
            "pipeline": {"prefix": prefix, "clock": clock, "grace_ns": grace_ns},
            "bus": {"bootstrap": bootstrap, "schema_registry": registry},
        },
    )
    _require_read(settings)
    factor = parse_speed(speed)
    warm_encoder()
    days = list_days(
        HistoryStore(parse_store(store)), date, parse_versions(version or ()), parse_as_of(as_of)
    )
    there = [day.stream.name for day in days]
    names = [name for name in settings.stream_names if name in there]
    if not names:
        raise UsageError(
            f"the history has {', '.join(there)} on {date}, and the pipeline reads "
            f"{', '.join(settings.stream_names)}: name the streams in pipeline.left and pipeline.right"
        )
    _say_apart(settings.stream_names, there, f"the history at {store} has none on {date}")
    client = parse_client_config(client_config or ())
    target = Target(
        bus=open_kafka(settings.bus.bootstrap, settings.bus.client_settings() | without_registry(client)),
        registry=settings.bus.schema_registry,
        registry_settings=settings.bus.registry_settings() | of_registry(client),
        topics={name: settings.topic(name) for name in names},
        keys={name: settings.stream(name).key for name in names},
        grace_ns={name: settings.grace_ns(name) if grace_ns is None else grace_ns for name in names},
        clock=settings.pipeline.clock,
        run=run or settings.pipeline.prefix,
        partitions=settings.bus.partitions,
    )
    raise typer.Exit(publish_days(days, target, shape=shape, speed=factor))


def _say_apart(inputs: Sequence[str], there: Sequence[str], none: str) -> None:
    """Say which inputs the history lacks, and which of its streams are no input."""
    for name in inputs:
        if name not in there:
            say(f"{name}: {none}; the workers wait for it")
    for name in there:
        if name not in inputs:
            say(f"{name}: no input of this pipeline, not published")


def _require_read(settings: Settings) -> None:
    """Raise UsageError where workers of these settings would not read what is published."""
    for name in settings.stream_names:
        own = settings.stream(name)
        if own.format != "avro" or not own.prefixed:
            raise UsageError(
                f'streams.{name}.format = "{own.format}", framing = "{own.framing}": a day is published as '
                "Avro with a schema id before each value: leave format, framing and schema_file of that "
                "stream out, or publish with the settings of another pipeline"
            )
