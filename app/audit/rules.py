"""What can be wrong with aligned rows, each fault under its name with both sides of its first rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from app.audit.findings import PLACE, Findings
from app.audit.join import INDEX, OFFSET, Rules, expected_rows
from app.audit.retained import Retained
from app.audit.sides import WANTED, differ, sides
from app.audit.unsure import judge_unsure, value_is_certain
from schemas.frame import LEFT_INDEX, LEFT_OFFSET
from schemas.stream import message_keys
from topics.partitioner import partition_of

PARTITION = "audit_partition"  # of an aligned row, or the number of its file
EARLIER = "audit_earlier"  # of an aligned row: which of `Layout.lacks` it was written with
RULE = "audit_rule"  # of an aligned row: the number of the rules that it was matched by, or UNJUDGED
NTH = "audit_nth"
UNJUDGED = -1  # matched in a way that the settings do not say: it has to be there, and that is all


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How aligned rows are told from each other.

    `by_place`    each names its left row by offset and index in its topic; else, where the left rows come
                  from files, rows of one key and time count in their order.
    `partitions`  of the topics, or None where it is not known; then no row can be of another one.
    `late`        places of left rows that were not accepted, as OFFSET and INDEX.
    `repeats`     whether a row may come again, equal, as it does at least once.
    `lacks`       by EARLIER, the columns that did not exist yet when such rows were written.
    `left`        what is left of the left input, and `rights` of the others, by stream; without, all is.
    """

    by_place: bool = True
    partitions: int | None = None
    late: pl.DataFrame | None = None
    repeats: bool = False
    lacks: Sequence[Sequence[str]] = ((),)
    left: Retained | None = None
    rights: Mapping[str, Retained] = field(default_factory=dict)


def check_tile(
    rules: Sequence[Rules],
    layout: Layout,
    left: pl.DataFrame,
    rights: Sequence[Mapping[str, pl.DataFrame]],
    aligned: pl.DataFrame,
    findings: Findings,
) -> None:
    """Check the aligned rows of a range of times, PARTITION among their columns, against accepted rows.

    `left` holds the accepted rows of that time, `rights`, for each of the rules, all that they may match,
    both with OFFSET and INDEX.  Aligned rows without RULE are judged by the first rules.
    """
    if RULE not in aligned.columns:
        aligned = aligned.with_columns(pl.lit(0, pl.Int16).alias(RULE))
    for number, rule in enumerate(rules):
        _look_ahead(rule, aligned.filter(pl.col(RULE) == number), findings)
    aligned = _with_left(layout, left, aligned, findings)
    aligned = _own_rows(rules[0], layout, left, aligned, findings)
    expected = _expected(rules, left, rights, aligned)
    aligned = _completed(layout, aligned, expected)
    own = [PARTITION, *PLACE]
    if layout.repeats:
        written = aligned.height
        aligned = aligned.unique(keep="first", maintain_order=True)
        # A row may come again by another rule, too: each is judged by its own.
        again = aligned.select(*own, RULE).n_unique() - aligned.select(own).n_unique()
        findings.rows_repeated += written - aligned.height + again
        own = [*own, RULE]
    findings.add("duplicated", aligned.filter(aligned.select(own).is_duplicated()))
    aligned = aligned.unique(subset=own, keep="first", maintain_order=True)
    where, place = PLACE, [*PLACE, RULE]
    if not layout.by_place:
        keys = [*rules[0].keys[rules[0].pipeline.left], rules[0].on]
        where = place = [*keys, NTH]
        aligned, expected = (
            rows.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).over(keys).alias(NTH))
            for rows in (aligned, expected)
        )
    missing = expected.join(aligned, on=where, how="anti", nulls_equal=True)
    if layout.left is not None and layout.left.unsure:
        doubtful = layout.left.doubtful(missing, LEFT_OFFSET, LEFT_INDEX, rules[0].on)
        findings.passed_over[rules[0].pipeline.left] += int(doubtful.sum())
        missing = missing.filter(~doubtful)
    findings.add_stray("missing", missing.drop(RULE), by_place=layout.by_place)
    _unexpected(layout, aligned.join(expected, on=place, how="anti", nulls_equal=True), findings)
    wanted = expected.select(
        *place,
        *[pl.col(c).alias(WANTED + c) for c in expected.columns if c not in place or c in left.columns],
    )
    both = aligned.join(wanted, on=place, how="inner", nulls_equal=True, maintain_order="left")
    columns = [c for c in left.columns if c not in (OFFSET, INDEX)]
    findings.add("changed left row", both.filter(differ(both, columns)), sides(columns))
    for number, rule in enumerate(rules):
        _compare(rule, layout, both.filter(pl.col(RULE) == number), findings)


