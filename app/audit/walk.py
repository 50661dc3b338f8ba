"""The walk of an audit: both sides from disk, a tile of time at a time, and the right rows still standing."""

from collections.abc import Mapping, Sequence

import polars as pl
import pyarrow as pa

from app.audit.findings import Findings
from app.audit.join import Rules, standing_rows
from app.audit.rules import Layout, check_tile
from app.audit.runs import LAST_NS, Runs, tiles


def walk(
    rules: Sequence[Rules],
    layout: Layout,
    left: Runs,
    rights: Mapping[str, Runs],
    aligned: Runs,
    findings: Findings,
    memory_size_max: int,
) -> None:
    """Check all tiles; every `Runs` has got all its rows, and RULE of an aligned row is a place in `rules`.

    Beside a tile it holds the last right row of each group and, looking ahead, right rows of one tolerance.
    """
    for runs in (left, aligned, *rights.values()):
        runs.end()
    ahead_ns = max(rule.ahead_ns for rule in rules)
    # Rules of one kind leave the same right rows standing.
    kinds = {_kind(rule): rule for rule in rules}
    standing = {
        kind: {name: pl.DataFrame(schema=runs.schema) for name, runs in rights.items()} for kind in kinds
    }
    for tile in tiles([left, aligned, *rights.values()], memory_size_max):
        last_ns = min(tile.last_ns + ahead_ns, LAST_NS)
        read = {name: runs.read(tile.first_ns, last_ns) for name, runs in rights.items()}
        seen = {
            kind: {name: pl.concat([before[name], rows], how="diagonal") for name, rows in read.items()}
            for kind, before in standing.items()
        }
        check_tile(
            rules,
            layout,
            left.read(tile.first_ns, tile.last_ns),
            [seen[_kind(rule)] for rule in rules],
            aligned.read(tile.first_ns, tile.last_ns),
            findings,
        )
        standing = {
            kind: {name: standing_rows(kinds[kind], name, rows, tile.last_ns) for name, rows in own.items()}
            for kind, own in seen.items()
        }


def _kind(rules: Rules) -> tuple[bool, str]:
    return rules.pipeline.direction == "forward", rules.pipeline.carry


def frame_of(rows: pa.Table) -> pl.DataFrame:
    """Arrow rows as Polars holds them, dictionaries as their values."""
    for at, field in enumerate(rows.schema):
        if pa.types.is_dictionary(field.type):
            rows = rows.set_column(at, field.name, rows.column(at).cast(field.type.value_type))
    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame)
    return frame
