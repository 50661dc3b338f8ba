"""The accepted rows of a stream in the order in which the nodes take them that read it."""

from collections.abc import Callable, Iterator

import polars as pl
import pyarrow as pa

from app.audit.cut import Cut
from app.audit.join import INDEX, OFFSET
from app.audit.retained import Retained
from app.audit.runs import Runs, tiles
from schemas.clocks import BEGINNING_NS
from schemas.frame import LEFT_INDEX, LEFT_OFFSET


class OrderedStream:
    """One partition of a stream: `add` takes accepted rows as they are read, `batches` gives them in order.

    Of a stream that keeps no more all rows or letters about them, those are left out that others, which are
    gone, may come among.
    """

    def __init__(
        self, runs: Runs, on: str, retained: Retained, cut: Cut | None, memory_size_max: int
    ) -> None:
        self._runs = runs
        self._on = on
        self._retained = retained
        self._cut = cut
        self._memory_size_max = memory_size_max

    def add(self, rows: pl.DataFrame) -> None:
        """Take accepted rows, with OFFSET and INDEX, that were read by the cut."""
        if self._cut is not None:
            rows = rows.filter(pl.col(self._on) < self._cut.frontier_ns)
        self._runs.add(rows)

    @property
    def since(self) -> pl.Expr | None:
        """Which rows of an output may have been sealed since the cut; None without one."""
        return None if self._cut is None else pl.col(self._on) >= self._cut.frontier_ns

    def batches(self, begun: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
        """All rows in order, with their places; `begun` hears 1 where rows before them are gone, else 0."""
        self._runs.end()
        upper_ns = self._retained.values_upper_ns
        is_cut = self._retained.unsure and upper_ns > BEGINNING_NS
        begun(int(is_cut))
        for tile in tiles([self._runs], self._memory_size_max):
            rows = self._runs.read(tile.first_ns, tile.last_ns)
            if is_cut:
                rows = rows.filter(pl.col(self._on) > upper_ns)
            rows = rows.rename({OFFSET: LEFT_OFFSET, INDEX: LEFT_INDEX})
            yield from rows.to_arrow().to_batches()
