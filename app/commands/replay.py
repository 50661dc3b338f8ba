"""`replay` and `backtest`: one day end to end, on a log of choice or in this process alone."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from app.cli import ConfigFile, app, console, say
from app.commands.durations import flag_ns
from app.day.request import ReplayRequest
from app.day.run import replay_day
from app.wiring.broker import left_running
from replay.publish.pace import parse_speed
from schemas.clocks import Clock

DateOption = Annotated[
    str,
    typer.Option(help="Day to replay, YYYY-MM-DD.  A day that the default history lacks is generated."),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder with trades*.parquet and quotes*.parquet, imported once.  Default: the history alone."
    ),
]
StoreOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the history.  Default: build/history/generated, with --data a folder of its own."
    ),
]
OutOption = Annotated[
    Path | None, typer.Option(help="Folder for rows, summary and picture.  Default: build/replay/DATE.")
]
BacktestOutOption = Annotated[
    Path | None, typer.Option(help="Folder for rows, summary and picture.  Default: build/backtest/DATE.")
]
BusOption = Annotated[
    Literal["kafka", "embedded"] | None,
    typer.Option(
        help="Log to replay through: a real Kafka, or the embedded bus in this process.  "
        "Default: kafka where Java and Maven are, else embedded."
    ),
]
BootstrapOption = Annotated[
    str | None,
    typer.Option(help="Address of your Kafka broker, host:port.  Default: a broker started on loopback."),
]
SpeedOption = Annotated[
    str, typer.Option(help="Pace of the publisher: max, or a multiple of market time such as 1 or 10.")
]
PartitionsOption = Annotated[
    int | None,
    typer.Option(min=1, max=1000, help="Partitions of each topic.  Default: bus.partitions (4)."),
]
WorkersOption = Annotated[int, typer.Option(min=1, max=100, help="Workers that share the partitions.")]
ShapeOption = Annotated[
    Literal["block", "record"],
    typer.Option(help="Shape of a message: block, many rows of one symbol, or record, one row."),
]
FormatOption = Annotated[
    Literal["frame", "avro"] | None,
    typer.Option(
        help="Format of the aligned topic: frame, Arrow, or avro, a record a row.  "
        "Default: worker.format (frame)."
    ),
]
ClockOption = Annotated[
    Clock | None,
    typer.Option(
        help="Clock to join on: event, when it happened, or known, when this system could know it.  "
        "Default: pipeline.clock (event)."
    ),
]
CarryOption = Annotated[
    Literal["row", "column"] | None,
    typer.Option(
        help="Values to carry over: row, the matched row as it is, or column, the last value of each "
        "column.  Default: pipeline.carry (row)."
    ),
]
ExactOption = Annotated[
    bool | None,
    typer.Option(
        "--allow-exact/--strict",
        help="Let a quote of the same nanosecond match, or only earlier ones.  Default: "
        "pipeline.allow_exact (true).",
    ),
]
ToleranceOption = Annotated[
    str | None,
    typer.Option(
        help="Farthest match, inclusive, such as 2s or 500ms.  Default: pipeline.tolerance_ns (any)."
    ),
]
ToleranceNsOption = Annotated[
    int | None, typer.Option(min=0, help="The same in whole nanoseconds.  Default: --tolerance.")
]
GraceOption = Annotated[
    str | None,
    typer.Option(
        help="Disorder to wait for, such as 50ms.  Default: pipeline.grace_ns of --config, without a file "
        "what the day needs.",
    ),
]
GraceNsOption = Annotated[
    int | None, typer.Option(min=0, help="The same in whole nanoseconds.  Default: --grace.")
]


@app.command()
def replay(
    date: DateOption,
    config: ConfigFile = None,
    data: DataOption = None,
    store: StoreOption = None,
    bus: BusOption = None,
    bootstrap: BootstrapOption = None,
    speed: SpeedOption = "max",
    out: OutOption = None,
    partitions: PartitionsOption = None,
    workers: WorkersOption = 1,
    shape: ShapeOption = "block",
    format: FormatOption = None,  # noqa: A002 - the flag's name
    clock: ClockOption = None,
    carry: CarryOption = None,
    allow_exact: ExactOption = None,
    tolerance: ToleranceOption = None,
    tolerance_ns: ToleranceNsOption = None,
    grace: GraceOption = None,
    grace_ns: GraceNsOption = None,
) -> None:
    """Replay one day from history through topics and workers to aligned rows, and audit them.

    Stopped half-way, the same command goes on.  Exit 1 if the audit finds anything.

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
            tolerance_ns=flag_ns("tolerance", tolerance, tolerance_ns),
            grace_ns=flag_ns("grace", grace, grace_ns),
        )
    )


@app.command()
def backtest(
    date: DateOption,
    config: ConfigFile = None,
    data: DataOption = None,
    store: StoreOption = None,
    out: BacktestOutOption = None,
    partitions: PartitionsOption = None,
    workers: WorkersOption = 1,
    clock: ClockOption = None,
    carry: CarryOption = None,
    allow_exact: ExactOption = None,
    tolerance: ToleranceOption = None,
    tolerance_ns: ToleranceNsOption = None,
    grace: GraceOption = None,
    grace_ns: GraceNsOption = None,
) -> None:
    """Run the same pipeline over one day of history in this process, without a broker, and audit the rows.

    The rows are those of a live run.  Exit 1 if the audit finds anything.

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
            tolerance_ns=flag_ns("tolerance", tolerance, tolerance_ns),
            grace_ns=flag_ns("grace", grace, grace_ns),
        )
    )


def _run(request: ReplayRequest) -> None:
    summary = replay_day(request, say)
    summary.show(console)
    if stays := left_running(summary.bus):
        say(stays)
    if summary.audit_violations:
        raise typer.Exit(1)
