"""The audit of nodes: each row of an output is held against that of its root or join, and its formulas."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from app.audit.findings import PLACE, Findings
from app.audit.made import MAYBE, THERE
from app.audit.node_rules import JoinRules, NodeRules
from app.audit.sides import WANTED
from app.audit.walk import frame_of
from app.audit.wanted import wanted_rows
from schemas.clocks import AVAILABLE_NS
from schemas.reasons import OK, REASONS, STATUS, TRUNCATED, WARMING

UNJUDGED_NODE = "audit_unjudged"  # of a row of an output: whether it has to be there, and that is all
WINDOW_ROWS = 8_192  # looked through on either side for where both meet again


def check_node(
    rules: NodeRules,
    aligned: Iterator[pa.RecordBatch],
    rows: Iterator[pa.RecordBatch],
    findings: Findings,
    *,
    repeats: bool,
    since: pl.Expr | None = None,
    heads: "Heads | None" = None,
) -> int:
    """Check the rows of one output and partition against those of its root; returns how many there were.

    `aligned` are the rows of the root under its own names; see `check_rows`.
    """
    frames = map(rules.named, frames_of(aligned, rules.on, repeats=repeats))
    return check_rows(rules, frames, rows, findings, repeats=repeats, since=since, heads=heads)


def check_rows(
    rules: NodeRules,
    wanted: Iterator[pl.DataFrame],
    rows: Iterator[pa.RecordBatch],
    findings: Findings,
    *,
    repeats: bool,
    since: pl.Expr | None = None,
    heads: "Heads | None" = None,
) -> int:
    """Check the rows of one output and partition against what they are made of; returns how many there were.

    `wanted` are the rows of the root or join under the names that formulas have for their columns.  Both come
    in their order, and each of those has one row; rows from before the node was there have none.
    What is held is the batch at hand of either side, or where they differ a window of rows.  With `repeats`,
    as at least once, a row may come again, equal; then both sides are held whole, and the first row of each
    place counts.  `since` says which rows of the output, behind those of all aligned rows, are not judged.

    `heads` says, once first rows were read, which side keeps no more than what is left; rows from before the
    first of the other side are not judged then.  Nor are features of rows that hang on aligned rows which are
    gone: these are counted.
    """
    joined = _Side(wanted)
    made = _Side(frames_of(rows, rules.on, repeats=repeats, identity=rules.identity))
    if rules.needs or rules.source is not None:
        joined = _Side(wanted_rows(rules, wanted, lambda: heads is not None and heads.aligned > 0))
    count, begun = 0, False
    while made.fill():
        if not begun:
            cut = joined.fill() and heads is not None
            if heads is not None and heads.aligned and not cut:
                return 0
            if heads is not None and cut and repeats and (heads.aligned or heads.made):
                _meet(joined, made, heads)
            elif heads is not None and cut and heads.aligned:
                made.skip_before(joined, heads.on)
            if not made.fill():
                break
            begun = joined.skip_to(made.first_place())
        if not joined.fill():
            break
        height = _paired(joined.rows, made.rows)
        if height:
            count += height
            _compare(rules, joined.take(height), made.take(height), findings)
        else:
            count += _lose(rules, joined, made, findings)
    while made.fill():
        rest = made.take(made.rows.height)
        rest = rest if since is None else rest.filter(~since)
        findings.add("unexpected node row", _named(rules, rest), str)
    while begun and joined.fill():
        findings.add("missing node row", _named(rules, _certain(joined.take(joined.rows.height))), str)
    return count


def _certain(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that have come out for sure."""
    return rows.filter(~pl.col(MAYBE).fill_null(value=False)) if MAYBE in rows.columns else rows


@dataclass(slots=True)
class Heads:
    """The first offsets left of a root's topic and of that of an output; `on` is the time column."""

    on: str
    aligned: int = 0
    made: int = 0

    def begin_aligned(self, low: int) -> None:
        """The reading of the root begins, at the first message left."""
        self.aligned = low

    def begin_made(self, low: int) -> None:
        """The reading of the output begins."""
        self.made = low


def _meet(joined: "_Side", made: "_Side", heads: Heads) -> None:
    """Let both sides, held whole, begin together.

    Rows come again in another order than before, so what is left of either side may begin in the midst.
    """
    on = pl.col(heads.on)
    first_ns, joined_ns = made.rows[heads.on].min(), joined.rows[heads.on].min()
    for side, other, until_ns, cut in (
        (joined, made.rows, first_ns, True),
        (made, joined.rows, joined_ns, heads.aligned > 0),
    ):
        alone = side.rows.join(other.select(PLACE), on=PLACE, how="anti").filter(on <= until_ns)
        if cut:
            side.rows = side.rows.join(alone.select(PLACE), on=PLACE, how="anti")
        side.rows = side.rows.sort([heads.on, *PLACE])


