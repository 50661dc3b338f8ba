"""One feature of a run as its picture shows it: the values of one key over the day, and its nulls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from app.config import Settings
from app.errors import UsageError
from operators.formula.suggest import suggest
from operators.graph.plan import Plan
from schemas.batch import Int64s
from schemas.reasons import REASONS, STATUS

Float64s: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FeatureView:
    """A feature of one key in the order of time; `values` are float64, NaN where there is none.

    `nulls` counts those by reason; a reason is empty where the rows do not say it.
    """

    name: str
    key: str
    times_ns: Int64s
    values: Float64s
    nulls: Mapping[str, int] = field(default_factory=dict)

    @property
    def caption(self) -> str:
        """How many rows there are, and how many of them have no value, and why."""
        parts = [f"{count:,} {reason or 'null'}" for reason, count in self.nulls.items()]
        return f"{self.times_ns.size:,} rows" + (f", gaps: {', '.join(parts)}" if parts else "")


def require_feature(name: str, settings: Settings, plan: Plan | None) -> tuple[str, str]:
    """Return node and column of `NODE.COLUMN`; raises UsageError for what no output has, or is no number."""
    node, _, column = name.partition(".")
    layouts = {} if plan is None else plan.outputs()
    where = settings.file or "the settings"
    if node not in layouts:
        have = f"{suggest(node, list(layouts), listed='there are')}" if layouts else ""
        raise UsageError(f"--feature {name}: no node {node} of {where} has an output{have}")
    layout = layouts[node]
    if column not in layout.names:
        raise UsageError(
            f"--feature {name}: the output of {node} has no column {column}{suggest(column, layout.names)}"
        )
    kind = layout.field(column).type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise UsageError(f"--feature {name}: {column} is {kind}, and a number can be drawn")
    return node, column


def feature_view(
    rows: pa.Table, name: str, on: str, key: Sequence[str], shown: str | None
) -> FeatureView | None:
    """The feature `NODE.COLUMN` of the key `shown`, by default the one with the most rows.

    `rows` are those of the node's output, those of a key in order.  None where it has no row.
    """
    column = name.partition(".")[2]
    words = _key_words(rows, key)
    if shown is None and rows.num_rows:
        counts = pc.value_counts(words).to_pylist()
        shown = max(counts, key=lambda one: one["counts"])["values"]
    mine = rows.filter(pc.equal(words, pa.scalar(shown, pa.string())))
    if mine.num_rows == 0:
        return None
    values = mine.column(column)
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.uint8())
    numbers = np.asarray(values.cast(pa.float64()).to_numpy(), np.float64)
    times_ns = np.asarray(mine.column(on).to_numpy(), np.int64)
    return FeatureView(name, str(shown), times_ns, numbers, _nulls(mine, column))


def _nulls(rows: pa.Table, column: str) -> dict[str, int]:
    """The rows without a value by reason, as the status column says it where there is one."""
    count = rows.column(column).null_count
    if not count or column + STATUS not in rows.column_names:
        return {"": count} if count else {}
    without = rows.filter(rows.column(column).is_null())
    statuses = without.column(column + STATUS).fill_null(0).to_numpy()
    counts = np.bincount(statuses, minlength=len(REASONS))[1:].tolist()
    return {reason: count for reason, count in zip(REASONS[1:], counts, strict=True) if count}


def _key_words(rows: pa.Table, key: Sequence[str]) -> pa.ChunkedArray:
    """The key of each row as the picture names it."""
    parts = [rows.column(name).cast(pa.string()) for name in key]
    if not parts:
        return pa.chunked_array([pa.array([""] * rows.num_rows, pa.string())])
    return parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, ":", null_handling="replace")
