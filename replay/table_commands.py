"""The commands that look after tables: what they hold, compaction, what is checked, and what is undone."""

from pathlib import Path
from typing import Annotated, Final

import typer

from replay.errors import FencedCommitError
from replay.publish.options import STORE, StoreOption
from replay.store.compact import compact, plan_compaction
from replay.store.table import HistoryTable

BY: Final = "python -m replay"

tables = typer.Typer()

TableOption = Annotated[str, typer.Option("--stream", help="Stream whose table is meant.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Before = Annotated[
    str | None, typer.Option(help="Day before which parts are merged, YYYY-MM-DD.  Default: all days.")
]


@tables.command("compact")
def compact_command(
    stream: TableOption, store: StoreOption = STORE, before: Before = None, dry_run: DryRun = False
) -> None:
    """Make one part of many small ones of each day and bucket; rows and content hash are compared first.

    Captures and readers go on beside it.  Earlier versions keep their parts until `vacuum` deletes them.

    Example: python -m replay compact --stream quote --before 2026-11-28
    """
    table = HistoryTable(Path(store), stream)
    groups = plan_compaction(table.snapshot(), before=before)
    if not groups:
        typer.echo(f"{stream}: no day and bucket has small parts that are worth it")
    for group in groups:
        what = f"{group.date} bucket {group.bucket}: {len(group.parts):,} parts, {group.rows:,} rows"
        if dry_run:
            typer.echo(f"{what} would become one part")
            continue
        try:
            version = compact(table, group, by=BY)
        except FencedCommitError as fenced:
            typer.echo(f"{what} left as they are: {fenced}", err=True)
            table.refresh()
            continue
        typer.echo(f"{what} are one part in version {version}")
