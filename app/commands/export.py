"""`export`: the rows of a run as one file of CSV or Parquet."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli import app
from app.day.export import RunRows, export
from app.errors import UsageError
from operators.sealed import ALIGNED

RunFolder = Annotated[Path, typer.Argument(help="Folder of a run, such as build/replay/2024-01-15.")]
OutputOption = Annotated[str, typer.Option(help="Output to export: aligned, or a node of the graph.")]
CsvOption = Annotated[Path | None, typer.Option(help="File to write as CSV.  Default: none.")]
ParquetOption = Annotated[Path | None, typer.Option(help="File to write as Parquet.  Default: none.")]
SortedFlag = Annotated[
    bool,
    typer.Option(
        "--sorted", help="In the order of time, all partitions together.  Default: partition by partition."
    ),
]


@app.command("export")
def export_command(
    run: RunFolder,
    csv: CsvOption = None,
    parquet: ParquetOption = None,
    in_order: SortedFlag = False,
    output: OutputOption = ALIGNED,
) -> None:
    """Write the rows of a run, of one day or of several, as one file; memory does not grow with the rows.

    Example: python -m app export build/replay/2024-01-15 --sorted --csv rows.csv
    """
    if (csv is None) == (parquet is None):
        raise UsageError("say which file to write: --csv FILE or --parquet FILE")
    for file, suffix in ((csv, ".csv"), (parquet, ".parquet")):
        if file is not None and file.suffix != suffix:
            raise UsageError(f"--{suffix[1:]} {file}: name a file that ends in {suffix}")
    file = csv or parquet
    assert file is not None
    rows = export(RunRows.of(run, output), file, in_order=in_order)
    order = "in the order of time" if in_order else "partition by partition"
    typer.echo(f"{file}: {rows:,} rows, {order}")
