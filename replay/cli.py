"""The commands of `python -m replay`; each says what it does, and bad input ends in one line, exit 2."""

import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from replay.errors import HistoryError, PublishError
from replay.imports.folder import import_folder
from replay.imports.units import Unit
from replay.market import generate as market
from replay.publish.messages import Shape
from replay.publish.pace import parse_speed
from replay.publish.progress_bar import progress_bar
from replay.publish.publication import Publication, PublishReport
from replay.store.catalog import list_days, print_catalog
from replay.store.days import HistoryStore
from schemas.clocks import Clock
from schemas.stream import StreamError
from topics.bus import Bus, BusError
from topics.catalogue import default_topic, require_copartitioned
from topics.kafka.bus import KafkaBus
from topics.registry.open import open_registry
from topics.warm import warm_encoder
from topics.wire import CodecError, RegistryUnavailableError

BROKER_WAIT_MS: Final = 5_000
REGISTRY: Final = "schema.registry."  # begins the settings of its client, as in Confluent's tools

app = typer.Typer(
    help="Keep a history of market data: import or generate days, list them, publish them as streams.",
    add_completion=False,
    pretty_exceptions_enable=False,
)

Store = Annotated[Path, typer.Option(help="Folder of the history, made where it is absent.")]
STORE: Final = Path("build/history/generated")


Folder = Annotated[Path, typer.Argument(help="Folder with trades* and quotes*: files, or folders of parts.")]
TimezoneOption = Annotated[
    str, typer.Option(help="Time zone of the exchange (IANA name): a row belongs to its date there.")
]
SymbolOption = Annotated[
    str | None,
    typer.Option(
        help="Columns that name the instrument, with a comma between them.  Default: market,symbol where "
        "every file has both, else symbol."
    ),
]
EventOption = Annotated[
    str | None,
    typer.Option(help="Column of the exchange's clock.  Default: event_ns, ts_ns or event_ts_ns."),
]
KnownOption = Annotated[
    str | None,
    typer.Option(help="Column of the receiver's clock.  Default: known_ns or recv_ts_ns, if any."),
]
UnitOption = Annotated[
    Unit, typer.Option(help="Unit of clocks that are whole numbers; auto takes each row's from its size.")
]
NaiveOption = Annotated[
    str | None, typer.Option(help="Time zone of clocks that name none.  Default: such clocks are refused.")
]
FormatOption = Annotated[
    str | None,
    typer.Option(help="Format of clocks that are text, such as '%d.%m.%Y %H:%M:%S%.f'.  Default: ISO 8601."),
]
DropOption = Annotated[
    list[str] | None, typer.Option(help="Column to leave out; give it once for each.  Default: none.")
]
KeepOption = Annotated[
    str | None,
    typer.Option(
        help="Columns to keep beside instrument, clocks and sequence, with a comma between them.  "
        "Default: all."
    ),
]
RenameOption = Annotated[
    list[str] | None,
    typer.Option(help="New name of a column, OLD=NEW; give it once for each.  Default: none."),
]
ReplaceFlag = Annotated[
    bool, typer.Option("--replace", help="Replace days of which other files gave rows: these are lost.")
]
DryRunFlag = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be imported, file by file, and write nothing.")
]


@app.command("import")
def import_command(
    folder: Folder,
    store: Store = STORE,
    timezone: TimezoneOption = "America/New_York",
    symbol: SymbolOption = None,
    event: EventOption = None,
    known: KnownOption = None,
    unit: UnitOption = "ns",
    naive_as: NaiveOption = None,
    time_format: FormatOption = None,
    drop: DropOption = None,
    keep: KeepOption = None,
    rename: RenameOption = None,
    replace: ReplaceFlag = False,
    dry_run: DryRunFlag = False,
) -> None:
    """Import a folder of Parquet, CSV, Arrow or DBN files; days that are unchanged are not written again.

    Clocks are whole nanoseconds UTC, timestamps or text, in event_ns, ts_ns or event_ts_ns (the exchange's
    clock) and known_ns or recv_ts_ns (the receiver's).  Every other column keeps its values.  Rows without
    symbol or time are named and left out.  CSV and DBN are unpacked in the folder for temporary files.
    DBN needs Databento's library: pip install databento-dbn.

    Example: python -m replay import ../shared/data/lean_us_equity_ticks --dry-run
    """
    report = import_folder(
        HistoryStore(store),
        folder,
        dry_run=dry_run,
        timezone=timezone,
        symbol=symbol,
        event=event,
        known=known,
        unit=unit,
        naive_as=naive_as,
        time_format=time_format,
        drop=drop or (),
        keep=keep,
        rename=rename or (),
        replace=replace,
    )
    for line in report.lines():
        typer.echo(line)


@app.command("generate")
def generate_command(
    date: Annotated[str, typer.Option(help="Day to make, YYYY-MM-DD.")],
    store: Store = STORE,
    symbols: Annotated[
        int, typer.Option(help="Number of symbols; the first is the busiest.")
    ] = market.SYMBOLS,
    trades: Annotated[int, typer.Option(help="Number of trades.")] = market.TRADES,
    quotes: Annotated[int, typer.Option(help="Number of quotes.")] = market.QUOTES,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Seed of the random numbers; the same seed makes the same day.  Default: YYYYMMDD."
        ),
    ] = None,
) -> None:
    """Make a day of a synthetic market: U-shaped volume, bursts, duplicate times, two clocks that disagree.

    Example: python -m replay generate --date 2024-01-15 --trades 300000 --quotes 2000000
    """
    days = market.generate_day(
        HistoryStore(store), date, symbols=symbols, trades=trades, quotes=quotes, seed=seed
    )
    for day in days:
        typer.echo(str(day))


