"""`graph`: what the nodes behind the join compute, shown, locked, and checked over a day of history."""

import json
from pathlib import Path
from secrets import randbelow
from typing import Annotated, Final

import typer

from app.cli import Bootstrap, ConfigFile, app, print_lines, say
from app.config import load_settings
from app.errors import UsageError
from app.graph.columns import input_columns
from app.graph.functions_page import function_lines, functions_page
from app.graph.show import GraphView
from app.lock.changes import Written, adopt_meanings, drop_meanings, require_meanings, write_meanings
from app.lock.meanings import feature_meanings
from app.process.clock import monotonic_ns
from app.wiring.open import open_bus, pipeline_on
from app.words import duration
from replay.store.objects import store_of

graph_app = typer.Typer(
    help="Show the graph of the settings, lock what its features mean, and check it over a day of history.",
    no_args_is_help=True,
)
app.add_typer(graph_app, name="graph")

StoreOption = Annotated[
    str | None,
    typer.Option(
        help="Folder or URL of a history whose newest day has the columns.  Default: the registry, or what "
        "it lacks from build/history/generated."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, whole meanings.  Default: a table.")]

DataOption = Annotated[
    Path | None,
    typer.Option(help="Folder of trades* and quotes*, imported once.  Default: the history alone."),
]
HistoryOption = Annotated[
    str | None, typer.Option(help="Folder or URL of the history.  Default: build/history/generated.")
]
SEEDS: Final = 1_000_000


@graph_app.command()
def show(
    node: Annotated[
        str | None, typer.Argument(help="Node to show alone, with its formulas.  Default: all nodes.")
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(help="Node to show with all that it is made of, and nothing else.  Default: all nodes."),
    ] = None,
    config: ConfigFile = None,
    store: StoreOption = None,
    json_: JsonOption = False,
) -> None:
    """Show the graph on one screen: its chains, and per feature what it hangs on and what it means.

    No broker is needed.  Every error of the graph is named with file, line and caret, exit 2.

    Example: python -m app graph show --config tidemark.toml

    Example: python -m app graph show tick --config tidemark.toml --json
    """
    settings = load_settings(config)
    view = GraphView(settings, input_columns(settings, store_of(store)), to)
    if json_:
        typer.echo(json.dumps(view.as_json(node)))
    else:
        print_lines(view.lines(node))


@graph_app.command("ls")
def list_nodes(
    select: Annotated[
        str,
        typer.Option(
            help="Which: +NODE with all it is made of, NODE+ with all that hang on it, NODE, @changed for "
            "what graph.lock does not know; several with commas.  Default: all nodes."
        ),
    ] = "",
    config: ConfigFile = None,
    store: StoreOption = None,
) -> None:
    """List the nodes of the graph, a line each.

    Example: python -m app graph ls --select +score --config tidemark.toml
    """
    settings = load_settings(config)
    print_lines(GraphView(settings, input_columns(settings, store_of(store))).listed(select))


@graph_app.command()
def diff(
    other: Annotated[
        Path | None,
        typer.Argument(help="Older file of settings.  Default: --git says which.", metavar="OLDER"),
    ] = None,
    git: Annotated[
        str | None,
        typer.Option(help="Revision of git that has the older settings, such as HEAD~1.  Default: OLDER."),
    ] = None,
    config: ConfigFile = None,
    store: StoreOption = None,
) -> None:
    """Compare the graph with an older one: features that are new, gone or mean something else, and outputs
    that get other columns.

    Example: python -m app graph diff --git main --config tidemark.toml
    """
    from app.graph.diff import Compared, difference_lines, settings_at

    if (other is None) == (git is None):
        raise UsageError("name the older settings: a file, or a revision with --git HEAD~1")
    history = store_of(store)
    now = Compared(load_settings(config), history)
    if other is not None:
        before = Compared(load_settings(other), history)
    else:
        assert git is not None, "one of the two was given"
        if config is None:
            raise UsageError("--git compares a file of settings with an older one of it: say -c my.toml")
        with settings_at(config, git) as older:
            before = Compared(older, history)
    print_lines(
        [f"{other or f'{config} at {git}'} -> {config or 'settings'}", *difference_lines(before, now)]
    )


@graph_app.command()
def lock(config: ConfigFile = None, store: StoreOption = None) -> None:
    """Write graph.lock beside the settings: what each feature means, by name and version.

    From then on align, replay, backtest and graph check refuse a feature that means something else.  New
    features are added; where one has changed nothing is written, exit 2.

    Example: python -m app graph lock --config tidemark.toml
    """
    settings = load_settings(config)
    print_lines(_lines_of(write_meanings(settings, input_columns(settings, store_of(store)).asof)))


@graph_app.command()
def adopt(
    names: Annotated[
        list[str], typer.Argument(help="Features as node.column, or a node for all of it.", metavar="NAME...")
    ],
    config: ConfigFile = None,
    store: StoreOption = None,
) -> None:
    """Let graph.lock say what these features mean now, under the version they have.

    Rows that are out were made with the old meaning; a new version, "... @2", keeps the two apart.

    Example: python -m app graph adopt tick.mid --config tidemark.toml
    """
    settings = load_settings(config)
    print_lines(_lines_of(adopt_meanings(settings, input_columns(settings, store_of(store)).asof, names)))


@graph_app.command()
def drop(
    names: Annotated[
        list[str],
        typer.Argument(help="Versions as node.feature@version, or all of node.feature.", metavar="NAME..."),
    ],
    config: ConfigFile = None,
    store: StoreOption = None,
) -> None:
    """Mark features in graph.lock as dropped, once their lines are out of the settings.

    A graph that has one again is refused, so nobody takes it for what it was; graph adopt takes it back.

    Example: python -m app graph drop tick.vol@1 --config tidemark.toml
    """
    settings = load_settings(config)
    written = drop_meanings(settings, input_columns(settings, store_of(store)).asof, names)
    lines = [f"dropped  {name}" for name in written.adopted]
    print_lines([*lines, f"{written.path}: {written.features} features of this graph are locked"])


@graph_app.command()
def check(
    config: ConfigFile = None,
    on: Annotated[
        str | None,
        typer.Option(
            help="Day to check over, YYYY-MM-DD.  The default history gets a day that it lacks.  Default: "
            "the newest day of the history, 2024-01-15 where it has none."
        ),
    ] = None,
    data: DataOption = None,
    store: HistoryOption = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, help="Seed of all that is drawn, to repeat a check.  Default: another each time."
        ),
    ] = None,
    whole_day: Annotated[
        bool,
        typer.Option(
            "--whole-day",
            help="Check all of the day, with functions too.  Default: where functions are called, 200 tiles.",
        ),
    ] = False,
) -> None:
    """Check the graph over a day of history: its bits hang on nothing but the rows that they should.

    In this process, without a broker: the same pass again, other cuts, other rows behind each moment, kills
    and restarts, each symbol alone, another order of arrival on 1 and 4 partitions, and a second judge in
    Polars.  On a difference the first row that differs is named, with both values and the cause, exit 1.

    Example: python -m app graph check --config tidemark.toml --on 2024-01-15 --seed 1
    """
    from app.graph.check import check_graph, days_to_check  # with Polars, which the others do not need

    begun_ns = monotonic_ns()
    settings = load_settings(config)
    days = days_to_check(settings, on, data, store_of(store), say)
    seed = randbelow(SEEDS) if seed is None else seed
    report = check_graph(settings, days, seed, lambda line: print_lines([line]), whole_day=whole_day)
    *lines, last = report.lines
    print_lines([*lines, f"{last} · {duration(monotonic_ns() - begun_ns)}"] if report.equal else report.lines)
    if not report.equal:
        raise typer.Exit(1)


