"""Labels in a check: they look ahead by definition, and rows wait for them, so a part is compared.

A label node gives its rows in order, so one that waits holds back those behind it, of every symbol.  Whoever
has fewer symbols, or other rows at the end, gives more of them or fewer: what both have is compared.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from app.audit.walk import frame_of
from app.graph.outcome import Outcome
from app.graph.trial import Difference, Outputs, Trial
from schemas.clocks import BEGINNING_NS, KNOWN_NS

CUTS: Final = 200
INFO_END: Final = "info_end_ns"
LABEL_KNOWN: Final = "label_known_ns"
AHEAD: Final = "looks ahead: its value hangs on rows that come later"
BEYOND: Final = "is a label that hangs on rows behind its info_end_ns"
EARLY: Final = "is given before its label_known_ns: nobody could know it by then"


def alike(trial: Trial, wanted: Outputs, actual: Outputs) -> tuple[Outputs, Outputs]:
    """Both runs, of nodes whose rows wait for labels as many from the first on as both have."""
    held = [name for name in trial.labels.held if name in wanted]
    rows = {name: min(wanted[name].num_rows, actual[name].num_rows) for name in held}
    one, other = (
        {name: batch.slice(0, rows.get(name)) for name, batch in side.items()} for side in (wanted, actual)
    )
    return one, other


def before(trial: Trial, wanted: Outputs, actual: Outputs, moment_ns: int) -> tuple[Outputs, Outputs]:
    """Of both runs what hangs on no row from a moment on: labels only where they say that they end before.

    Labels that other nodes carry are left out: they are judged at their own.
    """
    sides = [_rows_before(trial, side, moment_ns) for side in (wanted, actual)]
    one, other = (dict(side) for side in alike(trial, *sides))
    for name, columns in trial.labels.columns.items():
        if name in trial.labels.nodes:
            ended = pc.fill_null(pc.less(one[name].column(INFO_END), moment_ns), False)
            one[name], other[name] = (_only(side[name], columns, ended) for side in (one, other))
        else:
            one[name], other[name] = (side[name].drop_columns(sorted(columns)) for side in (one, other))
    return one, other


def cause_ahead(trial: Trial, apart: Difference) -> str:
    """What it means that a value hangs on rows from a moment on."""
    return BEYOND if apart.column in trial.labels.columns.get(apart.node, ()) else AHEAD


def as_far(trial: Trial, wanted: Outputs, actual: Outputs) -> tuple[Outputs, int]:
    """A run of other partitions, of nodes whose rows wait with as many rows of each key as `wanted` has.

    And how many rows it has more.
    """
    cut, more = dict(actual), 0
    for name in trial.labels.held:
        key = trial.key_of(name)
        kept = _in_counts(actual[name], wanted[name], key)
        more += actual[name].num_rows - int(kept.sum())
        cut[name] = actual[name].filter(pa.array(kept.to_numpy()))
    return cut, more


def more_words(more: int) -> str:
    """What is said of rows that one run has and the other one not yet."""
    return f"; {more:,} rows more, which together wait for rows of other symbols" if more else ""


def labels(trial: Trial, _: Outputs, draws: np.random.Generator) -> Outcome:
    """Labels as they come out, beside what was known by then: rows, and how far they are complete."""
    what = "when labels come out, beside what is known by then"
    count = trial.day.count
    cuts = np.unique(draws.integers(1, max(count, 2), CUTS))
    ends = [*(int(cut) for cut in cuts if cut < count), count]
    calls = trial.pass_through(trial.make(), trial.day, ends[:-1])
    count_out = 0
    after_ns = {name: _known_after(trial, name) for name in trial.labels.nodes}
    for latest_ns, call in zip(_known_by(trial, ends), calls, strict=True):
        for name in trial.labels.nodes:
            rows, known_ns = call[name].rows, latest_ns + after_ns[name]
            if rows is None:
                continue
            count_out += rows.num_rows
            early = pc.fill_null(pc.greater(rows.column(LABEL_KNOWN), known_ns), False)
            if pc.any(early).as_py():
                apart = _early(trial, name, rows, pc.index(early, True).as_py(), known_ns)
                ways = (LABEL_KNOWN, "as it came out")
                return Outcome("labels", what, "too early", apart, EARLY, ways)
    return Outcome("labels", what, f"{count_out:,} rows, none too early")


def _rows_before(trial: Trial, outputs: Outputs, moment_ns: int) -> Outputs:
    return {name: rows.filter(pc.less(rows.column(trial.on), moment_ns)) for name, rows in outputs.items()}


def _only(rows: pa.RecordBatch, columns: frozenset[str], kept: pa.Array) -> pa.RecordBatch:
    """The rows, with nulls in the place of these columns where they are not kept."""
    made = [
        pc.if_else(kept, column, pa.scalar(None, column.type)) if name in columns else column
        for name, column in zip(rows.schema.names, rows.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(made, schema=rows.schema)


def _in_counts(rows: pa.RecordBatch, wanted: pa.RecordBatch, key: Sequence[str]) -> pl.Series:
    """Which rows are among the first of their key, as many as there are wanted of it."""
    names = list(key)
    frame, other = (frame_of(pa.Table.from_batches([side.select(names)])) for side in (rows, wanted))
    if not names:
        return pl.Series(np.arange(rows.num_rows) < wanted.num_rows)
    counts = other.group_by(names).agg(pl.len().alias("rows_wanted"))
    nth = pl.int_range(pl.len(), dtype=pl.Int64).over(names).alias("nth_of_key")
    numbered = frame.with_columns(nth).join(
        counts, on=names, how="left", nulls_equal=True, maintain_order="left"
    )
    return numbered.select(pl.col("nth_of_key") < pl.col("rows_wanted").fill_null(0)).to_series()


def _known_by(trial: Trial, ends: Sequence[int]) -> Iterator[int]:
    """By call, which ends before these places, the latest moment that anything taken says."""
    known_ns = BEGINNING_NS
    known = {name: _known(root.rows, trial.on) for name, root in trial.day.roots.items()}
    firsts = dict.fromkeys(known, 0)
    for end in ends:
        lasts: Mapping[str, int] = trial.day.before(end)
        for name, times in known.items():
            known_ns = max(known_ns, int(times[firsts[name] : lasts[name]].max(initial=BEGINNING_NS)))
        firsts = dict(lasts)
        known_ns = max(known_ns, trial.day.complete_ns(end))
        yield known_ns


def _known_after(trial: Trial, name: str) -> int:
    """How much later the bars that a node reads are known than they come out here, without any grace."""
    nodes = {} if trial.plan is None else {node.name: node for node in trial.plan.nodes}
    after_ns, reads = 0, [name]
    while reads:
        node = nodes.get(reads.pop())
        if node is not None:
            reads += node.reads
            after_ns = max(after_ns, 0 if node.bars is None else node.bars.settings.known_after_ns)
    return after_ns


def _known(rows: pa.RecordBatch, on: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """When each row could be known: by its time where it does not say."""
    times = rows.column(on)
    known = rows.column(KNOWN_NS) if KNOWN_NS in rows.schema.names else times
    known = pc.coalesce(known.cast(pa.int64()), times.cast(pa.int64()))
    return np.asarray(known.to_numpy(zero_copy_only=False), np.int64)


def _early(trial: Trial, name: str, rows: pa.RecordBatch, at: int, known_ns: int) -> Difference:
    key = tuple(rows.column(part)[at].as_py() for part in trial.key_of(name))
    stated_ns = rows.column(LABEL_KNOWN)[at].as_py()
    return Difference(name, "label", key, rows.column(trial.on)[at].as_py(), stated_ns, known_ns)
