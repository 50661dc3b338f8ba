"""`config diff`: what a change of the settings file will do to a pipeline that has run."""

import json
from pathlib import Path
from typing import Annotated

import typer

from app.cli import AsJson, app, print_lines
from app.config import load_settings
from app.upkeep.changes import change_lines, changes, farthest

config_app = typer.Typer(help="Compare files of settings.", no_args_is_help=True)
app.add_typer(config_app, name="config")


@config_app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="File of settings that the pipeline ran with.", metavar="OLD")],
    new: Annotated[Path, typer.Argument(help="File of settings to come.", metavar="NEW")],
    json_: AsJson = False,
) -> None:
    """Show each setting that differs, defaults too, and how far the change reaches.

    Live: a restart takes it.  Period: later rows mean something else, so change it between two days.
    Generation: the commits there are do not fit, exit 1.  OLD may be what a worker kept of the settings that
    it ran with, settings-ID.toml in a pipeline's folder under worker.state.

    Example: python -m app config diff tidemark.toml new.toml
    """
    differences = changes(load_settings(old), load_settings(new))
    if json_:
        for one in differences:
            typer.echo(json.dumps(one._asdict()))
    else:
        print_lines(change_lines(differences) if differences else ["no setting differs"])
    if farthest(differences) == "generation":
        raise typer.Exit(1)