@graph_app.command()
def plan(
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    json_: JsonOption = False,
) -> None:
    """Show what a start with these settings does to a graph that runs, or ran: nodes that go on, are new,
    changed or gone, which rows are read again for them, and where outputs get other columns.

    Reads commits and topics of the broker, and changes nothing; workers may run meanwhile.  A worker with
    local state reads less, and says the same for itself when it starts.  Exit 1 where a start would be
    refused.

    Example: python -m app graph plan --config tidemark.toml
    """
    from app.graph.change import change_lines, changes_as_json, task_changes

    settings = load_settings(config, {"bus": {"bootstrap": bootstrap}})
    if not settings.graph.nodes:
        raise UsageError(
            f"{settings.file or 'settings'}: there is no graph, no table [graph.NAME] with features"
        )
    pipeline = pipeline_on(settings, open_bus(settings))
    require_meanings(settings, pipeline.asof)
    changes = list(task_changes(pipeline))
    if json_:
        typer.echo(json.dumps(changes_as_json(settings, changes)))
    else:
        print_lines(list(change_lines(settings, changes, feature_meanings(settings, pipeline.asof))))
    if any(one.refused for one in changes):
        raise typer.Exit(1)


@graph_app.command("open")
def open_(
    node: Annotated[str, typer.Argument(help="Node of bars.")],
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print JSON, a line a bar.  Default: a table.")
    ] = False,
) -> None:
    """Show the open bars of a node: what is summed up so far of bars that nothing has closed yet.

    Reads what workers keep of their nodes on the broker, and changes nothing; workers may run meanwhile.  It
    is as old as that, `worker.state_interval_ms` at most behind the last commit.

    Example: python -m app graph open minutes --config tidemark.toml
    """
    from app.graph.open_bars import open_bars, open_json, open_lines, require_bars

    settings = load_settings(config, {"bus": {"bootstrap": bootstrap}})
    require_bars(settings, node)
    pipeline = pipeline_on(settings, open_bus(settings))
    require_meanings(settings, pipeline.asof)
    bars = open_bars(pipeline, node)
    print_lines(list(open_json(bars)) if json_ else open_lines(bars))


@graph_app.command()
def functions(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the page docs/functions.md.  Default: a line each.")
    ] = False,
) -> None:
    """List the functions that formulas can call: arguments, memory, what they give.

    Example: python -m app graph functions
    """
    if markdown:
        typer.echo(functions_page(), nl=False)
    else:
        print_lines(function_lines())


def _lines_of(written: Written) -> list[str]:
    """What has become of a lock, a line each."""
    lines = [f"added    {name}" for name in written.added] + [f"adopted  {name}" for name in written.adopted]
    return [*lines, f"{written.path}: {written.features} features of this graph are locked"]
