"""`replay` and `backtest`: one day end to end, on a log of choice or in this process alone."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from app.cli import ConfigFile, app, console, say
from app.day.request import ReplayRequest
from app.day.run import replay_day
from replay.publish.pace import parse_speed
from schemas.clocks import Clock

DateOption = Annotated[
    str, typer.Option(help="The day, YYYY-MM-DD; generated where there is no history of it.")
]
DataOption = Annotated[Path | None, typer.Option(help="Folder with trades*.parquet and quotes*.parquet.")]
StoreOption = Annotated[Path | None, typer.Option(help="History to read from and to import into.")]
OutOption = Annotated[Path | None, typer.Option(help="Where the rows go; default build/replay/DATE.")]
PartitionsOption = Annotated[int | None, typer.Option(min=1, max=1000, help="Of every topic.")]
WorkersOption = Annotated[int, typer.Option(min=1, max=100, help="Members of the consumer group.")]
ShapeOption = Annotated[Literal["block", "record"], typer.Option(help="Many rows a message, or one.")]
FormatOption = Annotated[Literal["frame", "avro"] | None, typer.Option(help="Of the aligned topic.")]
ClockOption = Annotated[Clock | None, typer.Option(help="Join on when it happened, or could be known.")]
CarryOption = Annotated[
    Literal["row", "column"] | None, typer.Option(help="The matched row, or per column the last value.")
]
ExactOption = Annotated[
    bool | None, typer.Option("--allow-exact/--strict", help="May a quote of the same nanosecond match.")
]
ToleranceOption = Annotated[int | None, typer.Option(min=0, help="Farthest match, ns; default any.")]
GraceOption = Annotated[int | None, typer.Option(min=0, help="ns; default: what the day's disorder needs.")]


@app.command()
def replay(
    date: DateOption,
    config: ConfigFile = None,
    data: DataOption = None,
    store: StoreOption = None,
    bus: Annotated[Literal["kafka", "embedded"] | None, typer.Option(help="Force one.")] = None,
    bootstrap: Annotated[str | None, typer.Option(help="host:port of a running Kafka broker.")] = None,
    speed: Annotated[str, typer.Option(help="max, or a factor of market time: 1, 10.")] = "max",
    out: OutOption = None,
    partitions: PartitionsOption = None,
    workers: WorkersOption = 1,
    shape: ShapeOption = "block",
    format: FormatOption = None,  # noqa: A002 - the flag's name
    clock: ClockOption = None,
    carry: CarryOption = None,
    allow_exact: ExactOption = None,
    tolerance_ns: ToleranceOption = None,
    grace_ns: GraceOption = None,
) -> None:
    """Replay one day: history, topics, workers, aligned topic, audit.  Exit 1 if the audit finds anything.

    Without --bus and --bootstrap a Kafka is started on loopback where Java and Maven are present.

    Example: python -m app replay --date 2024-01-15 --partitions 8 --workers 2
    """
    _run(
        ReplayRequest(
            date=date,
            config=config,
            data=data,
            store=store,
            bus=bus,
            bootstrap=bootstrap,
            speed=parse_speed(speed),
            out=out or Path("build/replay") / date,
            partitions=partitions,
            workers=workers,
            shape=shape,
            format=format,
            clock=clock,
            carry=carry,
            allow_exact=allow_exact,
            tolerance_ns=tolerance_ns,
            grace_ns=grace_ns,
        )
    )


@app.command()
def backtest(
    date: DateOption,
    config: ConfigFile = None,
    data: DataOption = None,
    store: StoreOption = None,
    out: OutOption = None,
    partitions: PartitionsOption = None,
    workers: WorkersOption = 1,
    clock: ClockOption = None,
    carry: CarryOption = None,
    allow_exact: ExactOption = None,
    tolerance_ns: ToleranceOption = None,
    grace_ns: GraceOption = None,
) -> None:
    """The same pipeline over the same day in this process, with no broker: the rows are the live ones.

    Example: python -m app backtest --config tidemark.toml --date 2024-01-15
    """
    _run(
        ReplayRequest(
            date=date,
            config=config,
            data=data,
            store=store,
            bus="embedded",
            out=out or Path("build/backtest") / date,
            partitions=partitions,
            workers=workers,
            clock=clock,
            carry=carry,
            allow_exact=allow_exact,
            tolerance_ns=tolerance_ns,
            grace_ns=grace_ns,
        )
    )


def _run(request: ReplayRequest) -> None:
    summary = replay_day(request, say)
    summary.show(console)
    if summary.audit_violations:
        raise typer.Exit(1)