def _paired(left: pl.DataFrame, rows: pl.DataFrame) -> int:
    """How many rows at the head of both sides have the same places."""
    height = min(left.height, rows.height)
    apart = pl.Series(np.zeros(height, np.bool_))
    for name in PLACE:
        apart |= left[name].head(height) != rows[name].head(height)
    return int(apart.arg_max() or 0) if apart.any() else height


def _lose(rules: NodeRules, joined: "_Side", made: "_Side", findings: Findings) -> int:
    """The heads are of different places: name the rows that stand alone, up to where both sides meet again.

    Returns how many rows of the output these were.
    """
    joined.gather(WINDOW_ROWS)
    made.gather(WINDOW_ROWS)
    absent = joined.find(made.first_place())
    if absent is not None:
        findings.add("missing node row", _named(rules, _certain(joined.take(absent))), str)
        return 0
    strange = made.find(joined.first_place())
    strange = 1 if strange is None else strange
    findings.add("unexpected node row", _named(rules, made.take(strange)), str)
    return strange


def frames_of(
    batches: Iterator[pa.RecordBatch], on: str, *, repeats: bool, identity: Sequence[str] = PLACE
) -> Iterator[pl.DataFrame]:
    """Rows as Polars holds them; with `repeats` all at once, each once and in the order of time.

    `identity` are the columns that tell rows apart.
    """
    frames = (frame_of(pa.Table.from_batches([batch])) for batch in batches)
    if not repeats:
        yield from frames
    elif parts := list(frames):
        rows = pl.concat(parts, how="diagonal").unique(identity, keep="first", maintain_order=True)
        yield rows.sort(on, maintain_order=True)


class _Side:
    """Rows that come in batches and are taken in equal numbers from both sides."""

    def __init__(self, frames: Iterator[pl.DataFrame]) -> None:
        self.rows = pl.DataFrame()
        self.frames = frames

    def fill(self) -> bool:
        """Whether there is a row to take."""
        while self.rows.height == 0:
            rows = next(self.frames, None)
            if rows is None:
                return False
            self.rows = rows
        return True

    def first_place(self) -> tuple[int, int]:
        """The place of the first row."""
        offset, index = self.rows.select(PLACE).row(0)
        return offset, index

    def skip_before(self, other: "_Side", on: str) -> None:
        """Leave out rows that stand before the first of the other side, which holds some."""
        first_ns, place = int(other.rows[on][0]), other.first_place()
        while self.fill():
            self.rows = self.rows.filter(pl.col(on) >= first_ns)
            if self.rows.height:
                break
        # Rows of one time are in an order of their own.
        self.gather(WINDOW_ROWS)
        self.take(self.find(place) or 0 if self.rows.height else 0)

    def gather(self, count: int) -> None:
        """Hold at least `count` rows, or all that are left."""
        parts = [self.rows]
        while sum(part.height for part in parts) < count and (rows := next(self.frames, None)) is not None:
            parts.append(rows)
        self.rows = pl.concat(parts, how="diagonal")

    def find(self, place: tuple[int, int]) -> int | None:
        """How many of the rows held come before that of a place; None where none is of it."""
        at = self.rows.select((pl.col(PLACE[0]) == place[0]) & (pl.col(PLACE[1]) == place[1])).to_series()
        return at.arg_max() if at.any() else None

    def skip_to(self, place: tuple[int, int]) -> bool:
        """Leave out the rows before that of a place; nothing is left where there is none."""
        while self.fill():
            before = self.find(place)
            if before is not None:
                self.take(before)
                return True
            self.rows = self.rows.clear()
        return True

    def take(self, count: int) -> pl.DataFrame:
        """The next `count` rows."""
        taken, self.rows = self.rows.head(count), self.rows.slice(count)
        return taken


def unjudged(rows: pa.RecordBatch, on: str) -> pa.RecordBatch:
    """Rows that were made by other formulas: their places, for they have to be there, and no values."""
    bare = rows.select([name for name in (on, *PLACE) if name in rows.schema.names])
    return bare.append_column(UNJUDGED_NODE, pa.repeat(pa.scalar(True), rows.num_rows))


