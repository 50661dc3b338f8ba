"""The commands that look after tables: what they hold, compaction, what is checked, and what is undone."""

from typing import Annotated

import typer

from replay.dates import parse_date
from replay.errors import FencedCommitError
from replay.publish.options import STORE, StoreOption
from replay.store.audit_log import logged, require_log_kept, require_not_log, whoami
from replay.store.compact import compact, plan_compaction
from replay.store.days import HistoryStore
from replay.store.objects import parse_store
from replay.store.places import BUCKETS
from replay.store.rebucket import plan_rebucket, rebucket
from replay.store.table import RETENTION_DAYS, HistoryTable
from replay.store.upgrade import upgrade
from replay.store.upkeep import HOURS_PER_DAY, expired, restore, retain, vacuum, verify

tables = typer.Typer()

TableOption = Annotated[str, typer.Option("--stream", help="Stream whose table is meant.")]
TableVersion = Annotated[int | None, typer.Option(help="Version of the table.  Default: the newest.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Why = Annotated[str, typer.Option(help="Reason, for the audit log.")]
Before = Annotated[
    str | None, typer.Option(help="Day before which parts are merged, YYYY-MM-DD.  Default: all days.")
]


@tables.command("upgrade")
def upgrade_command(
    store: StoreOption = STORE,
    buckets: Annotated[int, typer.Option(min=1, help="Buckets of each new table.")] = BUCKETS,
    to: Annotated[
        str | None,
        typer.Option(help="Store that gets the tables; the days stay in theirs too.  Default: the same."),
    ] = None,
    why: Why = "",
) -> None:
    """Bring a store of days into tables, in place; rows are read back and compared before a folder goes.

    Publications, `make replay` and backtests read days of tables as they read days.  A day that does not fit
    its table stays as it is, is named, and is read on.

    Example: python -m replay upgrade --store build/history/generated

    Example: python -m replay upgrade --to s3://my-bucket/history
    """
    root = parse_store(store)
    if not HistoryStore(root).folder_days():
        typer.echo(f"the history at {root} has no day in a folder of its own")
        return
    target = root if to is None else parse_store(to)
    with logged(target, "upgrade", None, why) as effect:
        for day in upgrade(HistoryStore(root), buckets, target):
            effect.rows += 0 if day.problem else day.rows
            typer.echo(str(day))


@tables.command("compact")
def compact_command(
    stream: TableOption,
    store: StoreOption = STORE,
    before: Before = None,
    dry_run: DryRun = False,
    why: Why = "",
) -> None:
    """Make one part of many small ones of each day and bucket; rows and content hash are compared first.

    Captures and readers go on beside it.  Earlier versions keep their parts until `vacuum` deletes them.

    Example: python -m replay compact --stream quote --before 2026-11-28
    """
    table = HistoryTable(parse_store(store), stream)
    groups = plan_compaction(table.snapshot(), before=before)
    if not groups:
        typer.echo(f"{stream}: no day and bucket has small parts that are worth it")
    if dry_run or not groups:
        for group in groups:
            typer.echo(f"{group} would become one part")
        return
    with logged(table.store, "compact", stream, why) as effect:
        for group in groups:
            try:
                version = compact(table, group, by=whoami())
            except FencedCommitError as fenced:
                typer.echo(f"{group} left as they are: {fenced}", err=True)
                table.refresh()
                continue
            effect.rows += group.rows
            effect.files += len(group.parts)
            typer.echo(f"{group} are one part in version {version}")


@tables.command("verify")
def verify_command(stream: TableOption, store: StoreOption = STORE, version: TableVersion = None) -> None:
    """Read every part of a table whole, and name each that is not what its table says, with its rows.

    Exit 1 where there is one.

    Example: python -m replay verify --stream quote
    """
    snapshot = HistoryTable(parse_store(store), stream, version).snapshot()
    faults = list(verify(snapshot))
    for fault in faults:
        typer.echo(str(fault))
    typer.echo(
        f"{stream}, version {snapshot.version}: {len(snapshot.parts):,} parts, {snapshot.rows:,} rows, "
        f"{len(faults):,} faults"
    )
    raise typer.Exit(1 if faults else 0)


@tables.command("restore")
def restore_command(
    stream: TableOption,
    version: Annotated[int, typer.Option(help="Version to bring back.")],
    store: StoreOption = STORE,
    why: Why = "",
) -> None:
    """Bring back an earlier version of a table: its rows, and where captures of it go on.

    A capture that runs is refused at its next commit, and reads again from there.

    Example: python -m replay restore --stream quote --version 12
    """
    require_not_log(stream, "restore")
    table = HistoryTable(parse_store(store), stream)
    before = table.version
    HistoryTable(table.store, stream, version)  # is there
    with logged(table.store, "restore", stream, why) as effect:
        now = restore(table, version, by=whoami())
        effect.rows, effect.files = table.snapshot().rows, len(table.snapshot().parts)
    typer.echo(f"{stream}: version {now} is as version {version} was; version {before} is kept")


@tables.command("retain")
def retain_command(
    stream: TableOption,
    before: Annotated[str, typer.Option(help="First day to keep, YYYY-MM-DD.")],
    store: StoreOption = STORE,
    dry_run: DryRun = False,
    why: Why = "",
) -> None:
    """Take the days before a date out of a table; earlier versions have them until `vacuum` deletes files.

    Example: python -m replay retain --stream quote --before 2025-11-28 --dry-run
    """
    first = parse_date(before).isoformat()
    require_log_kept(stream, first)
    table = HistoryTable(parse_store(store), stream)
    parts = expired(table.snapshot(), first)
    what = f"{len(parts):,} parts with {sum(part.rows for part in parts):,} rows of days before {before}"
    if dry_run or not parts:
        typer.echo(f"{stream}: {what} would go")
        return
    with logged(table.store, "retain", stream, why) as effect:
        version = retain(table, parts, by=whoami())
        effect.rows, effect.files = sum(part.rows for part in parts), len(parts)
    typer.echo(f"{stream}: {what} are out of version {version}")


@tables.command("rebucket")
def rebucket_command(
    stream: TableOption,
    buckets: Annotated[
        int, typer.Option(min=1, help="Buckets to have, a multiple of the partitions of the topic captured.")
    ],
    store: StoreOption = STORE,
    dry_run: DryRun = False,
    why: Why = "",
) -> None:
    """Bring a table into more or fewer buckets: parts are written anew and change places in one commit.

    Rows and content hash are compared first.  Captures, readers and compactions go on beside it.  Stopped,
    the same command goes on.

    Example: python -m replay rebucket --stream quote --buckets 64 --dry-run
    """
    table = HistoryTable(parse_store(store), stream)
    parts = plan_rebucket(table.snapshot(), buckets)
    what = f"{len(parts):,} parts with {sum(part.rows for part in parts):,} rows"
    if dry_run or (not parts and table.rules.buckets == buckets):
        typer.echo(
            f"{stream}: {what} would come into {buckets} buckets; new parts have {table.rules.buckets} now"
        )
        return
    with logged(table.store, "rebucket", stream, why) as effect:
        version = rebucket(table, buckets, by=whoami())
        effect.rows, effect.files = sum(part.rows for part in parts), len(parts)
    typer.echo(f"{stream}: {what} are in {buckets} buckets in version {version}")


@tables.command("vacuum")
def vacuum_command(
    stream: TableOption,
    store: StoreOption = STORE,
    keep_hours: Annotated[
        int, typer.Option(help="Hours for which files of earlier versions are kept, 720 or more.")
    ] = RETENTION_DAYS * HOURS_PER_DAY,
    yes: Annotated[bool, typer.Option("--yes", help="Delete; without it files are only named.")] = False,
    why: Why = "",
) -> None:
    """Delete the files that no kept version of a table has.

    Example: python -m replay vacuum --stream quote
    """
    table = HistoryTable(parse_store(store), stream)
    paths = vacuum(table, keep_hours, dry_run=True)
    if yes:
        with logged(table.store, "vacuum", stream, why) as effect:
            paths = vacuum(table, keep_hours, dry_run=False)
            effect.files = len(paths)
    for path in paths:
        typer.echo(path)
    typer.echo(f"{stream}: {len(paths):,} files {'deleted' if yes else 'would be deleted'}")
