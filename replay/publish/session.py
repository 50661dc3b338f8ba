"""A day published by a command: where it goes is said first, then how far it is, then what was published."""

import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import typer
from rich.console import Console

from replay.errors import PublishError
from replay.publish.messages import Shape
from replay.publish.progress_bar import progress_bar
from replay.publish.promised import promised_ns
from replay.publish.publication import Publication, PublishReport
from replay.store.day import Day
from schemas.clocks import Clock
from topics.bus import Bus, BusError
from topics.catalogue import require_copartitioned
from topics.registry.open import open_registry, registry_name
from topics.wire import RegistryUnavailableError

_REGISTRY: Final = "schema.registry."  # begins the settings of its client, as in Confluent's tools


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a day goes, and how the workers there read it.

    `registry` is a URL or a folder, `registry_settings` are its client's.  `topics` is by stream, and names
    the streams that are published.  `keys` and `grace_ns` are as `Publication` takes them.
    """

    bus: Bus
    registry: str
    registry_settings: Mapping[str, str]
    topics: Mapping[str, str]
    keys: Mapping[str, tuple[str, ...]]
    grace_ns: int | Mapping[str, int]
    clock: Clock
    run: str
    partitions: int | None = None  # that the topics must have; None: any count that they share


def publish(days: Sequence[Day], target: Target, *, shape: Shape, speed: float | None) -> int:
    """Publish what remains of a day and say what was; return 0, or 1 where more is left.

    Raises PublishError, StreamError, CodecError and BusError before anything is published.
    """
    chosen = [day for day in days if day.stream.name in target.topics]
    target.bus.admin().group(f"{target.run}-publisher")  # a consumer would wait where we lack the right
    registry = open_registry(target.registry, target.registry_settings)
    topics = {day.stream.name: target.topics[day.stream.name] for day in chosen}
    partitions = count_partitions(target.bus, list(topics.values()), target.partitions)
    publication = Publication(
        bus=target.bus,
        registry=registry,
        days=chosen,
        topics=topics,
        partitions=partitions,
        keys=target.keys,
        shape=shape,
        grace_ns=target.grace_ns,
        clock=target.clock,
        run=target.run,
        speed=speed,
    )
    where = ", ".join(topics.values())
    typer.echo(f"{target.bus.name}: {where}; schemas in {registry_name(target.registry)}")
    if publication.done:
        _tell(publication.report)
        typer.echo(
            f"nothing is left to publish: run {target.run} has published {chosen[0].date}; its schemas are "
            "registered.  Workers join it once more after `python -m app reset`; under another --run its "
            "rows would come a second time, and be late"
        )
        publication.close()
        return 0
    promised = promised_ns(target.bus, registry, topics, partitions, f"{target.run}-publisher")
    if promised is not None and (late := publication.late_rows(promised)):
        _warn_of(late, publication, min(promised.values()))
    return _run(publication)


def _warn_of(late: int, publication: Publication, upper_ns: int) -> None:
    typer.echo(
        f"warning: {late:,} of {publication.rows - publication.rows_done:,} rows will be late: progress "
        f"records in these topics say that nothing below {np.datetime64(upper_ns, 'ns')}Z follows.  What a "
        "worker has sealed stays as it is, and these rows go to the late topic.  What these topics hold "
        "already is joined once more after `python -m app reset`; an earlier day needs topics of another "
        "prefix",
        err=True,
    )


def _run(publication: Publication) -> int:
    console = Console(stderr=True)
    try:
        with progress_bar(publication, console) as show:
            report = publication.run(show=show, stopped=_stop_on_signals())
    except (BusError, RegistryUnavailableError) as stopped:
        typer.echo(f"stopped: {stopped}; the same command goes on from here", err=True)
        return 1
    finally:
        publication.close()
    _tell(report)
    if not publication.done:
        typer.echo("stopped half-way: the same command goes on from here", err=True)
        return 1
    return 0


def count_partitions(bus: Bus, topics: Sequence[str], wanted: int | None = None) -> int:
    """Return the one partition count of these topics.

    Raises BusError where one is missing, or they differ, or their count is not the one wanted.
    """
    specs = bus.admin().describe(topics)
    missing = [name for name, spec in specs.items() if spec is None]
    if missing:
        raise BusError(
            f"{bus.name} has no topic {', '.join(missing)}: create it with python -m app topics apply"
        )
    count = require_copartitioned({name: spec.partitions for name, spec in specs.items() if spec is not None})
    if wanted not in (None, count):
        raise BusError(
            f"{', '.join(topics)} have {count} partitions, and bus.partitions = {wanted}: correct the "
            "settings, or see python -m app topics plan"
        )
    return count


def parse_client_config(lines: Iterable[str]) -> dict[str, str]:
    """Read `key=value` lines, as other Kafka tools take them; an error shows no line: it may be a secret."""
    config: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not equals:
            raise PublishError(f"the client configuration's line {number} is not key=value")
        config[key.strip()] = value.strip()
    return config


def without_registry(config: Mapping[str, str]) -> dict[str, str]:
    """The settings of a Kafka client among those of a file for both clients."""
    return {key: value for key, value in config.items() if not key.startswith(_REGISTRY)}


def of_registry(config: Mapping[str, str]) -> dict[str, str]:
    """The settings of the registry's client among those of a file for both clients."""
    return {key.removeprefix(_REGISTRY): value for key, value in config.items() if key.startswith(_REGISTRY)}


def _stop_on_signals() -> Callable[[], bool]:
    """Return whether SIGTERM or SIGINT has come; the transaction under way is finished first."""
    came: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: came.append(received))
    return lambda: bool(came)


def _tell(report: PublishReport) -> None:
    for stream, before in report.before.items():
        earlier = f", {before:,} before" if before else ""
        typer.echo(f"{stream}: {report.rows[stream]:,} rows published{earlier}")
    for (stream, reason), count in sorted(report.refused.items()):
        typer.echo(f"{stream}: {count:,} rows refused: {reason}")
    rate = sum(report.rows.values()) / report.seconds if report.seconds else 0.0
    typer.echo(
        f"{report.messages:,} messages, {report.bytes_size:,} bytes in {report.seconds:.2f} s "
        f"({rate:,.0f} rows/s)"
    )
