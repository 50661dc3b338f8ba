"""What an output carries of the rows of its node: the columns chosen, and what was asked for beside."""

from collections.abc import Collection, Sequence
from typing import Final

import pyarrow as pa

from operators.nulls import status_column
from operators.sealed import Sealed
from schemas.clocks import AVAILABLE_NS
from schemas.labels import as_label
from schemas.reasons import STATUS


class Carried:
    """Chooses the columns of an output.

    `features`  those of its columns that formulas made.
    `layout`    of what it gives.
    """

    def __init__(
        self,
        node: pa.Schema,
        columns: Sequence[str],
        features: Sequence[str],
        *,
        status: bool,
        available: bool,
        labels: Collection[str] = (),
    ) -> None:
        """`node` is the layout of the node's rows; with `status` there is a column more for each feature.

        Those of the columns that are `labels` say so in their metadata.
        """
        self.features: Final = tuple(features)
        self._statuses = self.features if status else ()
        self._available = available
        places = [node.names.index(name) for name in columns]
        self._places = places if len(places) < len(node.names) else None
        more = [pa.field(name + STATUS, pa.uint8()) for name in self._statuses]
        if available:
            more.insert(0, pa.field(AVAILABLE_NS, pa.int64()))
        fields = [as_label(node.field(name)) if name in labels else node.field(name) for name in columns]
        self._rewrites = bool(more) or any(name in labels for name in columns)
        self.layout: Final = pa.schema([*fields, *more])

    def choose(self, sealed: Sealed) -> Sealed:
        """The rows as the output has them, with the reasons of its own columns alone."""
        if sealed.rows is None:
            return sealed
        rows = sealed.rows if self._places is None else sealed.rows.select(self._places)
        more = [status_column(sealed, name) for name in self._statuses]
        if self._available:
            nobody = pa.nulls(rows.num_rows, pa.int64())
            more.insert(0, nobody if sealed.available is None else sealed.available)
        if self._rewrites:
            rows = pa.RecordBatch.from_arrays([*rows.columns, *more], schema=self.layout)
        reasons = {name: sealed.reasons[name] for name in self.features if name in sealed.reasons}
        return sealed._replace(rows=rows, reasons=reasons)
