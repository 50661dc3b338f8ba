"""`backtest`: days straight from file to file, and variants of their settings."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from app.cli import ConfigFile, app, console, print_lines, say
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
from replay.store.objects import parse_store, store_of

if TYPE_CHECKING:
    from app.backfill.runners import Runner

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
ProcessesOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1000,
        help="Processes that share several days and their partitions; all rows are committed at once, and "
        "nothing is audited.  Default: the days run one after the other.",
    ),
]
RayOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Ray cluster that shares the days, in place of processes; local starts one here, with as many "
        "processors as --processes says.  Default: none.",
    ),
]
OvernightOption = Annotated[
    bool,
    typer.Option(
        "--overnight",
        help="Let what the join and the nodes know go on from day to day, as in a live run; with --processes "
        "or --ray.  Default: each day stands alone.",
    ),
]

ToOption = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="STORE",
        help="Store of a history whose tables, named after the outputs, take the rows of several days, in "
        "one commit each.  Default: none, rows lie in OUT.",
    ),
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
    processes: ProcessesOption = None,
    ray: RayOption = None,
    overnight: OvernightOption = False,
    to: ToOption = None,
) -> None:
    """Run the same join and graph over days of history, straight from Parquet to Parquet, and audit the rows.

    The rows are those of a live run.  Exit 1 if the audit finds anything.  With --set or --variants nodes
    alone are written: what variants share is computed once, and nothing is audited.  With --processes or
    --ray the days are shards of one backfill: one commit, and a run that was killed is taken up again.

    Example: python -m app backtest --date 2024-03-04..2024-03-08 --data mine --event Time --symbol venue,sym

    Example: python -m app backtest --date 2024-03-04..2024-03-08 --processes 2 --overnight

    Example: python -m app backtest --date 2024-01-15 -c my.toml --set "graph.tick.features.x=price * 2"
    """
    if again is not None:
        run_again(again, out, None, date, config)
        return
    folder = out or Path("build/backtest") / str(date)
    where: dict[str, Any] = {"config": config, "data": data, "store": store_of(store), "out": folder}
    how: dict[str, Any] = {"wire": through_wire, "workers": workers, "partitions": partitions}
    how |= {"grace_ns": flag_ns("grace", grace, grace_ns), "feature": feature, "bus": "embedded"}
    matched = rule(clock, carry, allow_exact, flag_ns("tolerance", tolerance, tolerance_ns))
    files = reading(event, known, symbol, timezone, naive_as, unit)

    def request(day: str) -> ReplayRequest:
        return ReplayRequest(date=day, reading=files, **(where | how | matched))

    _run(date, request, _Shards(processes, ray, overnight, to), (sets or [], variants), (cache, cache_mib))


def _run(
    date: str | None,
    request: Callable[[str], ReplayRequest],
    shards: "_Shards",
    changes: tuple[Sequence[str], Path | None],
    cache: tuple[Path, int],
) -> None:
    """Run days as they are, as shards, or with `changes` of their settings: those set, and a file of more."""
    sets, variants = changes
    if shards.wanted:
        _backfill(date, request, shards, other=bool(sets) or variants is not None)
    elif sets or variants is not None:
        _sweep(date, sets, variants, request, cache)
    else:
        run(date, None, request)


class _Shards(NamedTuple):
    """The flags of a backfill."""

    processes: int | None
    ray: str | None
    overnight: bool
    to: str | None

    @property
    def wanted(self) -> bool:
        """Whether any of them was typed."""
        return self.processes is not None or self.ray is not None or self.overnight or self.to is not None


def _backfill(
    date: str | None, request: Callable[[str], ReplayRequest], shards: _Shards, *, other: bool
) -> None:
    """Run days as shards, and print what became of them; `other` says that variants are wanted as well."""
    from app.backfill.run import run_backfill

    if date is None or BETWEEN not in date:
        raise UsageError(
            "--processes, --ray, --overnight and --to share several days: say --date FIRST..LAST"
        )
    first = request(days_between(date)[0])
    if other or first.wire or first.feature is not None:
        raise UsageError(
            "--processes, --ray, --overnight and --to run days straight from files as they are: leave out "
            "--set, --variants, --through-wire and --feature"
        )
    groups = shards.processes or (1 if shards.ray is None else None)
    into = None if shards.to is None else parse_store(shards.to)
    result = run_backfill(
        date, first, partial(_runner, shards), overnight=shards.overnight, groups=groups, say=say, into=into
    )
    print_lines(result.lines())
    console.print(f"rows {first.out if into is None else into}", soft_wrap=True)


def _runner(shards: _Shards, stage: Path) -> "Runner":
    """What the flags say is to run shards."""
    from app.backfill.runners import HereRunner, PoolRunner

    if shards.ray is not None:
        from app.backfill.ray_runner import RayRunner

        return RayRunner(stage, shards.ray, shards.processes)
    if shards.processes is None or shards.processes == 1:
        return HereRunner(stage)
    return PoolRunner(stage, shards.processes)


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
