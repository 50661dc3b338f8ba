"""Which frames belong to one stream while its columns grow, and what a batch has where they do."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from gpu_sink.columns.columns import ColumnPlan, fitting_plan, read_as
from gpu_sink.contract import FrameError, layout_fingerprint
from gpu_sink.errors import ColumnError
from gpu_sink.frames import Frame
from gpu_sink.options import BatchOptions
from gpu_sink.reading.source import FrameSource


class LayoutRule:
    """Which frames belong to a stream: those of equal columns, or where columns were chosen, with those.

    With `columns_missing="null"` a frame may lack any of them.
    """

    def __init__(self, schema: pa.Schema, plans: Sequence[ColumnPlan], options: BatchOptions) -> None:
        self._schema = schema
        self._accepted = schema
        self._fingerprint = layout_fingerprint(schema)  # of what was accepted last
        self._plans = plans
        self._chosen = options.columns is not None
        self._may_lack = options.columns_missing == "null"

    def require(self, frame: Frame) -> None:
        """Raise FrameError, showing both layouts, for a frame of another stream."""
        if frame.headers is not None and frame.headers.layout == self._fingerprint:
            return  # decoding has compared the header with the columns
        actual = frame.rows.schema
        if actual.equals(self._accepted):
            return
        if not self._fits(actual):
            raise FrameError(
                f"{frame.place}: a frame of layout {layout_fingerprint(actual)}, the stream began with "
                f"{layout_fingerprint(self._schema)}: {_difference(actual, self._schema)}; read it by itself"
                + self._way_out(actual)
            )
        self._accepted, self._fingerprint = actual, layout_fingerprint(actual)

    def _fits(self, actual: pa.Schema) -> bool:
        if not self._chosen:
            ours, theirs = (
                [(f.name, read_as(f.type), f.nullable) for f in s] for s in (self._schema, actual)
            )
            return ours == theirs
        return all(self._has(actual, plan) for plan in self._plans)

    def _has(self, schema: pa.Schema, plan: ColumnPlan) -> bool:
        if plan.name not in schema.names:
            return self._may_lack
        field = schema.field(plan.name)
        if self._may_lack:
            return fitting_plan(plan, field) is not None
        return bool(read_as(field.type) == read_as(plan.type) and field.nullable == plan.nullable)

    def _way_out(self, actual: pa.Schema) -> str:
        if not self._chosen:
            return (
                ", or choose columns that both have with columns=, or any with columns= and "
                'columns_missing="null"'
            )
        lacks = any(plan.name not in actual.names for plan in self._plans)
        return ', or say columns_missing="null"' if lacks else ""


def grown_schema(schema: pa.Schema, source: FrameSource, options: BatchOptions) -> pa.Schema:
    """The columns of batches that are null where a frame lacks them: the chosen ones, all of them nullable.

    So a batch has the same columns and masks wherever reading begins.  The type of one that the first frame
    lacks is that of the newest frame that has it, else what `dtypes` says, text for one in `dictionaries`.
    Raises ColumnError where nothing tells it.
    """
    names = options.columns_read
    assert names is not None
    fields = {name: schema.field(name) for name in names if name in schema.names}
    if len(fields) < len(names):
        for newer in source.newest_schemas():
            fields = {name: newer.field(name) for name in names if name in newer.names} | fields
            if len(fields) == len(names):
                break
    return pa.schema([(fields.get(name) or _named(name, options)).with_nullable(True) for name in names])


def _named(name: str, options: BatchOptions) -> pa.Field:
    """A column that no frame has yet, as the options name it."""
    choice = options.dtypes.get(name)
    if choice is None and name in options.dictionaries:
        return pa.field(name, pa.string())
    if choice is None:
        raise ColumnError(
            f"no column {name} in the first frame, nor in the newest ones: say what it will be with "
            f'dtypes={{"{name}": "float64"}}, or for text with dictionaries={{"{name}": None}}'
        )
    try:
        return pa.field(name, pa.from_numpy_dtype(np.dtype(choice)))
    except (TypeError, pa.ArrowException):
        raise ColumnError(f"column {name}: {choice!r} is not a NumPy dtype of numbers") from None


def _difference(actual: pa.Schema, expected: pa.Schema) -> str:
    """The columns that are in one of two layouts only, or in another way."""
    ours, theirs = ({_field_text(field) for field in schema} for schema in (expected, actual))
    parts = []
    if theirs - ours:
        parts.append("it has " + ", ".join(sorted(theirs - ours)))
    if ours - theirs:
        parts.append("it lacks " + ", ".join(sorted(ours - theirs)))
    return " and ".join(parts) or "its columns are in another order"


def _field_text(field: pa.Field) -> str:
    return f"{field.name}: {field.type}{'' if field.nullable else ' not null'}"
