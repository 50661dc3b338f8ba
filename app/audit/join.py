"""The audit's own as-of join, over Polars and sharing nothing with the worker's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from app.settings.pipeline import PipelineSettings
from schemas.clocks import clock_column
from schemas.frame import LEFT_INDEX, LEFT_OFFSET

OFFSET = "audit_offset"
INDEX = "audit_index"
ROW = "audit_row"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the aligned rows promise."""

    pipeline: PipelineSettings
    keys: Mapping[str, Sequence[str]]  # key columns by stream
    sequences: Mapping[str, str | None]
    columns: Mapping[str, Sequence[str]]  # carried columns by right stream, the clock's not among them
    left_key: pa.Schema  # the key columns of the left stream as its topic has them

    @property
    def on(self) -> str:
        """The time column."""
        return clock_column(self.pipeline.clock)

    @property
    def ahead_ns(self) -> int:
        """How far behind a left row its match may lie."""
        if self.pipeline.direction == "backward":
            return 0
        assert self.pipeline.tolerance_ns is not None, "a look ahead without bound is refused by the settings"
        return self.pipeline.tolerance_ns

    def order(self, stream: str, offset: str = OFFSET, index: str = INDEX) -> list[str]:
        """The columns that rows of a stream are in order by."""
        sequence = self.sequences[stream]
        return [self.on, *([sequence] if sequence else []), offset, index]


def matched_row(name: str) -> tuple[str, str]:
    """The columns of `expected_rows` that say which right row was matched."""
    return f"audit_{name}_offset", f"audit_{name}_index"


def value_since(name: str, column: str) -> str:
    """The column of `expected_rows` that says of which time a value carried by column is."""
    return f"audit_{name}_since_{column}"


