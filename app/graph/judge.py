"""The second judge of a check: the features computed by the audit from the formulas' text."""

from typing import Final

import polars as pl
import pyarrow as pa

from app.audit.wanted import NodeRules
from app.graph.outcome import Outcome
from app.graph.trial import Difference, Outputs, Trial
from operators.graph.declare import GraphSettings
from operators.sealed import ALIGNED

WHAT: Final = "Polars from the formulas' text"
CAUSE: Final = "is another value by its formula, as Polars computes it from the text"


def second_judge(trial: Trial, outputs: Outputs, graph: GraphSettings) -> Outcome:
    """Compare every feature with its formula over the joined rows.

    Exact, but for what is rounded more than once on its way: there the last bits may differ, and the worst
    relative difference is told.  Features that the audit cannot compute are named.
    """
    aligned = pl.DataFrame(pa.Table.from_batches([trial.rows]))
    worst, feature = 0.0, ""
    unjudged: list[str] = []
    for node, rows in outputs.items():
        rules = NodeRules.of(graph, node, {ALIGNED: trial.key}, trial.on)
        own = next(one for one in graph.nodes if one.name == node).features
        unjudged += [f"{node}.{column}" for column in own if column in rules.unjudged]
        wanted = rules.values(rules.named(aligned))
        for column in own:
            if column in rules.unjudged:
                continue
            value = pl.Series(rows.column(column))
            error = _errors(value, wanted[column].cast(value.dtype, strict=False))
            wrong = error > rules.tolerances[column]
            if wrong.any():
                return _wrong(trial, node, column, int(wrong.arg_max() or 0), value, wanted[column])
            largest = error.max()
            if isinstance(largest, float) and largest > worst:
                worst, feature = largest, f"{node}.{column}"
    result = f"{worst:.1e} at most ({feature})" if feature else "equal"
    return Outcome(
        "second judge", WHAT, result + (f"; not judged: {', '.join(unjudged)}" if unjudged else "")
    )


def _errors(value: pl.Series, wanted: pl.Series) -> pl.Series:
    """How far each value is off, relative; infinite where one of both is null, or they are no floats."""
    apart = value.ne_missing(wanted)
    frame = pl.DataFrame({"apart": apart, "value": value, "wanted": wanted})
    relative = pl.lit(float("inf"))
    if value.dtype.is_float():
        relative = ((pl.col("value") - pl.col("wanted")) / pl.col("wanted")).abs().fill_null(float("inf"))
    return frame.select(pl.when("apart").then(relative).otherwise(0.0).alias("error"))["error"]


def _wrong(trial: Trial, node: str, column: str, at: int, value: pl.Series, wanted: pl.Series) -> Outcome:
    key = tuple(trial.rows.column(name)[at].as_py() for name in trial.key)
    time_ns = trial.rows.column(trial.on)[at].as_py()
    apart = Difference(node, column, key, time_ns, value[at], wanted[at])
    return Outcome("second judge", WHAT, "differs", apart, CAUSE, ("by the node", "by Polars"))
