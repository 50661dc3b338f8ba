"""What each command of `python -m app` takes and calls."""

import gc
from typing import Annotated

import typer

from app.cli import Bootstrap, ConfigFile, app, console, say, stop_on_signals
from app.config import load_settings
from app.errors import UsageError
from app.lock.changes import require_meanings
from app.process import failpoints
from app.process.memory import share_arenas
from app.wiring.open import open_bus, open_pipeline
from app.wiring.pipeline import warm_up
from app.wiring.topics import similar, topic_plan
from app.worker.assembly import open_worker
from topics.catalogue import Plan, TopicMismatchError, apply


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
) -> None:
    """Run one worker: read the input topics, join them, and write sealed rows to the aligned topic.

    SIGTERM and SIGINT commit what is sealed and end it with exit 0; its last line has the counts.  Every
    minute a line of the log says what was read, sealed, late and dead meanwhile, and what lies unread.

    Example: python -m app align --config tidemark.toml --slot 0
    """
    settings = load_settings(config, {"bus": {"bootstrap": bootstrap}, "worker": {"slot": slot}})
    share_arenas()
    warm_up(settings)
    if not gc.isenabled():
        # Libraries and kernels stay: a full collection need not walk them.  No client has been made yet:
        # frozen, it would never go.
        gc.freeze()
        gc.enable()
    if settings.worker.failpoint:
        name, _, times = settings.worker.failpoint.partition(":")
        failpoints.arm_death(name, int(times or 1))
    pipeline = open_pipeline(settings, member=True, on_wait=say)
    require_meanings(settings, pipeline.asof)
    group, clock = settings.pipeline.prefix, settings.pipeline.clock
    say(f'{pipeline.bus.name}: group {group}, joining on clock = "{clock}"')
    stopping = stop_on_signals()  # until here there is nothing to commit: a signal just ends it
    worker = open_worker(pipeline, until_final=until_final)
    try:
        worker.run(stopping)
    except BaseException:
        worker.close(failed=True)
        raise
    worker.close()
    say(worker.closing_words())


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
