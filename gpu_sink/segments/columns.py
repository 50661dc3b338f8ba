"""From segments into the columns of a batch: where types are alike, the file's bytes are columns."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gpu_sink.columns.columns import VALID, ColumnPlan, fitting_plan, require_range
from gpu_sink.columns.words import NULL_CODE, Dictionary
from gpu_sink.segments.reads import PieceReader, SegmentRows

if TYPE_CHECKING:
    from gpu_sink.segments.file import Footer


class SegmentColumns:
    """Writes rows of segments into columns, which are arrays on the host or tensors on a card."""

    def __init__(
        self,
        plans: Sequence[ColumnPlan],
        dictionaries: Mapping[str, Dictionary],
        rows_max: int,
        pieces: PieceReader,
    ) -> None:
        self.pieces = pieces
        self._plans = plans
        self._dictionaries = dictionaries
        self._scratch = np.empty(rows_max, np.int64)  # values of another type than the one asked for
        self._index = np.empty(rows_max, np.intp)
        self._footer: Footer | None = None
        self._own: list[
            tuple[ColumnPlan, bool | None]
        ] = []  # how each is stored: masked or not, None: not at all
        self._codes: dict[str, Any] = {}  # per text column the file's codes as ours, where they differ

    def write(self, rows: SegmentRows, lower: int, count: int, columns: Mapping[str, Any], at: int) -> None:
        """Read `count` rows from `lower` on into `columns`, from row `at` on.

        Raises SegmentError, and ColumnError where a value does not fit the chosen type.
        """
        if self._footer is not rows.footer:
            self._take_up(rows)
        for plan, masked in self._own:
            values = columns[plan.name][at : at + count]
            valid = columns[plan.name + VALID][at : at + count] if plan.nullable else None
            if valid is not None and masked:
                self.pieces.read(rows, plan.name + VALID, lower, valid)
            elif valid is not None:
                valid[:] = masked is not None
            if masked is None:
                values[:] = plan.under_null
                continue
            if plan.dtype == plan.source:
                self.pieces.read(rows, plan.name, lower, values)
            else:
                self._convert(plan, rows, lower, values, valid)
            codes = self._codes.get(plan.name)
            if codes is not None:
                self._translate(values, codes)

    def _take_up(self, rows: SegmentRows) -> None:
        """Learn another file's words; its codes are ours already where it is the first."""
        self._footer, self._codes, self._own = rows.footer, {}, []
        for planned in self._plans:
            stored = rows.schema.field(planned.name) if planned.name in rows.schema.names else None
            plan = planned if stored is None else fitting_plan(planned, stored)
            assert plan is not None, "the layout was not checked"
            self._own.append((plan, None if stored is None else stored.nullable))
            if plan.kind == "codes" and stored is not None:
                ours = self._dictionaries[plan.name].codes(rows.words(plan.name))
                if not np.array_equal(ours, np.arange(len(ours))):
                    self._codes[plan.name] = np.append(ours, np.int32(NULL_CODE))  # -1 looks up the last

    def _convert(self, plan: ColumnPlan, rows: SegmentRows, lower: int, values: Any, valid: Any) -> None:
        stored = self._scratch.view(plan.source)[: len(values)]
        self.pieces.read(rows, plan.name, lower, stored)
        if plan.dtype.kind in "iu":
            require_range(plan, stored, valid)
        np.copyto(values, stored, casting="same_kind")
        if valid is not None:
            values[~valid] = plan.under_null

    def _translate(self, values: Any, codes: Any) -> None:
        if isinstance(values, np.ndarray):
            index = self._index[: len(values)]
            np.copyto(index, values)
            codes.take(index, out=values, mode="wrap")
        else:
            table = values.new_tensor(codes.tolist())
            values.copy_(table[values.long()])
