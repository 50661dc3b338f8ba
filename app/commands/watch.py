"""What an operator asks first: `watermarks` of a group that runs, `doctor` before one does."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import typer
from rich.live import Live
from rich.text import Text

from app.cli import Bootstrap, ConfigFile, app, console, say, stop_on_signals
from app.commands.findings import show_findings
from app.config import Settings, load_settings
from app.errors import RunError
from app.process.clock import now_ns, pause
from app.watch.doctor import connect_to, examine
from app.watch.tails import with_tails
from app.watch.view import as_json, screen
from app.watch.watermarks import Picture, Watch, look
from app.watch.words import WELL, answer
from app.wiring.open import open_topics, pipeline_on
from app.wiring.pipeline import Pipeline
from topics.bus import Bus, BusUnavailableError
from topics.wire import RegistryUnavailableError

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.  Default: a table.")]
LOOK_AGAIN_S = 1.0


@app.command()
def watermarks(
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Show the state again every second, until interrupted.  Default: once."),
    ] = False,
    as_json_: AsJson = False,
) -> None:
    """Show who holds the frontier of each task, since when, and which rows wait behind it.

    Reads commits and logs from outside the group, and changes nothing.  A sentence for each stuck task says
    what it waits for; exit 1 if there is one.  Late and dead rows count since the task's worker took it;
    `late summary` and `dead summary` count all.  With --json times are int64 ns UTC, and --watch prints an
    object a line, every second.

    Example: python -m app watermarks --config tidemark.toml --watch
    """
    settings = load_settings(config, {"bus": {"bootstrap": bootstrap}})
    bus = open_topics(settings)
    pipeline = _pipeline_if_known(settings, bus)
    admin, seen = bus.admin(), Watch()

    def picture() -> Picture:
        picture_now = look(admin, settings, now_ns(), seen)
        if pipeline is None:
            return picture_now
        return with_tails(replace(picture_now, rule=pipeline.rule), pipeline)

    if watch:
        _watch(picture, as_json_=as_json_)
        return
    picture_now = picture()
    if as_json_:
        console.print_json(json.dumps(as_json(picture_now)))
    else:
        console.print(screen(picture_now), soft_wrap=True)
    if any(answer(task, picture_now).verdict not in WELL for task in picture_now.tasks):
        raise typer.Exit(1)


def _watch(picture: Callable[[], Picture], *, as_json_: bool) -> None:
    """Look again and again; a broker that is away is shown and waited for."""
    stopping = stop_on_signals()
    with Live(console=console, auto_refresh=False) as live:
        while not stopping():
            try:
                picture_now = picture()
            except BusUnavailableError as away:
                live.update(Text(f"{away}; looking again", "bold red"), refresh=True)
            else:
                if as_json_:
                    typer.echo(json.dumps(as_json(picture_now)))
                else:
                    live.update(screen(picture_now, answers_first=True), refresh=True)
            pause(LOOK_AGAIN_S)


@app.command()
def doctor(config: ConfigFile = None, bootstrap: Bootstrap = None, json_: AsJson = False) -> None:
    """Check machine, broker, topics, registry and state folder before a worker starts.

    Exit 1 with a line per problem that says what to do.

    Example: python -m app doctor --config tidemark.toml
    """
    settings = load_settings(config, {"bus": {"bootstrap": bootstrap}})
    findings = list(examine(settings, lambda: connect_to(settings)))
    show_findings(findings, json_=json_)


def _pipeline_if_known(settings: Settings, bus: Bus) -> Pipeline | None:
    """The pipeline, to read rows with; None where nobody has registered the streams yet."""
    try:
        return pipeline_on(settings, bus, on_wait=say)
    except (RunError, RegistryUnavailableError) as unknown:
        say(f"rows cannot be read, so only offsets are shown: {unknown}")
        return None
