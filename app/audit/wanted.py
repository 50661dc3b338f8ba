"""What the rows of a node should be: each row of its root with its features, computed from their text.

Features that look back are computed over all rows that are held, a tile and those before it.  Rows that hang
on others which are gone, since the topic keeps no more or since no more are held, are marked and not judged.
"""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import polars as pl

from app.audit.made import SESSION, THERE
from app.audit.node_rules import NodeRules
from app.audit.reach import Need, complete, reaches_sure
from app.audit.sides import WANTED
from schemas.batch import Bools

TILE_ROWS: Final = 1 << 18  # computed at once, at least
HELD_ROWS_MAX: Final = 1 << 22  # of rows that have been judged: as later ones hang on them


def wanted_rows(
    rules: NodeRules,
    frames: Iterator[pl.DataFrame],
    gone: Callable[[], bool],
    *,
    tile_rows: int = TILE_ROWS,
    held_rows_max: int = HELD_ROWS_MAX,
) -> Iterator[pl.DataFrame]:
    """The rows of the root with what each feature should be under `WANTED`.

    Where rows may be gone that a feature hangs on, `THERE` says of which rows none is.  `gone` says, once the
    first rows came, whether there were others before them.  Rows of a join come with `THERE` themselves.
    """
    held, is_cut = pl.DataFrame(), False
    held_rows_max = held_rows_max if rules.needs else 0
    while (tile := _next_tile(frames, max(tile_rows, held.height))).height:
        is_cut = is_cut or gone()
        rows = pl.concat([held, _read(rules, tile)], how="diagonal_relaxed")
        values = rules.values(rows).tail(tile.height)
        made = [value.alias(WANTED + value.name) for value in values]
        made += [there.tail(tile.height) for there in _there(rules, rows, is_cut=is_cut)]
        yield tile.hstack(made)
        is_cut = is_cut or rows.height > held_rows_max > 0
        held = rows.tail(held_rows_max)


def made_rows(
    rules: NodeRules, frames: Iterator[pl.DataFrame], gone: Callable[[], bool]
) -> Iterator[pl.DataFrame]:
    """The rows of a node as those that read it should have them; features without a judge are left out."""
    if not rules.features:
        yield from frames
        return
    names = {WANTED + name: name for name in rules.features}
    for rows in wanted_rows(rules, frames, gone):
        yield rows.rename(names, strict=False)


def _there(rules: NodeRules, rows: pl.DataFrame, *, is_cut: bool) -> Iterator[pl.Series]:
    """By feature of which that may not be so: whether all that each value hangs on is there."""
    if not is_cut and not any(column.startswith(THERE) for column in rows.columns):
        return
    past = rules.past(rows) if rules.needs else None
    for name in rules.features:
        need, sure = rules.needs.get(name, Need()), _sure(rules, name, rows)
        if sure is None and (not is_cut or need == Need()):
            continue
        there = np.ones(rows.height, np.bool_) if sure is None else sure
        if past is not None and need != Need():
            there = there if sure is None else reaches_sure(past, need, sure)
            there &= complete(past, need, int(rows[rules.on][0])) if is_cut else True
        yield pl.Series(THERE + name, there)


def _sure(rules: NodeRules, name: str, rows: pl.DataFrame) -> Bools | None:
    """Whether the columns that go into a feature are, row by row, what they should be; None where all are."""
    told = [THERE + column for column in rules.reads[name] if THERE + column in rows.columns]
    if not told:
        return None
    sure = rows.select(pl.all_horizontal(pl.col(column).fill_null(value=True) for column in told))
    return sure.to_series().to_numpy().copy()


def _next_tile(frames: Iterator[pl.DataFrame], rows: int) -> pl.DataFrame:
    """So many rows, or a few more; fewer at the end."""
    parts = [pl.DataFrame()]
    for frame in frames:
        parts.append(frame)
        rows -= frame.height
        if rows <= 0:
            break
    return pl.concat(parts, how="diagonal_relaxed")


def _read(rules: NodeRules, rows: pl.DataFrame) -> pl.DataFrame:
    """The columns that formulas read; what rows of an earlier layout lack is null."""
    names = dict.fromkeys(column for name in rules.features for column in sorted(rules.reads[name]))
    lacking = pl.lit(None, pl.Float64)
    return rows.select(
        *(
            pl.col(name) if name in rows.columns else lacking.alias(name)
            for name in dict.fromkeys([rules.on, *rules.key, *names])
        ),
        *(name for name in (SESSION,) if name in rows.columns),
        *(THERE + name for name in names if THERE + name in rows.columns),
    )