def expected_rows(rules: Rules, left: pl.DataFrame, rights: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Every left row with its matches, in output order, and per right stream which row was matched.

    With carry by column `value_since` is there, too.

    `left` and `rights` hold accepted rows with OFFSET and INDEX, in any order; `rights` may begin with what
    `standing_rows` gave for the time before.
    """
    on = rules.on
    rows = left.sort(rules.order(rules.pipeline.left), maintain_order=True)
    rows = rows.rename({OFFSET: LEFT_OFFSET, INDEX: LEFT_INDEX})
    columns = [*(c for c in left.columns if c not in (OFFSET, INDEX))]
    places: list[str] = []
    by_column = rules.pipeline.carry == "column"
    for name in rules.pipeline.right:
        right = _filled(rules, name, rights[name]).drop_nulls(list(rules.keys[name]))
        matched = _matched(rules, name, rows, right)
        since = [c for c in right.columns if c.startswith("since_")]
        looked_up = right.select(
            pl.int_range(pl.len(), dtype=pl.Int64).alias(ROW),
            *[pl.col(c).alias(f"{name}_{c}") for c in [*rules.columns[name], on, *since]],
            pl.col(OFFSET).alias(matched_row(name)[0]),
            pl.col(INDEX).alias(matched_row(name)[1]),
        )
        rows = rows.with_columns(matched).join(looked_up, on=ROW, how="left", maintain_order="left").drop(ROW)
        rows = rows.with_columns((pl.col(on) - pl.col(f"{name}_{on}")).alias(f"{name}_age_ns"))
        rows = _bind_columns(rules, name, rows)
        columns += [f"{name}_{c}" for c in [*rules.columns[name], on, "age_ns"]]
        places += matched_row(name)
        if by_column:
            stands = {f"{name}_since_{c}": value_since(name, c) for c in rules.columns[name]}
            rows, places = rows.rename(stands), [*places, *stands.values()]
    return rows.select([*columns, LEFT_OFFSET, LEFT_INDEX, *places])


def standing_rows(rules: Rules, name: str, rights: pl.DataFrame, last_ns: int) -> pl.DataFrame:
    """Per group the last right row up to `last_ns`: all that a later backward match can need of them."""
    if rules.pipeline.direction == "forward":
        return rights.clear()
    rows = _filled(rules, name, rights.filter(pl.col(rules.on) <= last_ns)).drop_nulls(list(rules.keys[name]))
    if not rules.keys[name]:
        return rows.tail(1)
    return rows.unique(subset=list(rules.keys[name]), keep="last", maintain_order=True)


def _matched(rules: Rules, name: str, left: pl.DataFrame, right: pl.DataFrame) -> pl.Series:
    """For each left row the number of the right row that it matches, or null."""
    direction = rules.pipeline.direction
    if direction != "nearest":
        return _one_sided(rules, name, left, right, direction)[ROW]
    behind = _one_sided(rules, name, left, right, "backward")
    ahead = _one_sided(rules, name, left, right, "forward")
    back_ns, ahead_ns = left[rules.on] - behind["then"], ahead["then"] - left[rules.on]
    chosen = pl.DataFrame(
        {"back_ns": back_ns, "ahead_ns": ahead_ns, "behind": behind[ROW], "ahead": ahead[ROW]}
    ).select(
        pl.when(pl.col("behind").is_null() | (pl.col("ahead_ns") < pl.col("back_ns")))
        .then(pl.coalesce("ahead", "behind"))
        .otherwise(pl.col("behind"))
        .alias(ROW)
    )
    return chosen[ROW]


def _one_sided(
    rules: Rules, name: str, left: pl.DataFrame, right: pl.DataFrame, direction: str
) -> pl.DataFrame:
    """The last right row behind, or the first one ahead, as ROW and its time `then`."""
    by = [f"key_{c}" for c in rules.keys[name]]
    looked_up = right.select(
        *[pl.col(c).alias(key) for c, key in zip(rules.keys[name], by, strict=True)],
        pl.col(rules.on).alias("then"),
        pl.int_range(pl.len(), dtype=pl.Int64).alias(ROW),
    )
    # Of equal times one row is left, so that no tie is left to Polars.
    keep = "last" if direction == "backward" else "first"
    looked_up = looked_up.unique(subset=[*by, "then"], keep=keep, maintain_order=True)  # type: ignore[arg-type]
    keys = list(rules.keys[rules.pipeline.left])
    return (
        left.select([*keys, rules.on])
        .join_asof(
            looked_up,
            left_on=rules.on,
            right_on="then",
            by_left=keys or None,
            by_right=by or None,
            strategy="backward" if direction == "backward" else "forward",
            tolerance=rules.pipeline.tolerance_ns,
            allow_exact_matches=rules.pipeline.allow_exact,
            coalesce=False,
            check_sortedness=False,
        )
        .select("then", ROW)
    )


def _filled(rules: Rules, name: str, rights: pl.DataFrame) -> pl.DataFrame:
    """In order; with carry by column each value the last that was not null, and since when it stands."""
    rows = rights.sort(rules.order(name), maintain_order=True)
    if rules.pipeline.carry != "column":
        return rows
    keys = list(rules.keys[name])
    for column in rules.columns[name]:
        since = f"since_{column}"
        was = pl.col(since) if since in rows.columns else pl.lit(None, pl.Int64)
        stands = pl.when(pl.col(column).is_not_null()).then(pl.coalesce(was, pl.col(rules.on)))
        filled = [pl.col(column).forward_fill(), stands.forward_fill().alias(since)]
        rows = rows.with_columns([f.over(keys) if keys else f for f in filled])
    return rows


def _bind_columns(rules: Rules, name: str, rows: pl.DataFrame) -> pl.DataFrame:
    """With carry by column, a tolerance binds each value by the row it came from."""
    tolerance_ns = rules.pipeline.tolerance_ns
    if rules.pipeline.carry != "column" or tolerance_ns is None:
        return rows
    return rows.with_columns(
        pl.when(pl.col(rules.on) - pl.col(f"{name}_since_{c}") <= tolerance_ns)
        .then(pl.col(f"{name}_{c}"))
        .alias(f"{name}_{c}")
        for c in rules.columns[name]
    )
