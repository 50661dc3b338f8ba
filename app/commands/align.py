"""What each command of `python -m app` takes and calls."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Annotated, Final

import typer

from app.cli import Bootstrap, ConfigFile, app, console, ended_by_signals, say, stop_on_signals
from app.config import Settings, load_settings
from app.errors import RunError, UsageError
from app.lock.changes import require_meanings
from app.process import failpoints
from app.process.memory import share_arenas
from app.settings.metrics import LOOPBACK
from app.wiring.open import open_bus, open_pipeline
from app.wiring.pipeline import Pipeline, warm_up
from app.wiring.resolved import keep_settings
from app.wiring.slot import claim_slot, require_free_slot, taken_words
from app.wiring.topics import similar, topic_plan
from app.worker.assembly import open_worker
from app.worker.endpoint import Endpoint
from app.worker.worker import Worker
from topics.bus import FencedError
from topics.catalogue import Plan, TopicMismatchError, apply

COMPILING_S: Final = 3.0  # kernels that are compiled already are loaded in less


@app.command()
def align(
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    slot: Annotated[
        str | None,
        typer.Option(
            help="Name of this worker, the same at each start; no two running workers share one.  "
            "Default: worker.slot of the settings."
        ),
    ] = None,
    until_final: Annotated[
        bool,
        typer.Option(
            "--until-final",
            help="Stop when the period is over: every input has ended in a final record and all rows are "
            "committed.  Default: run until SIGTERM.",
        ),
    ] = False,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65_535,
            help="Port at which slot 0 answers /metrics, /livez and /readyz; slot n at n more.  Default: "
            "metrics.port of the settings, and none without.",
        ),
    ] = None,
    take_over: Annotated[
        bool,
        typer.Option(
            "--take-over",
            help="Take the slot from a worker that is in it; that one stops.  Default: refused.",
        ),
    ] = False,
) -> None:
    """Run one worker: read the input topics, join them, and write sealed rows to the aligned topic.

    SIGTERM and SIGINT commit what is sealed and end it with exit 0; its last line has the counts.  Every
    minute a line of the log says what was read, sealed, late and dead meanwhile, and what lies unread.

    Example: python -m app align --config tidemark.toml --slot 0
    """
    settings = load_settings(
        config,
        {"bus": {"bootstrap": bootstrap}, "worker": {"slot": slot}, "metrics": {"port": metrics_port}},
    )
    share_arenas()
    endpoint = Endpoint(settings)
    try:
        _align(settings, endpoint, until_final=until_final, take_over=take_over)
    finally:
        endpoint.close()


def _align(settings: Settings, endpoint: Endpoint, *, until_final: bool, take_over: bool) -> None:
    """Take the slot, and run the worker; what is wrong with topics, schemas and settings is said first."""
    with ended_by_signals("told to stop before it had its slot: nothing was read"):
        pipeline = open_pipeline(settings, member=True, on_wait=say)
        require_meanings(settings, pipeline.asof)
        _load_kernels(settings)
        group, clock, slot = settings.pipeline.prefix, settings.pipeline.clock, settings.worker.slot
        rule = pipeline.rule.describe()
        say(f'{pipeline.bus.name}: group {group}, slot {slot}, joining on clock = "{clock}", {rule}')
        if not take_over:
            require_free_slot(pipeline.bus.admin(), settings, say=say)
        stopping = stop_on_signals()
    claim_slot(settings)
    if endpoint.where:
        say(f"figures and health at http://{endpoint.where}/metrics, /livez, /readyz")
    say(f"settings {keep_settings(settings)}, kept under {settings.worker.state}")
    worker = open_worker(pipeline, until_final=until_final, ledger=endpoint.ledger, health=endpoint.health)
    endpoint.opened(worker)
    _run(worker, stopping, pipeline, endpoint)


def _run(worker: Worker, stopping: Callable[[], bool], pipeline: Pipeline, endpoint: Endpoint) -> None:
    """Run a worker to its end; one whose slot was taken says by whom."""
    try:
        worker.run(stopping)
        endpoint.stop()
    except FencedError as fenced:
        endpoint.stop()
        worker.close(failed=True)
        words = taken_words(pipeline.bus.admin(), pipeline.settings)
        raise RunError(f"{words}; this worker stops ({fenced})") from None
    except BaseException:
        worker.close(failed=True)
        raise
    worker.close()
    say(worker.closing_words())


@contextmanager
def say_if_slow(seconds: float, words: str) -> Iterator[None]:
    """Say these words where what is done meanwhile takes longer than so many seconds."""
    timer = Timer(seconds, say, (words,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _load_kernels(settings: Settings) -> None:
    """Load kernels, or compile them, before the worker is one of a group that would wait for it."""
    with say_if_slow(COMPILING_S, "compiling kernels, once on this machine: half a minute or so"):
        warm_up(settings)
    if not gc.isenabled():
        # Libraries, kernels and the client stay until the process ends: a full collection need not walk them.
        gc.freeze()
        gc.enable()
    if settings.worker.failpoint:
        require_loopback(settings.bus.bootstrap)
        name, _, times = settings.worker.failpoint.partition(":")
        failpoints.arm_death(name, int(times or 1))


def require_loopback(bootstrap: str) -> None:
    """Raise UsageError where a broker is elsewhere: a worker that kills itself is for tests alone."""
    hosts = {address.strip().rpartition(":")[0].strip("[]") for address in bootstrap.split(",")}
    if elsewhere := sorted(hosts - LOOPBACK):
        raise UsageError(
            "worker.failpoint lets the worker kill itself, for tests with a broker on loopback, and "
            f"bus.bootstrap names {elsewhere[0]}: leave it out"
        )


topics_app = typer.Typer(
    help="Compare the topics of a pipeline with what it needs, and create those that are missing.",
    no_args_is_help=True,
)
app.add_typer(topics_app, name="topics")


@topics_app.command("plan")
def topics_plan(config: ConfigFile = None, bootstrap: Bootstrap = None) -> None:
    """Show which topics are missing and which differ from what the pipeline needs; change nothing.

    Inputs may be somebody else's: a setting that breaks no join is a note.  Exit 2 if a topic differs.

    Example: python -m app topics plan --config tidemark.toml
    """
    settings = load_settings(config, {"bus": {"bootstrap": bootstrap}})
    admin = open_bus(settings).admin()
    planned = topic_plan(admin, settings)
    streams = {settings.topic(name): name for name in settings.stream_names}
    for spec in planned.create:
        console.print(f"create  {spec.name}: {spec.partitions} partitions, replication {spec.replication}")
        if spec.name in streams and (like := similar(admin, settings, streams[spec.name])):
            key = settings.topic_key(streams[spec.name]).key
            console.print(f"        or name another in {key}: {', '.join(like)}", markup=False)
    for spec in planned.fine:
        console.print(f"fine    {spec.name}")
    _print_notes(planned)
    for mismatch in planned.mismatches:
        console.print(f"differs {mismatch}", markup=False, soft_wrap=True)
    if planned.mismatches:
        raise UsageError(
            f"{len(planned.mismatches)} topics differ from what the pipeline needs, see above; "
            f"{planned.advice}"
        )


@topics_app.command("apply")
def topics_apply(config: ConfigFile = None, bootstrap: Bootstrap = None) -> None:
    """Create the topics that are missing; where one differs, change nothing and exit 2 with the figures.

    Inputs may be somebody else's: a setting that breaks no join is a note.

    Example: python -m app topics apply --config tidemark.toml
    """
    settings = load_settings(config, {"bus": {"bootstrap": bootstrap}})
    admin = open_bus(settings).admin()
    planned = topic_plan(admin, settings)
    try:
        apply(admin, planned)
    except TopicMismatchError as refused:
        raise UsageError(str(refused)) from None
    for spec in planned.create:
        console.print(f"created {spec.name}: {spec.partitions} partitions")
    _print_notes(planned)
    console.print(f"{len(planned.fine)} topics were there already, as they should be")


def _print_notes(planned: Plan) -> None:
    for note in planned.notes:
        console.print(f"note    {note}", markup=False, soft_wrap=True)
