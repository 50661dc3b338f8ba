"""`python -m app topics repartition`: a topic copied so that each key is where the partitioner wants it."""

from time import monotonic
from typing import Annotated

import typer

from app.cli import Bootstrap, ConfigFile, console, say
from app.commands.align import topics_app
from app.config import Settings, load_settings
from app.errors import RunError
from app.process.clock import now_ns
from app.repartition.copy import Copy, CopyReport
from app.repartition.disorder import cautions, disorder_line
from app.repartition.homes import Reading
from app.repartition.source import Source, source_of
from app.repartition.target import Prepared, prepare
from app.wiring.open import open_bus
from topics.registry.open import open_registry

SHOW_EVERY_S = 5.0


@topics_app.command("repartition")
def topics_repartition(
    source: Annotated[str, typer.Option("--from", help="Topic to copy; it is only read.")],
    target: Annotated[
        str,
        typer.Option("--to", help="Topic to copy it to; it is created if there is none."),
    ],
    partitions: Annotated[
        int | None,
        typer.Option(min=1, help="Partitions of the copy.  Default: bus.partitions of the settings."),
    ] = None,
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Copy a topic so that it is co-partitioned: each key in the partition that murmur2 gives it.

    Copies what the topic holds when the command starts, in transactions: keys, values, headers and record
    times stay, and so does the order within each source partition.  Source partitions are merged by record
    time.  So grace_ns must cover how far record times run back in the copy, which is printed, and how far
    rows' times trail them: 1 ms for Tidemark's own, and the time that a block of rows spans.

    Where a stream of the settings reads the topic, its format may be any but "arrow".  With key_from =
    "columns" a message goes to the partition of the key that its columns make, and one with rows of several
    partitions ends the copy before it.  A topic that no stream reads is Avro, with schemas in the registry.

    A copy that was interrupted goes on with the same command.  A later one copies what has come since, which
    a running worker calls late: who goes on writing needs that partitioner.

    Example: python -m app topics repartition --from tidemark.quote --to tidemark.quote-repartitioned
    """
    settings = load_settings(config, {"bus": {"bootstrap": bootstrap}})
    wanted = settings.bus.partitions if partitions is None else partitions
    bus = open_bus(settings)
    registry = open_registry(settings.bus.schema_registry, settings.bus.registry_settings())
    origin = source_of(settings, source)
    reading = Reading(origin.foreign, origin.homes(settings, registry, bus, wanted))
    prepared = prepare(bus, registry, source, target, wanted, origin.schemas)
    _say_beforehand(settings, origin, prepared, target)
    copy = Copy(bus, registry, source, target, wanted, latest_ns=_latest_ns(settings), reading=reading)
    shown_s = monotonic()

    def show(copy: Copy) -> None:
        nonlocal shown_s
        if monotonic() - shown_s > SHOW_EVERY_S:
            shown_s = monotonic()
            say(f"{copy.report.messages:,} messages copied")

    try:
        report = copy.run(show=show)
    finally:
        copy.close()
    _print_report(report, source, prepared.source_partitions, target, wanted)
    if copy.cut_by is not None:
        (_, number), offset = copy.cut_by
        raise RunError(
            f"{source}[{number}] has an open transaction at offset {offset}, so the copy ended there for all "
            "partitions, in order of their times: more of the others would come before what it writes.  "
            "Run the same command again when it has ended (its producer commits, aborts or times out)"
        )
    _advise(settings, source, target, wanted)


def _say_beforehand(settings: Settings, origin: Source, prepared: Prepared, target: str) -> None:
    for left_out in prepared.unshared:
        say(
            f"not registered for {target}: {left_out}.  Messages of it that cannot be read are dead letters "
            "there, and do not stop the worker"
        )
    known = cautions(origin.topic, clock=settings.pipeline.clock, blocks=prepared.blocks)
    for caution in filter(None, [*known, origin.caution(settings)]):
        say(caution)


def _print_report(
    report: CopyReport, source: str, source_partitions: int, target: str, partitions: int
) -> None:
    console.print(
        f"{report.messages:,} messages copied from {source} ({source_partitions} partitions) to "
        f"{target} ({partitions}): {report.moved:,} have another partition number now",
        soft_wrap=True,
    )
    if report.keyless:
        console.print(f"{report.keyless:,} of them have no key and keep their partition number")
    if report.unplaced:
        console.print(
            f"{report.unplaced:,} of them have no row that can be read and keep their partition number, the "
            f"first at {report.first_unplaced}",
            markup=False,
            soft_wrap=True,
        )
    if report.ahead:
        console.print(
            f"{report.ahead:,} progress records say more than pipeline.max_ahead_ns beyond this machine's "
            f"clock and are left out, the first at {report.first_ahead}",
            markup=False,
            soft_wrap=True,
        )
    if report.messages:
        console.print(disorder_line(report.disorder), soft_wrap=True)


def _latest_ns(settings: Settings) -> int | None:
    """The latest bound to believe, by this machine's clock: of a pipeline's inputs a copy reads but one."""
    max_ahead_ns = settings.pipeline.max_ahead_ns
    return None if max_ahead_ns is None else now_ns() + max_ahead_ns


def _advise(settings: Settings, source: str, target: str, partitions: int) -> None:
    names = [name for name in settings.stream_names if settings.topic(name) == source]
    if names and partitions == settings.bus.partitions:
        console.print(f'Now say streams.{names[0]}.topic = "{target}"; producers write there from now on.')
        console.print(
            "A group that has committed already would call the copied rows late: choose another "
            "pipeline.prefix for it."
        )
    elif names:
        say(
            f"the copy has {partitions} partitions, and bus.partitions is {settings.bus.partitions}: copy "
            "the other inputs too, and change bus.partitions"
        )
