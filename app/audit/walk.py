"""The walk of an audit: both sides from disk, a tile of time at a time, and the right rows still standing."""

from collections.abc import Mapping

import polars as pl
import pyarrow as pa

from app.audit.join import Rules, standing_rows
from app.audit.rules import Findings, Layout, check_tile
from app.audit.runs import LAST_NS, Runs, tiles


def walk(
    rules: Rules,
    layout: Layout,
    left: Runs,
    rights: Mapping[str, Runs],
    aligned: Runs,
    findings: Findings,
    memory_size_max: int,
) -> None:
    """Check all tiles; every `Runs` has got all its rows.

    Beside a tile it holds the last right row of each group and, looking ahead, right rows of one tolerance.
    """
    for runs in (left, aligned, *rights.values()):
        runs.end()
    standing = {name: pl.DataFrame(schema=runs.schema) for name, runs in rights.items()}
    for tile in tiles([left, aligned, *rights.values()], memory_size_max):
        last_ns = min(tile.last_ns + rules.ahead_ns, LAST_NS)
        seen = {
            name: pl.concat([standing[name], runs.read(tile.first_ns, last_ns)], how="diagonal")
            for name, runs in rights.items()
        }
        check_tile(
            rules,
            layout,
            left.read(tile.first_ns, tile.last_ns),
            seen,
            aligned.read(tile.first_ns, tile.last_ns),
            findings,
        )
        standing = {name: standing_rows(rules, name, rows, tile.last_ns) for name, rows in seen.items()}


def frame_of(rows: pa.Table) -> pl.DataFrame:
    """Arrow rows as Polars holds them, dictionaries as their values."""
    for at, field in enumerate(rows.schema):
        if pa.types.is_dictionary(field.type):
            rows = rows.set_column(at, field.name, rows.column(at).cast(field.type.value_type))
    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame)
    return frame