def _expected(
    rules: Sequence[Rules],
    left: pl.DataFrame,
    rights: Sequence[Mapping[str, pl.DataFrame]],
    aligned: pl.DataFrame,
) -> pl.DataFrame:
    """What each left row should be by the rules of its aligned row, with RULE; by the first without one."""
    if len(rules) == 1 and not (aligned[RULE] == UNJUDGED).any():
        return expected_rows(rules[0], left, rights[0]).with_columns(pl.lit(0, pl.Int16).alias(RULE))
    asked = aligned.select(pl.col(LEFT_OFFSET).alias(OFFSET), pl.col(LEFT_INDEX).alias(INDEX), RULE).unique()
    ruled = left.join(asked, on=[OFFSET, INDEX], how="left").with_columns(pl.col(RULE).fill_null(0))
    parts = [expected_rows(rules[0], left.clear(), rights[0]).with_columns(pl.lit(0, pl.Int16).alias(RULE))]
    for number in ruled[RULE].unique().sort().to_list():
        by = max(0, number)
        own = ruled.filter(pl.col(RULE) == number).drop(RULE)
        parts.append(
            expected_rows(rules[by], own, rights[by]).with_columns(pl.lit(number, pl.Int16).alias(RULE))
        )
    return pl.concat(parts, how="diagonal")  # by column, rules have other columns to judge by


def _with_left(layout: Layout, left: pl.DataFrame, aligned: pl.DataFrame, findings: Findings) -> pl.DataFrame:
    """Leave out the rows whose left row is gone; that they come twice is a fault all the same."""
    if layout.left is None or not layout.left.gone or not aligned.height:
        return aligned
    has_left = aligned.select(layout.left.has_left(LEFT_OFFSET))[LEFT_OFFSET]
    if layout.left.compacted:
        kept = left.select(pl.col(OFFSET).alias(LEFT_OFFSET), pl.col(INDEX).alias(LEFT_INDEX))
        kept = kept.with_columns(pl.lit(value=True).alias("kept"))
        found = aligned.select(PLACE).join(kept, on=PLACE, how="left", maintain_order="left")
        has_left = found["kept"].fill_null(value=False)
    gone = aligned.filter(~has_left)
    if not layout.repeats:
        findings.add("duplicated", gone.filter(gone.select(PARTITION, *PLACE).is_duplicated()))
    findings.passed_over["aligned"] += gone.height
    return aligned.filter(has_left)


def _own_rows(
    rules: Rules, layout: Layout, left: pl.DataFrame, aligned: pl.DataFrame, findings: Findings
) -> pl.DataFrame:
    """Leave out rows whose key belongs to another partition and that no left row here asks for."""
    keys = list(rules.keys[rules.pipeline.left])
    if layout.partitions is None or not keys or aligned.height == 0:
        return aligned
    partitions = layout.partitions
    homes = aligned.select(keys).unique(maintain_order=True)
    homes = homes.with_columns(pl.Series("home", _homes(rules, homes, partitions), pl.Int64))
    homed = aligned.join(homes, on=keys, how="left", nulls_equal=True, maintain_order="left")
    strange = homed.filter(pl.col("home") != pl.col(PARTITION)).drop("home")
    if layout.by_place:  # whoever partitions the input in another way has its rows here by right
        asked = left.select(*keys, pl.col(OFFSET).alias(LEFT_OFFSET), pl.col(INDEX).alias(LEFT_INDEX))
        strange = strange.join(asked, on=[*keys, *PLACE], how="anti", nulls_equal=True)
    if strange.height == 0:
        return aligned
    findings.add("row of another partition", strange)
    own = [PARTITION, *PLACE, *keys]
    return aligned.join(strange, on=own, how="anti", nulls_equal=True, maintain_order="left")


