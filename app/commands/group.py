"""`group` and `drain`: the commits of a group kept and given back, and a slot given up."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli import Bootstrap, ConfigFile, app, print_lines, say
from app.config import load_settings
from app.upkeep.commits_file import give_back, group_commits, read_commits, write_commits
from app.upkeep.drain import drain as drain_slot
from app.wiring.open import open_bus, open_topics

group_app = typer.Typer(
    help="Keep what the workers' group committed in a file, and give it back.", no_args_is_help=True
)
app.add_typer(group_app, name="group")


@group_app.command("export")
def export_commits(
    out: Annotated[Path, typer.Argument(help="New file for the commits (JSON).", metavar="FILE")],
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Write down what the group committed of its inputs: offsets, with all that a restart needs of them.

    A broker forgets the offsets of a group that has stood still for offsets.retention.minutes (7 days unless
    set); after that a start would join the inputs from their beginning.  Nothing is changed.

    Example: python -m app group export commits.json --config tidemark.toml
    """
    settings = load_settings(config, {"bus": {"bootstrap": bootstrap}})
    commits = group_commits(open_topics(settings).admin(), settings)
    write_commits(commits, out)
    print_lines(
        [f"{out}: {len(commits.positions)} positions of group {commits.group}, cluster {commits.cluster}"]
    )


@group_app.command("import")
def import_commits(
    file: Annotated[Path, typer.Argument(help="A file that group export wrote.", metavar="FILE")],
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Put them in place of what is committed: rows since then are joined once more, beside the "
            "old ones.  Default: refused.",
        ),
    ] = False,
) -> None:
    """Commit what a file has for the group of the settings, so that its workers go on from there.

    Refused, with nothing changed, on another cluster, for topics that were created anew, while the group has
    workers, and where the inputs no longer have the rows that a restart begins with.

    Example: python -m app group import commits.json --config tidemark.toml
    """
    settings = load_settings(config, {"bus": {"bootstrap": bootstrap}})
    commits = read_commits(file)
    count = give_back(open_topics(settings), settings, commits, replace=replace)
    next_ = f"next: start its workers, `python -m app align{settings.flag}`"
    print_lines([f"{count} positions committed for group {commits.group}", next_])


@app.command()
def drain(
    slot: Annotated[str, typer.Option(help="Slot that no worker will be started in again, such as 3.")],
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    take_over: Annotated[
        bool,
        typer.Option(
            "--take-over",
            help="Drain it although its worker may still run: that one stops.  Default: refused.",
        ),
    ] = False,
) -> None:
    """Give up the slot of a worker that has been stopped, so that the others have its tasks at once.

    A worker that ends keeps its tasks until worker.session_timeout_ms is over, for it may come again.  To
    have fewer workers, stop one and drain its slot.  From another machine it cannot be seen whether a worker
    has ended: the session is waited for, or say --take-over.

    Example: python -m app drain --slot 3 --config tidemark.toml
    """
    settings = load_settings(config, {"bus": {"bootstrap": bootstrap}, "worker": {"slot": slot}})
    drained = drain_slot(open_bus(settings, member=True), settings, take_over=take_over, say=say)
    group = settings.pipeline.prefix
    if drained is None:
        print_lines([f"slot {slot} has no place in group {group}: nothing to give up"])
        return
    who = "" if drained.last is None else f", last of {drained.last.where}"
    left = f"the group has {drained.workers} workers left"
    if not drained.workers:
        left = "the group has no worker left: nothing is joined until one starts"
    print_lines([f"slot {slot}{who}: {drained.partitions} partitions given up; {left}"])
