"""The audit's own as-of join, over Polars and sharing nothing with the worker's, and its comparison."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from app.config import PipelineSettings
from schemas.clocks import clock_column
from schemas.frame import LEFT_INDEX, LEFT_OFFSET

OFFSET = "audit_offset"
INDEX = "audit_index"
PLACE = [LEFT_OFFSET, LEFT_INDEX]
EXAMPLES_MAX = 3


@dataclass(frozen=True, slots=True)
class Violation:
    """One kind of fault in one partition: how many rows, and the first of them with both sides."""

    kind: str
    rows: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the aligned rows promise."""

    pipeline: PipelineSettings
    keys: Mapping[str, Sequence[str]]  # key columns by stream
    sequences: Mapping[str, str | None]
    columns: Mapping[str, Sequence[str]]  # carried columns by right stream, the clock's not among them

    @property
    def on(self) -> str:
        """The time column."""
        return clock_column(self.pipeline.clock)


def find_violations(
    rules: Rules, left: pl.DataFrame, rights: Mapping[str, pl.DataFrame], aligned: pl.DataFrame
) -> Iterator[Violation]:
    """Check one partition: `left` and `rights` hold the accepted rows with OFFSET and INDEX, in any order."""
    yield from _look_ahead(rules, aligned)
    places = aligned.select(PLACE)
    twice = aligned.filter(places.is_duplicated())
    yield from _violation("duplicated", twice)
    expected = expected_rows(rules, left, rights)
    yield from _violation("missing", expected.join(aligned, on=PLACE, how="anti"))
    yield from _violation("unexpected", aligned.join(expected, on=PLACE, how="anti"))
    if twice.height or aligned.height != expected.height:
        return
    if not places.equals(expected.select(PLACE)):
        moved = places.with_row_index("at").join(expected.select(PLACE).with_row_index("expected"), on=PLACE)
        yield from _violation("out of order", moved.filter(pl.col("at") != pl.col("expected")))
        aligned = expected.select(PLACE).join(aligned, on=PLACE, how="left", maintain_order="left")
    for kind, columns in (
        ("changed left row", [c for c in left.columns if c not in (OFFSET, INDEX)]),
        ("wrong match", [c for c in expected.columns if c not in left.columns and c not in PLACE]),
    ):
        differs = pl.any_horizontal(
            [aligned[c].ne_missing(expected[c]).alias(c) for c in columns] or [pl.lit(value=False)]
        )
        mask = aligned.select(differs.alias("differs"))["differs"]
        if mask.any():
            yield _both_sides(kind, columns, aligned.filter(mask), expected.filter(mask))


def without_repeats(aligned: pl.DataFrame) -> pl.DataFrame:
    """The first of each row that came more than once and equal; rows of one place that differ all stay."""
    return aligned.unique(keep="first", maintain_order=True)


def expected_rows(rules: Rules, left: pl.DataFrame, rights: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Every accepted left row with its match, in output order."""
    on = rules.on
    rows = _ordered(rules, rules.pipeline.left, left).rename({OFFSET: LEFT_OFFSET, INDEX: LEFT_INDEX})
    keys = list(rules.keys[rules.pipeline.left])
    for name in rules.pipeline.right:
        looked_up = _looked_up(rules, name, rights[name])
        rows = rows.join_asof(
            looked_up,
            left_on=on,
            right_on=f"{name}_{on}",
            by_left=keys,
            by_right=[f"key_{column}" for column in rules.keys[name]],
            strategy="backward",
            tolerance=rules.pipeline.tolerance_ns,
            allow_exact_matches=rules.pipeline.allow_exact,
            coalesce=False,
            check_sortedness=False,
        )
        rows = rows.with_columns((pl.col(on) - pl.col(f"{name}_{on}")).alias(f"{name}_age_ns"))
        rows = _bind_columns(rules, name, rows)
    carried = [c for c in left.columns if c not in (OFFSET, INDEX)]
    for name in rules.pipeline.right:
        carried += [f"{name}_{c}" for c in rules.columns[name]] + [f"{name}_{on}", f"{name}_age_ns"]
    return rows.select([*carried, *PLACE])


def _looked_up(rules: Rules, name: str, right: pl.DataFrame) -> pl.DataFrame:
    """A right stream in order, its columns under their output names, as of each of its rows."""
    on, keys = rules.on, list(rules.keys[name])
    rows = _ordered(rules, name, right)
    if rules.pipeline.carry == "column":
        filled = [pl.col(c).forward_fill().over(keys) for c in rules.columns[name]]
        since = [
            pl.when(pl.col(c).is_not_null()).then(pl.col(on)).forward_fill().over(keys).alias(f"since_{c}")
            for c in rules.columns[name]
        ]
        rows = rows.with_columns([*filled, *since])
    return rows.select(
        [pl.col(c).alias(f"key_{c}") for c in keys]
        + [pl.col(c).alias(f"{name}_{c}") for c in [*rules.columns[name], on]]
        + [pl.col(c).alias(f"{name}_{c}") for c in rows.columns if c.startswith("since_")]
    )


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


def _ordered(rules: Rules, name: str, rows: pl.DataFrame) -> pl.DataFrame:
    sequence = rules.sequences[name]
    return rows.sort([rules.on, *([sequence] if sequence else []), OFFSET, INDEX], maintain_order=True)


def _look_ahead(rules: Rules, aligned: pl.DataFrame) -> Iterator[Violation]:
    for name in rules.pipeline.right:
        seen, moment = pl.col(f"{name}_{rules.on}"), pl.col(rules.on)
        ahead = seen > moment if rules.pipeline.allow_exact else seen >= moment
        yield from _violation("look-ahead", aligned.filter(ahead))


def _violation(kind: str, rows: pl.DataFrame) -> Iterator[Violation]:
    if rows.height:
        examples = tuple(str(row) for row in rows.head(EXAMPLES_MAX).to_dicts())
        yield Violation(kind, rows.height, examples)


def _both_sides(kind: str, columns: list[str], found: pl.DataFrame, wanted: pl.DataFrame) -> Violation:
    examples = []
    for was, should in zip(
        found.head(EXAMPLES_MAX).to_dicts(), wanted.head(EXAMPLES_MAX).to_dicts(), strict=True
    ):
        differing = [f"{c} is {was[c]!r}, should be {should[c]!r}" for c in columns if was[c] != should[c]]
        examples.append(f"left row {was[LEFT_OFFSET]}/{was[LEFT_INDEX]}: {'; '.join(differing)}")
    return Violation(kind, found.height, tuple(examples))
