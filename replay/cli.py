"""The commands of `python -m replay`; each says what it does, and bad input ends in one line, exit 2."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from replay.become import become
from replay.errors import HistoryError, NotWrittenError, PublishError
from replay.imports.folder import import_folder
from replay.imports.options import OptionValues
from replay.imports.units import Unit
from replay.market import generate as market
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
from replay.publish.session import Target, of_registry, parse_client_config, publish, without_registry
from replay.quality_commands import quality
from replay.quality_options import (
    DEDUP_S,
    AgainstOption,
    ConditionsOption,
    ConditionTableOption,
    CorrectionsOption,
    DedupOption,
    DefaultOption,
    DeviationOption,
    FactorOption,
    IdsOption,
    OddLotsOption,
    SpreadsOption,
    TickOption,
    TrimmedFlag,
    check_rules,
)
from replay.query_command import queries
from replay.store.cache import CacheSettings, use_cache
from replay.store.catalog import list_days, print_catalog
from replay.store.days import HistoryStore
from replay.store.objects import parse_store
from replay.table_commands import tables
from schemas.clocks import NS_PER_MS
from schemas.stream import StreamError
from topics.bus import BusError
from topics.catalogue import default_topic
from topics.kafka.bus import KafkaBus
from topics.warm import warm_encoder
from topics.wire import CodecError, RegistryUnavailableError

BROKER_WAIT_MS: Final = 5_000
CACHE: Final = CacheSettings()

app = typer.Typer(
    help="Keep a history of market data: import or generate days, list them, publish them as streams.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(tables)
app.add_typer(queries)
app.add_typer(quality)


@app.callback()
def root_options(
    cache: Annotated[
        Path, typer.Option(help="Folder for copies of what an object store holds; safe to delete.")
    ] = CACHE.folder,
    cache_size: Annotated[
        int, typer.Option(min=1, help="Bytes of these copies at most; what was used last stays.")
    ] = CACHE.size_max,
) -> None:
    """Keep a history of market data: import or generate days, list them, publish them as streams."""
    use_cache(CacheSettings(folder=cache, size_max=cache_size))


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
FlagFlag = Annotated[
    bool,
    typer.Option(
        "--flag-bad-ticks",
        help="Add a column bad_tick: 0, or bits of what is wrong with the row's prices (docs/history.md).",
    ),
]
LeaveOutOption = Annotated[
    str | None,
    typer.Option(
        help="Kinds of bad ticks whose rows are left out and counted, with a comma between them, such as "
        "duplicate,correction.  Default: none, all rows stay."
    ),
]
DryRunFlag = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be imported, file by file, and write nothing.")
]


SettingsOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="File of a pipeline's settings (TOML): prefix, topics, keys, broker, registry, clock and "
        "grace are its own, flags win.  Without it flags and their defaults hold.",
    ),
]


@app.command("import")
def import_command(
    context: typer.Context,
    folder: Folder,
    store: StoreOption = STORE,
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
    flag_bad_ticks: FlagFlag = False,
    tick: TickOption = None,
    deviation_ticks: DeviationOption = 1.0,
    ids: IdsOption = None,
    dedup_seconds: DedupOption = DEDUP_S,
    corrections: CorrectionsOption = None,
    conditions: ConditionsOption = None,
    condition_table: ConditionTableOption = None,
    odd_lots: OddLotsOption = "all",
    against: AgainstOption = None,
    spreads: SpreadsOption = 1.0,
    trimmed_mean: TrimmedFlag = False,
    leave_out: LeaveOutOption = None,
    factor: FactorOption = None,
    default: DefaultOption = None,
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
        HistoryStore(parse_store(store)), folder, dry_run=dry_run, **_import_values(context.params)
    )
    for line in report.lines():
        typer.echo(line)


def _import_values(flags: Mapping[str, Any]) -> OptionValues:
    """The flags of an import as what it takes."""
    checks = check_rules(flags)
    same = ("timezone", "symbol", "event", "known", "unit", "naive_as", "time_format", "keep", "replace")
    values: OptionValues = {
        "drop": flags["drop"] or (),
        "rename": flags["rename"] or (),
        "bad_ticks": checks.prices if flags["flag_bad_ticks"] else None,
        "checks": checks if checks.text() or flags["leave_out"] else None,
        "leave_out": flags["leave_out"],
        "factors": flags["factor"] or (),
        "defaults": flags["default"] or (),
    }
    return {**{name: flags[name] for name in same}, **values}  # type: ignore[typeddict-item]


@app.command("generate")
def generate_command(
    date: Annotated[str, typer.Option(help="Day to make, YYYY-MM-DD.")],
    store: StoreOption = STORE,
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
        HistoryStore(parse_store(store)), date, symbols=symbols, trades=trades, quotes=quotes, seed=seed
    )
    for day in days:
        typer.echo(str(day))


@app.command("catalog")
def catalog_command(
    store: StoreOption = STORE,
    date: Annotated[str | None, typer.Option(help="Day to list, YYYY-MM-DD.  Default: all days.")] = None,
) -> None:
    """List the days of the history with rows, symbols, span, and disorder on each clock.

    Example: python -m replay catalog --store build/history
    """
    days = list_days(HistoryStore(parse_store(store)), date)
    if not days:
        typer.echo(
            f"the history at {store} is empty: run `python -m replay generate` or "
            "`python -m replay import` first"
        )
        return
    print_catalog(days, Console())


@app.command("publish")
def publish_command(
    context: typer.Context,
    date: DateOption,
    config: SettingsOption = None,
    bootstrap: Annotated[
        str | None,
        typer.Option(
            help="Address of the Kafka broker, host:port.  Default: bus.bootstrap of the settings, else "
            "127.0.0.1:9092."
        ),
    ] = None,
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
    """Publish a day, all its streams in the order of time, each row once; stopped, the same command goes on.

    The topics must exist, with equal partition counts (python -m app topics apply).

    Example: python -m replay publish --date 2024-01-15 -c my.toml

    Example: python -m replay publish --date 2024-01-15 --speed 10 --shape record
    """
    if config is not None:
        become("publish", context.obj)
    if grace_ns is not None and grace_ns < 0:
        raise PublishError(f"grace_ns {grace_ns} must be 0 or more")
    factor = parse_speed(speed)
    warm_encoder()  # before standard input is waited for: whoever is there may count the time from then on
    days = list_days(
        HistoryStore(parse_store(store)), date, parse_versions(version or ()), parse_as_of(as_of)
    )
    prefix = prefix or "tidemark"
    client = parse_client_config(client_config or ())
    bus = KafkaBus(bootstrap or "127.0.0.1:9092", without_registry(client))
    bus.check(BROKER_WAIT_MS)
    target = Target(
        bus=bus,
        registry=registry or "build/schemas",
        registry_settings=of_registry(client),
        topics={day.stream.name: default_topic(prefix, day.stream.name) for day in days},
        keys={},
        grace_ns=50 * NS_PER_MS if grace_ns is None else grace_ns,
        clock=clock or "event",
        run=run or prefix,
    )
    raise typer.Exit(publish(days, target, shape=shape, speed=factor))


@app.command(
    "capture",
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def capture_command(context: typer.Context) -> None:
    """Capture the topics of a pipeline into tables of the history: this is `python -m app capture`.

    Example: python -m replay capture --config tidemark.toml --store build/history/live
    """
    become("capture", context.obj)


def main(arguments: list[str]) -> int:
    """Run a command and return its exit code: 0 done, 1 could not go on, 2 bad input."""
    try:
        code = app(
            arguments or ["--help"], standalone_mode=False, prog_name="python -m replay", obj=arguments
        )
    except NotWrittenError as refused:
        typer.echo(f"stopped: {' '.join(str(refused).split())}", err=True)
        return 1
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