@app.command("catalog")
def catalog_command(
    store: Store = STORE,
    date: Annotated[str | None, typer.Option(help="Day to list, YYYY-MM-DD.  Default: all days.")] = None,
) -> None:
    """List the days of the history with rows, symbols, span, and disorder on each clock.

    Example: python -m replay catalog --store build/history
    """
    days = list_days(HistoryStore(store), date)
    if not days:
        typer.echo(f"the history at {store} is empty: import or generate a day first")
        return
    print_catalog(days, Console())


ShapeOption = Annotated[
    Shape, typer.Option(help="Shape of a message: record, one row, or block, many rows of one symbol.")
]
SpeedOption = Annotated[str, typer.Option(help="Pace: max, or a multiple of market time such as 1 or 10.")]
GraceOption = Annotated[
    int,
    typer.Option(help="Grace of the worker, in nanoseconds; rows are published no further out of order."),
]
ClockOption = Annotated[
    Clock, typer.Option(help="Clock that the worker joins on; rows are published in its order.")
]
RunOption = Annotated[
    str | None,
    typer.Option(help="Name of the publication; the same name goes on where it stopped.  Default: PREFIX."),
]
ClientConfig = Annotated[
    typer.FileText | None,
    typer.Option(
        help="File of librdkafka settings, a key=value a line; schema.registry.* are for the registry's "
        "client; - is standard input.  Default: none."
    ),
]


@app.command("publish")
def publish_command(
    date: Annotated[str, typer.Option(help="Day to publish, YYYY-MM-DD.")],
    bootstrap: Annotated[
        str, typer.Option(help="Address of the Kafka broker, host:port.")
    ] = "127.0.0.1:9092",
    prefix: Annotated[
        str,
        typer.Option(
            "--topics", "--prefix", help="First part of the topics' names: PREFIX.trade, PREFIX.quote."
        ),
    ] = "tidemark",
    store: Store = STORE,
    shape: ShapeOption = "block",
    speed: SpeedOption = "max",
    grace_ns: GraceOption = 50_000_000,
    clock: ClockOption = "event",
    registry: Annotated[
        str, typer.Option(help="Schema registry: its URL, or a folder that serves as one.")
    ] = "build/schemas",
    run: RunOption = None,
    client_config: ClientConfig = None,
) -> None:
    """Publish a day, all its streams in the order of time, each row once; stopped, the same command goes on.

    The topics must exist, with equal partition counts (python -m app topics apply).

    Example: python -m replay publish --date 2024-01-15 --speed 10 --shape record
    """
    if grace_ns < 0:
        raise PublishError(f"grace_ns {grace_ns} must be 0 or more")
    factor = parse_speed(speed)
    warm_encoder()  # before standard input is waited for: whoever is there may count the time from then on
    days = list_days(HistoryStore(store), date)
    topics = {day.summary.stream: default_topic(prefix, day.summary.stream) for day in days}
    config = parse_client_config(client_config or ())
    bus = KafkaBus(bootstrap, {k: v for k, v in config.items() if not k.startswith(REGISTRY)})
    bus.check(BROKER_WAIT_MS)
    bus.admin().group(f"{run or prefix}-publisher")  # a consumer would wait where this user lacks the right
    publication = Publication(
        bus=bus,
        registry=open_registry(registry, _of_registry(config)),
        days=days,
        topics=topics,
        partitions=count_partitions(bus, list(topics.values())),
        shape=shape,
        grace_ns=grace_ns,
        clock=clock,
        run=run or prefix,
        speed=factor,
    )
    _run(publication)


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


def _run(publication: Publication) -> None:
    """Publish what remains and say what was; exit 1 where more is left."""
    console = Console(stderr=True)
    try:
        with progress_bar(publication, console) as show:
            report = publication.run(show=show, stopped=_stop_on_signals())
    except (BusError, RegistryUnavailableError) as stopped:
        typer.echo(f"stopped: {stopped}; the same command goes on from here", err=True)
        raise typer.Exit(1) from None
    finally:
        publication.close()
    _tell(report)
    if not publication.done:
        typer.echo("stopped half-way: the same command goes on from here", err=True)
        raise typer.Exit(1)


def _of_registry(config: Mapping[str, str]) -> dict[str, str]:
    return {k.removeprefix(REGISTRY): v for k, v in config.items() if k.startswith(REGISTRY)}


def count_partitions(bus: Bus, topics: Sequence[str]) -> int:
    """Return the one partition count of these topics; raises BusError where one is missing or they differ."""
    specs = bus.admin().describe(topics)
    missing = [name for name, spec in specs.items() if spec is None]
    if missing:
        raise BusError(
            f"{bus.name} has no topic {', '.join(missing)}: create it with python -m app topics apply"
        )
    return require_copartitioned({name: spec.partitions for name, spec in specs.items() if spec is not None})


def main(arguments: list[str]) -> int:
    """Run a command and return its exit code: 0 done, 1 could not go on, 2 bad input."""
    try:
        code = app(arguments or ["--help"], standalone_mode=False, prog_name="python -m replay")
    except (
        typer.exceptions.TyperException,
        HistoryError,
        StreamError,
        CodecError,
        BusError,
        RegistryUnavailableError,
    ) as wrong:
        text = wrong.format_message() if isinstance(wrong, typer.exceptions.TyperException) else str(wrong)
        typer.echo(f"error: {' '.join(text.split())}", err=True)
        return 2
    except (typer.Abort, KeyboardInterrupt):
        return 130
    return code if isinstance(code, int) else 0


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
