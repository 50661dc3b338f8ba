"""`replay`: days end to end, on a log of choice."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from app.cli import ConfigFile, app, console, print_lines, say
from app.commands.durations import flag_ns
from app.day.days import replay_dates
from app.day.reading import Reading
from app.day.request import ReplayRequest
from app.day.typed import as_typed, require_variables
from app.errors import UsageError
from app.wiring.broker import left_running
from replay.errors import HistoryError
from replay.imports.units import Unit
from replay.publish.pace import parse_speed
from replay.store.objects import store_of
from schemas.clocks import Clock

DateOption = Annotated[
    str | None,
    typer.Option(
        help="Day to replay, YYYY-MM-DD, or the first and the last of several, 2024-03-04..2024-03-08.  "
        "A day that the default history lacks is generated.  Default: none, one must be named."
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder with trades* and quotes* as Parquet, CSV, Arrow or DBN, imported once.  Default: the "
        "history alone."
    ),
]
EventOption = Annotated[
    str | None,
    typer.Option(help="Column of the exchange's clock in --data.  Default: event_ns, ts_ns or event_ts_ns."),
]
KnownOption = Annotated[
    str | None,
    typer.Option(help="Column of the receiver's clock in --data.  Default: known_ns or recv_ts_ns, if any."),
]
SymbolOption = Annotated[
    str | None,
    typer.Option(
        help="Columns that name the instrument in the files of --data, with a comma between them.  Default: "
        "market,symbol where every file has both, else symbol."
    ),
]
TimezoneOption = Annotated[
    str | None,
    typer.Option(
        help="Time zone (IANA name) whose calendar days the rows of --data belong to.  Default: "
        "America/New_York."
    ),
]
NaiveOption = Annotated[
    str | None,
    typer.Option(help="Time zone of clocks in --data that name none.  Default: such clocks are refused."),
]
UnitOption = Annotated[
    Unit | None,
    typer.Option(
        help="Unit of clocks in --data that are whole numbers; auto takes each row's from its size.  "
        "Default: ns."
    ),
]
StoreOption = Annotated[
    str | None,
    typer.Option(
        help="Folder or URL of the history.  Default: build/history/generated, with --data a folder of its "
        "own."
    ),
]
OutOption = Annotated[
    Path | None, typer.Option(help="Folder for rows, summary and picture.  Default: build/replay/DATE.")
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
FeatureOption = Annotated[
    str | None,
    typer.Option(help="Feature that the picture shows, NODE.COLUMN of an output.  Default: none."),
]
AgainOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of a run of one day: run it again with its own settings, into --out or a folder `again` "
        "in it, and compare all rows; exit 1 where they differ.  Default: --date says what to run."
    ),
]
MakeOption = Annotated[
    str | None,
    typer.Option(
        hidden=True,
        help="Variables that make was given, with blanks between; messages name variables.  Default: flags "
        "were typed.",
    ),
]


@app.command()
def replay(
    date: DateOption = None,
    config: ConfigFile = None,
    data: DataOption = None,
    event: EventOption = None,
    known: KnownOption = None,
    symbol: SymbolOption = None,
    timezone: TimezoneOption = None,
    naive_as: NaiveOption = None,
    unit: UnitOption = None,
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
    feature: FeatureOption = None,
    again: AgainOption = None,
    from_make: MakeOption = None,
) -> None:
    """Replay one day, or each of several, through topics and workers to aligned rows, and audit them.

    Stopped half-way, the same command goes on.  Exit 1 if the audit finds anything.

    Example: python -m app replay --date 2024-01-15 --partitions 8 --workers 2
    """
    if again is not None:
        run_again(again, out, bootstrap, date, config)
        return
    folder = out or Path("build/replay") / str(date)
    history = store_of(store)
    where: dict[str, Any] = {"config": config, "data": data, "store": history, "out": folder, "bus": bus}
    how: dict[str, Any] = {"shape": shape, "format": format, "workers": workers, "partitions": partitions}
    matched = rule(clock, carry, allow_exact, flag_ns("tolerance", tolerance, tolerance_ns))

    def request(day: str) -> ReplayRequest:
        return ReplayRequest(
            date=day,
            reading=reading(event, known, symbol, timezone, naive_as, unit),
            bootstrap=bootstrap,
            speed=parse_speed(speed),
            grace_ns=flag_ns("grace", grace, grace_ns),
            feature=feature,
            **(where | how | matched),
        )

    run(date, from_make, request)


def run_again(
    folder: Path, out: Path | None, bootstrap: str | None, date: str | None, config: Path | None
) -> None:
    """Run what a folder holds again, and say of each output whether its rows are as they were."""
    from app.day.again import run_again

    if date is not None or config is not None:
        raise UsageError("--again has the date and the settings of the run: leave --date and --config out")
    done = run_again(folder, out, bootstrap, say)
    done.summary.show(console)
    print_lines(done.lines)
    if not done.equal or done.summary.audit_violations:
        raise typer.Exit(1)


def rule(
    clock: Clock | None,
    carry: Literal["row", "column"] | None,
    allow_exact: bool | None,
    tolerance_ns: int | None,
) -> dict[str, Any]:
    """The flags that say how rows match, as the request has them."""
    return {"clock": clock, "carry": carry, "allow_exact": allow_exact, "tolerance_ns": tolerance_ns}


def reading(
    event: str | None,
    known: str | None,
    symbol: str | None,
    timezone: str | None,
    naive_as: str | None,
    unit: Unit | None,
) -> Reading:
    return Reading(event=event, known=known, symbol=symbol, timezone=timezone, naive_as=naive_as, unit=unit)


def run(date: str | None, from_make: str | None, request: Callable[[str], ReplayRequest]) -> None:
    """Run a day or several; what goes wrong is said in the words of whoever typed, make's or Python's."""
    by_make = from_make is not None
    require_variables((from_make or "").split())

    def say_as_typed(line: str) -> None:
        say(as_typed(line, by_make=by_make))

    try:
        summary = replay_dates(date, request, say_as_typed)
    except (UsageError, HistoryError) as wrong:
        raise UsageError(as_typed(str(wrong), by_make=by_make)) from None
    summary.show(console)
    if stays := left_running(summary.bus):
        say(stays)
    if summary.audit_violations:
        raise typer.Exit(1)
