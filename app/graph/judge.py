"""The second judge of a check: the audit's joins, bars, labels and calls, and features from their text."""

from collections.abc import Iterator
from typing import Final

import polars as pl
import pyarrow as pa

from app.audit.findings import PLACE
from app.audit.joined import Begun, root_rows
from app.audit.made import MAYBE, MadeRules
from app.audit.node_rules import JoinRules, NodeRules
from app.audit.sides import WANTED
from app.audit.walk import frame_of
from app.audit.wanted import wanted_rows
from app.graph.outcome import Outcome
from app.graph.trial import Difference, Outputs, Trial, tiles_end_ns
from operators.graph.declare import GraphSettings

WHAT: Final = "Polars from the formulas' text"
JOINS: Final = "Polars, of joins and from the formulas' text"
MADE: Final = "the audit's own bars, labels, calls and joins, and formulas' text"
CAUSE: Final = "is another value by its formula, as Polars computes it from the text"
MATCH: Final = "comes from another row by the settings of the join, as Polars joins them"
ROWS: Final = "loses rows, or has others than what it reads"
OF_MADE: Final = {
    "bar": "is another bar by its definition, as the audit makes it of the same rows",
    "label": "is another label by its definition, as the audit finds it in the same rows",
    "function value": "is another value where the audit calls the function with the tiles of the settings",
}
WAYS: Final = ("by the node", "by the audit")


def second_judge(trial: Trial, outputs: Outputs, graph: GraphSettings) -> Outcome:
    """Compare all rows, every feature with its formula, and what joins look up with a join of the audit's.

    Exact, but for what is rounded more than once on its way: there the last bits may differ, and the worst
    relative difference is told.  Features that the audit cannot compute are named.
    """
    makes = trial.by_time or trial.calls
    what = MADE if makes else JOINS if trial.joins else WHAT
    worst, feature = 0.0, ""
    unjudged: list[str] = []
    for node, rows in outputs.items():
        rules = _rules(trial, graph, node)
        if rules.strange:
            unjudged.append(f"{node} ({rules.strange})")
            continue
        unjudged += [f"{node}.{column}" for column in _own(rules, graph) if column in rules.unjudged]
        wanted = _wanted(trial, rules)
        apart = _rows_apart(trial, node, rows, wanted)
        if apart is not None:
            return Outcome("second judge", what, "differs", apart, ROWS, WAYS)
        for column, value, right in _judged(rules, graph, rows, wanted):
            error = _errors(value, right.cast(value.dtype, strict=False))
            wrong = error > rules.tolerances.get(column, 0.0)
            if wrong.any():
                apart = _wrong(trial, node, column, int(wrong.arg_max() or 0), rows, value, right)
                return Outcome("second judge", what, "differs", apart, _cause(rules), WAYS)
            largest = error.max()
            if isinstance(largest, float) and largest > worst:
                worst, feature = largest, f"{node}.{column}"
    result = f"{worst:.1e} at most ({feature})" if feature else "equal"
    if trial.calls:
        result += "; functions are judged by calling them again"
    return Outcome(
        "second judge", what, result + (f"; not judged: {', '.join(unjudged)}" if unjudged else "")
    )


def _judged(
    rules: NodeRules, graph: GraphSettings, rows: pa.RecordBatch, wanted: pl.DataFrame
) -> Iterator[tuple[str, pl.Series, pl.Series]]:
    """Each column of the node's own that can be judged, as it is and as it should be."""
    prefix = "" if _own_source(rules) is not None else WANTED
    for column in _own(rules, graph):
        if column not in rules.unjudged and rows.num_rows:
            (value,) = frame_of(pa.table({column: rows.column(column)}))
            yield column, value, wanted[prefix + column]


def _own_source(rules: NodeRules) -> JoinRules | MadeRules | None:
    """The rules of the node itself where it joins rows or makes them; None for one of formulas."""
    if rules.join is not None and rules.join.name == rules.name:
        return rules.join
    return rules.made if rules.made is not None and rules.made.node.name == rules.name else None


def _cause(rules: NodeRules) -> str:
    source = _own_source(rules)
    if isinstance(source, MadeRules):
        return OF_MADE[source.kind]
    return CAUSE if source is None else MATCH


def _own(rules: NodeRules, graph: GraphSettings) -> list[str]:
    """The columns that a node adds to the rows it reads."""
    source = _own_source(rules)
    if source is not None:
        return source.brought
    return list(next(one for one in graph.nodes if one.name == rules.name).features)


def _rules(trial: Trial, graph: GraphSettings, node: str) -> NodeRules:
    keys = {name: root.key for name, root in trial.day.roots.items()}
    columns = {name: root.rows.schema.names for name, root in trial.day.roots.items()}
    return NodeRules.of(graph, node, keys, trial.on, columns)


def _wanted(trial: Trial, rules: NodeRules) -> pl.DataFrame:
    """All rows of a node as they should be, its features under `WANTED`."""

    def read(root: str, begun: Begun, /) -> Iterator[pl.DataFrame]:
        begun(0)
        yield frame_of(pa.Table.from_batches([trial.day.roots[root].rows]))

    complete_ns = trial.day.complete_ns(trial.day.count)
    complete_ns = tiles_end_ns(complete_ns) if trial.calls else complete_ns
    root = root_rows(rules, read, lambda _: None, complete_ns)
    frames = wanted_rows(rules, root, lambda: False)
    rows = pl.concat([pl.DataFrame(), *frames], how="diagonal_relaxed")
    return rows if MAYBE not in rows.columns else rows.filter(~pl.col(MAYBE).fill_null(value=False))


def _rows_apart(trial: Trial, node: str, rows: pa.RecordBatch, wanted: pl.DataFrame) -> Difference | None:
    """The first row that is not the one which a node reads there, or how many of both there are."""
    if rows.num_rows != wanted.height:
        return Difference(node, "", counts=(rows.num_rows, wanted.height))
    for column in PLACE if wanted.height else ():
        value = pl.Series(rows.column(column))
        apart = value.ne_missing(wanted[column])
        if apart.any():
            return _wrong(trial, node, column, int(apart.arg_max() or 0), rows, value, wanted[column])
    return None


def _errors(value: pl.Series, wanted: pl.Series) -> pl.Series:
    """How far each value is off, relative; infinite where one of both is null, or they are no floats."""
    apart = value.ne_missing(wanted)
    frame = pl.DataFrame({"apart": apart, "value": value, "wanted": wanted})
    relative = pl.lit(float("inf"))
    if value.dtype.is_float():
        relative = ((pl.col("value") - pl.col("wanted")) / pl.col("wanted")).abs().fill_null(float("inf"))
    return frame.select(pl.when("apart").then(relative).otherwise(0.0).alias("error"))["error"]


def _wrong(
    trial: Trial,
    node: str,
    column: str,
    at: int,
    rows: pa.RecordBatch,
    value: pl.Series,
    wanted: pl.Series,
) -> Difference:
    key = tuple(rows.column(name)[at].as_py() for name in trial.key_of(node))
    time_ns = rows.column(trial.on)[at].as_py()
    return Difference(node, column, key, time_ns, value[at], wanted[at])
