"""`backtest`: days straight from file to file, and variants of their settings."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli import ConfigFile, app, print_lines, say
from app.commands.durations import flag_ns
from app.commands.replay import (
    AgainOption,
    CarryOption,
    ClockOption,
    DataOption,
    DateOption,
    EventOption,
    ExactOption,
    FeatureOption,
    GraceNsOption,
    GraceOption,
    KnownOption,
    NaiveOption,
    PartitionsOption,
    StoreOption,
    SymbolOption,
    TimezoneOption,
    ToleranceNsOption,
    ToleranceOption,
    UnitOption,
    reading,
    rule,
    run,
    run_again,
)
from app.day.dates import BETWEEN, days_between
from app.day.request import ReplayRequest
from app.errors import UsageError
from replay.store.objects import store_of

MIB = 1 << 20

BacktestOutOption = Annotated[
    Path | None, typer.Option(help="Folder for rows, summary and picture.  Default: build/backtest/DATE.")
]
BacktestWorkersOption = Annotated[
    int, typer.Option(min=1, max=100, help="Workers that share the partitions, with --through-wire.")
]
ThroughWireOption = Annotated[
    bool,
    typer.Option(
        "--through-wire",
        help="Publish the day to an embedded bus and let workers read it, as a live run does; slower, and "
        "the same rows.  Default: straight from the history into the join and the graph.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help='Setting that is another in this run, such as graph.tick.features.x="price * 2"; any number of '
        "them.  Default: none.",
    ),
]
VariantsOption = Annotated[
    Path | None,
    typer.Option(
        help="File of variants (TOML): each table [NAME] has the settings it changes.  Default: none."
    ),
]
CacheOption = Annotated[
    Path,
    typer.Option(help="Folder where rows that variants share are kept, with --set or --variants."),
]
CacheMibOption = Annotated[
    int, typer.Option(min=0, help="Most that the cache keeps from variant to variant, in MiB.")
]


@app.command()
def backtest(
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
    out: BacktestOutOption = None,
    partitions: PartitionsOption = None,
    workers: BacktestWorkersOption = 1,
    through_wire: ThroughWireOption = False,
    clock: ClockOption = None,
    carry: CarryOption = None,
    allow_exact: ExactOption = None,
    tolerance: ToleranceOption = None,
    tolerance_ns: ToleranceNsOption = None,
    grace: GraceOption = None,
    grace_ns: GraceNsOption = None,
    feature: FeatureOption = None,
    again: AgainOption = None,
    sets: SetOption = None,
    variants: VariantsOption = None,
    cache: CacheOption = Path("build/cache"),
    cache_mib: CacheMibOption = 8_192,
) -> None:
    """Run the same join and graph over days of history, straight from Parquet to Parquet, and audit the rows.

    The rows are those of a live run.  Exit 1 if the audit finds anything.  With --set or --variants nodes
    alone are written: what variants share is computed once, and nothing is audited.

    Example: python -m app backtest --date 2024-03-04..2024-03-08 --data mine --event Time --symbol venue,sym

    Example: python -m app backtest --date 2024-01-15 -c my.toml --set "graph.tick.features.x=price * 2"
    """
    if again is not None:
        run_again(again, out, None, date, config)
        return

    folder = out or Path("build/backtest") / str(date)
    where: dict[str, Any] = {"config": config, "data": data, "store": store_of(store), "out": folder}
    how: dict[str, Any] = {"wire": through_wire, "workers": workers, "partitions": partitions}
    matched = rule(clock, carry, allow_exact, flag_ns("tolerance", tolerance, tolerance_ns))

    def request(day: str) -> ReplayRequest:
        return ReplayRequest(
            date=day,
            reading=reading(event, known, symbol, timezone, naive_as, unit),
            bus="embedded",
            grace_ns=flag_ns("grace", grace, grace_ns),
            feature=feature,
            **(where | how | matched),
        )

    _run(date, request, sets or [], variants, (cache, cache_mib))


def _run(
    date: str | None,
    request: Callable[[str], ReplayRequest],
    sets: Sequence[str],
    variants: Path | None,
    cache: tuple[Path, int],
) -> None:
    """Run days as they are, or variants of their settings."""
    if sets or variants is not None:
        _sweep(date, sets, variants, request, cache)
    else:
        run(date, None, request)


def _sweep(
    date: str | None,
    sets: Sequence[str],
    variants: Path | None,
    request: Callable[[str], ReplayRequest],
    cache: tuple[Path, int],
) -> None:
    """Run variants of the settings, and print their table."""
    from app.sweep.cache import Cache
    from app.sweep.run import result_lines, run_sweep
    from app.sweep.variants import variants_of

    if date is None:
        raise UsageError("which day?  Say --date YYYY-MM-DD, or several as FIRST..LAST")
    dates = days_between(date) if BETWEEN in date else [date]
    if request(dates[0]).wire or request(dates[0]).feature is not None:
        raise UsageError(
            "--set and --variants run straight from files: leave out --through-wire and --feature"
        )
    folder, mib = cache
    results = run_sweep(dates, variants_of(sets, variants), request, Cache.open(folder, mib * MIB), say)
    print_lines(result_lines(results))
