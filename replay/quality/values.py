"""What the columns of a day hold at all: nulls, and columns that never change."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


class ColumnValues:
    """Counts nulls by column, and follows which columns have had one value only."""

    def __init__(self) -> None:
        self._rows = 0
        self._nulls: dict[str, int] = {}
        self._only: dict[str, Any] = {}
        self._various: set[str] = set()

    def add(self, rows: pa.RecordBatch) -> None:
        """Take the next rows."""
        self._rows += rows.num_rows
        for name, column in zip(rows.schema.names, rows.columns, strict=True):
            self._nulls[name] = self._nulls.get(name, 0) + column.null_count
            if name not in self._various:
                self._follow(name, column)

    @property
    def nulls(self) -> dict[str, int]:
        """The nulls of each column that has any."""
        return {name: count for name, count in self._nulls.items() if count}

    @property
    def constant(self) -> list[str]:
        """The columns of which every row, of two or more, has the same value, null too."""
        if self._rows <= 1:
            return []
        return [
            name for name in self._only if name not in self._various and self._nulls[name] in (0, self._rows)
        ]

    def _follow(self, name: str, column: pa.Array) -> None:
        if pa.types.is_nested(column.type):
            self._various.add(name)
            return
        values = pc.unique(column.drop_null()) if self._only.get(name) is None else None
        if values is None:
            same = pc.all(pc.equal(column, self._only[name]), min_count=0).as_py()
            if not same:
                self._various.add(name)
        elif len(values) > 1:
            self._various.add(name)
        else:
            self._only[name] = values[0] if len(values) else None
