"""The command that asks a history: one SELECT, over the versions, times and symbols that are named."""

import uuid
from pathlib import Path
from typing import Annotated, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import typer

from replay.become import become
from replay.dates import parse_moment
from replay.errors import HistoryError
from replay.history import query_snapshots
from replay.publish.options import STORE, AsOfOption, StoreOption, VersionOption, parse_as_of, parse_versions
from replay.store.objects import parse_store
from replay.store.prune import Wanted, key_of
from replay.store.sql import OpenAnswer, open_query

SHOWN: Final = 40  # rows of an answer on the screen

queries = typer.Typer()

QueryArgument = Annotated[str, typer.Argument(help="One SELECT; each stream of the store is a table.")]
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        help="Earliest time of rows, ISO 8601, UTC where it names no zone, or nanoseconds.  Default: all.",
    ),
]
ToOption = Annotated[
    str | None, typer.Option("--to", help="Time before which rows lie, written as --from.  Default: all.")
]
SymbolsOption = Annotated[str | None, typer.Option(help="Symbols, with a comma between them.  Default: all.")]
ExplainFlag = Annotated[
    bool, typer.Option("--explain", help="Say how much of each table was read, on standard error.")
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        help="File for the whole answer: Parquet, or CSV or Arrow where its name ends in .csv or .arrow.  "
        "Default: 40 rows on the screen."
    ),
]


LiveFlag = Annotated[
    bool,
    typer.Option(
        "--live", help="Read rows that are not captured yet from their topics, too; needs --config."
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="File of the settings (TOML) of a pipeline, for --live. Without it the defaults.",
    ),
]


@queries.command("sql")
def sql_command(
    context: typer.Context,
    query: QueryArgument,
    store: StoreOption = STORE,
    from_: FromOption = None,
    to: ToOption = None,
    symbols: SymbolsOption = None,
    version: VersionOption = None,
    as_of: AsOfOption = None,
    explain: ExplainFlag = False,
    out: OutOption = None,
    live: LiveFlag = False,
    config: ConfigOption = None,
) -> None:
    """Answer a query over the tables of a history; times and symbols say which parts are read at all.

    With --live this is `python -m app sql`.

    Example: python -m replay sql 'select symbol, count(*) from quote group by symbol' --explain

    Example: python -m replay sql 'select * from quote' --as-of 2026-11-28T21:00Z --out quotes.parquet
    """
    if live or config is not None:
        become("sql", context.obj)
    snapshots = query_snapshots(
        query,
        versions=parse_versions(version or ()),
        as_of_ns=parse_as_of(as_of),
        store=parse_store(store),
    )
    with open_query(query, snapshots, parse_wanted(from_, to, symbols)) as answer:
        print_answer(answer, explain=explain, out=out)


def parse_wanted(from_: str | None, to: str | None, symbols: str | None) -> Wanted:
    """Read which rows are asked for; raises HistoryError for what is no time."""
    keys = None if symbols is None else frozenset(key_of(name.strip()) for name in symbols.split(","))
    from_ns, to_ns = (None if text is None else parse_moment(text) for text in (from_, to))
    return Wanted(from_ns=from_ns, to_ns=to_ns, keys=keys)


def print_answer(answer: OpenAnswer, *, explain: bool, out: Path | None) -> None:
    """Print the first rows, or write all to a file; with `explain`, what of each table was read, too.

    Raises HistoryError where the file cannot be written; one that was there is then as it was.
    """
    for name, report in answer.reports.items() if explain else ():
        for line in report.lines()[:3]:
            typer.echo(f"{name}: {line}", err=True)
    if out is not None:
        typer.echo(f"{_write_rows(answer, out):,} rows in {out}")
        return
    _print_rows(answer)


def _write_rows(answer: OpenAnswer, out: Path) -> int:
    """Write all rows as they come, and return how many; the file has its name when it is whole."""
    partial = out.with_name(f"_{out.name}.{uuid.uuid4().hex}.new")
    rows = 0
    try:
        with _writer(out.suffix, partial, answer.schema) as writer:
            for batch in answer.batches:
                writer.write_batch(batch)
                rows += batch.num_rows
        partial.replace(out)
    except (OSError, pa.ArrowException) as refused:
        raise HistoryError(f"{out} cannot be written: {refused}") from None
    finally:
        partial.unlink(missing_ok=True)
    return rows


def _writer(
    suffix: str, path: Path, schema: pa.Schema
) -> pq.ParquetWriter | pa.RecordBatchFileWriter | pa.csv.CSVWriter:
    if suffix == ".csv":
        return pa.csv.CSVWriter(path, schema)
    if suffix == ".arrow":
        return pa.RecordBatchFileWriter(path, schema)
    return pq.ParquetWriter(path, schema)


def _print_rows(answer: OpenAnswer) -> None:
    typer.echo("\t".join(answer.schema.names))
    rows = 0
    for batch in answer.batches:
        shown = batch.slice(0, max(SHOWN - rows, 0)).rename_columns(list(map(str, range(batch.num_columns))))
        for row in shown.to_pylist():
            typer.echo("\t".join("" if value is None else str(value) for value in row.values()))
        rows += batch.num_rows
    if rows > SHOWN:
        typer.echo(f"{rows:,} rows, of which {SHOWN} are shown: --out has all", err=True)
