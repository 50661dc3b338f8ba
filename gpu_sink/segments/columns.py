"""From segments into the columns of a batch: where types are alike, the file's bytes are columns."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gpu_sink.columns.columns import VALID, ColumnPlan, require_range
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
        self._codes: dict[str, Any] = {}  # per text column the file's codes as ours, where they differ

    def write(self, rows: SegmentRows, lower: int, count: int, columns: Mapping[str, Any], at: int) -> None:
        """Read `count` rows from `lower` on into `columns`, from row `at` on.

        Raises SegmentError, and ColumnError where a value does not fit the chosen type.
        """
        if self._footer is not rows.footer:
            self._take_up(rows)
        for plan in self._plans:
            values = columns[plan.name][at : at + count]
            valid = None
            if plan.nullable:
                valid = columns[plan.name + VALID][at : at + count]
                self.pieces.read(rows, plan.name + VALID, lower, valid)
            if plan.dtype == plan.source:
                self.pieces.read(rows, plan.name, lower, values)
            else:
                self._convert(plan, rows, lower, values, valid)
            codes = self._codes.get(plan.name)
            if codes is not None:
                self._translate(values, codes)

    def _take_up(self, rows: SegmentRows) -> None:
        """Learn another file's words; its codes are ours already where it is the first."""
        self._footer, self._codes = rows.footer, {}
        for plan in self._plans:
            if plan.kind == "codes":
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