def _completed(layout: Layout, aligned: pl.DataFrame, expected: pl.DataFrame) -> pl.DataFrame:
    """Rows from before a column existed promise nothing of it: they get the value that is expected."""
    columns = sorted({column for lacks in layout.lacks for column in lacks})
    if columns:
        place = [*PLACE, RULE]
        wanted = expected.select(*place, *[pl.col(c).alias(WANTED + c) for c in columns])
        aligned = aligned.join(wanted, on=place, how="left", maintain_order="left")
        earlier = {c: [n for n, lacks in enumerate(layout.lacks) if c in lacks] for c in columns}
        aligned = aligned.with_columns(
            pl.when(pl.col(EARLIER).is_in(earlier[c]))
            .then(pl.col(WANTED + c).cast(aligned.schema[c], strict=False))
            .otherwise(pl.col(c))
            .alias(c)
            for c in columns
        ).drop([WANTED + c for c in columns])
    return aligned.drop(EARLIER, strict=False)


def _homes(rules: Rules, keys: pl.DataFrame, partitions: int) -> list[int | None]:
    """The partition of each of these keys, None of a null key.

    Polars has fewer types than Arrow and Avro; a key's text is that of the type it was published with.
    """
    texts = message_keys(keys.to_arrow().cast(rules.left_key), tuple(keys.columns))
    return [None if text is None else partition_of(text, partitions) for text in texts.to_pylist()]


def _unexpected(layout: Layout, rows: pl.DataFrame, findings: Findings) -> None:
    """Rows that no accepted left row asks for; some of a left row that was said to be late."""
    if layout.late is not None and rows.height:
        late = layout.late.rename({OFFSET: LEFT_OFFSET, INDEX: LEFT_INDEX})
        findings.add("late row was sealed too", rows.join(late, on=PLACE, how="semi", maintain_order="left"))
        rows = rows.join(late, on=PLACE, how="anti", maintain_order="left")
    findings.add_stray("unexpected", rows, by_place=layout.by_place)


def _compare(rules: Rules, layout: Layout, both: pl.DataFrame, findings: Findings) -> None:
    """Compare what was looked up for aligned rows with what it should be, column by column."""
    carried = rules.pipeline.carry == "column"
    for name in rules.pipeline.right:
        then, age = f"{name}_{rules.on}", f"{name}_age_ns"
        values = [f"{name}_{c}" for c in rules.columns[name]]
        all_of_it = sides([*values, then, age], name)
        rows, changed = both, differ(both, values)
        retained = layout.rights.get(name)
        if retained is not None and retained.unsure:
            rows = judge_unsure(rules, name, both, retained, findings)
            if carried:
                changed = pl.any_horizontal(
                    pl.lit(value=False),
                    *(
                        differ(both, [f"{name}_{c}"]) & value_is_certain(rules, name, c, retained)
                        for c in rules.columns[name]
                    ),
                )
        another = differ(both, [then])
        findings.add("wrong match", rows.filter(another), all_of_it)
        kind = "wrong carried value" if carried else "changed right value"
        findings.add(kind, rows.filter(changed & ~another), all_of_it)
        findings.add("wrong age", rows.filter(differ(both, [age]) & ~another), all_of_it)


def _look_ahead(rules: Rules, aligned: pl.DataFrame, findings: Findings) -> None:
    """A backward join must not know what came later; the other directions look ahead by intent."""
    if rules.pipeline.direction != "backward":
        return
    for name in rules.pipeline.right:
        seen, moment = pl.col(f"{name}_{rules.on}"), pl.col(rules.on)
        ahead = seen > moment if rules.pipeline.allow_exact else seen >= moment
        findings.add("look-ahead", aligned.filter(ahead))


def check_order(rules: Rules, aligned: pl.DataFrame, before: pl.DataFrame | None, findings: Findings) -> None:
    """Find rows that come after one they should precede; `before` is the last row before these, if any."""
    rows = aligned if before is None else pl.concat([before, aligned])
    behind, equal = pl.lit(value=False), pl.lit(value=True)
    for column in rules.order(rules.pipeline.left, *PLACE):
        this, last = pl.col(column), pl.col(column).shift()
        behind |= equal & (this < last)
        equal &= this == last
    marked = rows.with_columns(
        behind.fill_null(value=False).alias("behind"), pl.col(rules.on).shift().alias("after")
    )
    misplaced = marked.filter("behind").drop("behind")
    findings.add("out of order", misplaced)
