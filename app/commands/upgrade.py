"""`upgrade-check`: whether workers of this program can take over where a group stands."""

from typing import Annotated

import typer

from app.cli import Bootstrap, ConfigFile, app, print_lines
from app.commands.findings import show_findings
from app.config import load_settings
from app.upkeep.upgrade import upgrade_findings
from app.wiring.open import open_topics

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.  Default: a table.")]


@app.command("upgrade-check")
def upgrade_check(config: ConfigFile = None, bootstrap: Bootstrap = None, json_: AsJson = False) -> None:
    """Check that workers of this program can go on where the group of the settings stands.

    Run it with the new program before its first worker starts: versions of commits, frames and records,
    settings that the last worker ran with, schemas of inputs, room on disk, and limits of the brokers (their
    version is not told to clients).  Changes nothing; exit 1 with a line per problem that says what to do.

    Example: python -m app upgrade-check --config tidemark.toml
    """
    settings = load_settings(config, {"bus": {"bootstrap": bootstrap}})
    show_findings(list(upgrade_findings(settings, open_topics(settings))), json_=json_)
    if not json_:
        slot = settings.worker.slot
        print_lines(
            [
                "next, for each slot: stop its worker with SIGTERM, then",
                f"python -m app align{settings.flag} --slot {slot}",
            ]
        )