def _compare(rules: NodeRules, left: pl.DataFrame, rows: pl.DataFrame, findings: Findings) -> None:
    if UNJUDGED_NODE in rows.columns:
        judged = rows[UNJUDGED_NODE].is_null()
        left, rows = left.filter(judged), rows.filter(judged).drop(UNJUDGED_NODE)
    if not rules.needs and rules.source is None:
        left = left.hstack([value.alias(WANTED + value.name) for value in rules.values(left)])
    findings.add("wrong status", rows.filter(_any(_misstated(rules, rows))), _describe_statuses(rules))
    beside = {*rules.features, *rules.statuses, *([AVAILABLE_NS] if rules.available else []), *rules.unjudged}
    beside |= {c for c in rows.columns if c.endswith(STATUS) and c not in left.columns}
    carried = [c for c in rows.columns if c not in beside]
    features = [c for c in rows.columns if c in rules.features and c not in rules.unjudged]
    there = [THERE + c for c in (*carried, *features) if THERE + c in left.columns]
    both = rows.hstack(
        [
            *left.select(pl.col(c).alias(WANTED + c) for c in carried),
            *left.select([WANTED + c for c in features]),
            *left.select(pl.col(c).fill_null(value=True) for c in there),
        ]
    )
    describe = _describe(rules)
    brought: list[str] = []
    if rules.join is not None:
        brought = [c for c in rules.join.brought if c in carried]
        _compare_join(rules, rules.join, both, brought, findings)
    if rules.made is not None:
        brought = [c for c in rules.made.brought if c in carried]
        differs = _any(_wrong(rules, both, c) for c in brought)
        findings.add(f"wrong {rules.made.kind}", both.filter(differs), describe)
    differs = _any(_wrong(rules, both, c) for c in carried if c not in brought)
    findings.add("changed carried column", both.filter(differs), describe)
    findings.add("wrong feature", both.filter(_any(_wrong(rules, both, c) for c in features)), describe)
    if there:
        sure = both if MAYBE not in left.columns else both.filter(~left[MAYBE].fill_null(value=False))
        findings.without_past[rules.name] += sure.filter(~pl.all_horizontal(there)).height


def _compare_join(
    rules: NodeRules, join: JoinRules, both: pl.DataFrame, brought: list[str], findings: Findings
) -> None:
    """Compare what a join looked up, as far as an output has it; it looks back, and knows nothing later."""
    describe, on = _describe(rules), rules.on
    for name in join.rights:
        then, age = f"{name}_{on}", f"{name}_age_ns"
        own = {f"{name}_{c}" for c in join.rules.columns[name]}
        another = pl.lit(value=False)
        if then in brought:
            seen, moment = pl.col(then), pl.col(on)
            ahead = seen > moment if join.rules.pipeline.allow_exact else seen >= moment
            findings.add("look-ahead", both.filter(ahead), describe)
            another = _wrong(rules, both, then)
            findings.add("wrong match", both.filter(another), describe)
        values = _any(_wrong(rules, both, c) for c in brought if c in own)
        kind = "wrong carried value" if join.rules.pipeline.carry == "column" else "changed right value"
        findings.add(kind, both.filter(values & ~another), describe)
        if age in brought:
            findings.add("wrong age", both.filter(_wrong(rules, both, age) & ~another), describe)


def _wrong(rules: NodeRules, both: pl.DataFrame, name: str) -> pl.Expr:
    """Whether a value is not what it should be, where that is known."""
    differs = _differs(name, both.schema[name], rules.tolerances.get(name, 0.0))
    return differs & pl.col(THERE + name) if THERE + name in both.columns else differs


def _differs(name: str, kind: pl.DataType, tolerance: float) -> pl.Expr:
    value, wanted = pl.col(name), pl.col(WANTED + name).cast(kind, strict=False)
    differs = value.ne_missing(wanted)
    if not tolerance or not kind.is_float():
        return differs
    near = (value - wanted).abs() <= tolerance * wanted.abs()
    return differs & ~near.fill_null(value=False)


def _misstated(rules: NodeRules, rows: pl.DataFrame) -> Iterator[pl.Expr]:
    """By status column: where it gives a reason for a value, none for a null, or one that cannot be.

    Rows from before there was such a column say nothing.
    """
    for status, feature in rules.statuses.items():
        if status in rows.columns and feature in rows.columns:
            told = pl.col(status)
            strange = ((told == OK) != pl.col(feature).is_not_null()) & (told != TRUNCATED)
            strange |= told >= len(REASONS)
            if feature not in rules.needs and (rules.join is None or feature not in rules.join.needs):
                strange |= told.is_in([WARMING, TRUNCATED])
            yield strange.fill_null(value=False)


def _describe_statuses(rules: NodeRules) -> Callable[[dict[str, object]], str]:
    def describe(row: dict[str, object]) -> str:
        said = [f"{c} is {row[c]}, {f} is {row[f]!r}" for c, f in rules.statuses.items() if c in row]
        return f"{rules.name} row {row[PLACE[0]]}/{row[PLACE[1]]}: {'; '.join(said)}"

    return describe


def _any(checks: Iterator[pl.Expr]) -> pl.Expr:
    return pl.any_horizontal(pl.lit(value=False), *checks)


def _describe(rules: NodeRules) -> Callable[[dict[str, object]], str]:
    def describe(row: dict[str, object]) -> str:
        wrong = [
            c for c in row if WANTED + c in row and row[c] != row[WANTED + c] and row.get(THERE + c, True)
        ]
        said = "; ".join(f"{c} is {row[c]!r}, should be {row[WANTED + c]!r}" for c in wrong)
        return f"{rules.name} row {row[PLACE[0]]}/{row[PLACE[1]]}: {said}"

    return describe


def _named(rules: NodeRules, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(pl.lit(rules.name).alias("node"), *PLACE)
