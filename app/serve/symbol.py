"""One symbol: its last joined rows with the quotes that they matched, the quotes around them, a feature."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from app.day.close_up import BID_ASK, PRICES
from app.errors import UsageError
from app.serve.bounded import FRAMES_MAX, Stretch, read_stretch, stretch_before
from app.wiring.pipeline import Pipeline
from operators.sealed import ALIGNED
from schemas.clocks import clock_column
from schemas.frame import LEFT_INDEX, LEFT_OFFSET, decode_frame
from schemas.frame_error import FrameError
from topics.block import TopicPartition
from topics.partitioner import partition_of

QUOTE_OFFSETS: Final = 4_000  # messages of the right stream that are looked through
ROWS_MAX: Final = 5_000  # the newest of them are shown
SYMBOL_LENGTH_MAX: Final = 256


class SymbolReader:
    """Answers questions about symbols from the topics of a pipeline; every answer is bounded."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._settings = pipeline.settings
        self._clock = clock_column(self._settings.pipeline.clock)
        left = pipeline.asof.left
        self._key = left.key
        self._price = next((name for name in PRICES if name in left.schema.names), None)
        self._right = pipeline.asof.rights[0]
        self._sides = _sides(self._right.schema)
        self._group = f"{self._settings.pipeline.prefix}-page"

    def view(
        self, symbol: str, before: int | None = None, node: str = "", column: str = ""
    ) -> dict[str, Any]:
        """The rows of a symbol in the last frames, or in those before an offset of the joined topic.

        Times are int64 ns, which become text.  `node` and `column` name a feature to show beside.  Raises
        UsageError for what is not there, BusError where the broker does not answer.
        """
        self._require(symbol, node, column)
        partition = partition_of(symbol.encode(), self._settings.bus.partitions)
        source = TopicPartition(self._settings.topic(ALIGNED), partition)
        stretch = stretch_before(self._pipeline.bus, source, before, FRAMES_MAX)
        rows = self._rows(source, stretch, symbol)
        answer: dict[str, Any] = {
            "symbol": symbol,
            "topic": source.topic,
            "partition": partition,
            "lower": stretch.lower,
            "upper": stretch.upper,
            "low": stretch.low,
            "high": stretch.high,
            "price": self._price,
            "right": self._right.name,
            "sides": list(self._sides or ()),
            "columns": self._feature_columns(),
            "rows": [],
            "quotes": [],
            "feature": [],
        }
        if rows is None:
            return answer
        answer["rows"] = self._as_rows(rows)
        span = (int(pc.min(rows[self._clock]).as_py()), int(pc.max(rows[self._clock]).as_py()))
        answer["quotes"] = self._quotes(symbol, partition, span)
        if node:
            answer["feature"] = self._feature(node, column, symbol, partition, span)
        return answer

    def _require(self, symbol: str, node: str, column: str) -> None:
        if not symbol or len(symbol) > SYMBOL_LENGTH_MAX:
            raise UsageError(f"a symbol has 1 to {SYMBOL_LENGTH_MAX} characters")
        if len(self._key) != 1:
            raise UsageError(
                f"the key of this join is {', '.join(self._key)}: this view knows keys of one column"
            )
        if node and column not in self._feature_columns().get(node, ()):
            raise UsageError(f"there is no output {node} with a column {column} of numbers")

    def _feature_columns(self) -> dict[str, list[str]]:
        """By node with an output the numbers it adds."""
        if self._pipeline.graph is None:
            return {}
        return {
            node.name: [
                field.name
                for field in node.output.layout
                if field.name in node.output.features and not pa.types.is_nested(field.type)
            ]
            for node in self._pipeline.graph.nodes
            if node.output is not None
        }

    def _frames(
        self, source: TopicPartition, stretch: Stretch, symbol: str, *columns: str
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The symbol's rows in each frame of a stretch, with its offset; what has none is passed over.

        So is a message that is no frame, and a frame that has not the key, the clock and these columns.
        """
        for block in read_stretch(self._pipeline.bus, source, stretch, group=self._group):
            for message in range(block.messages):
                offset = int(block.offset[message])
                if offset >= stretch.upper:
                    return
                try:
                    rows = self._of_symbol(decode_frame(block.originals[message].value), symbol, columns)
                except (FrameError, pa.ArrowException):
                    continue
                if rows.num_rows:
                    yield offset, rows
            del block

    def _of_symbol(self, rows: pa.RecordBatch, symbol: str, columns: Sequence[str]) -> pa.RecordBatch:
        if not {self._key[0], self._clock, *columns} <= set(rows.schema.names):
            raise FrameError("a frame of another pipeline")
        time_ns = rows.column(self._clock)
        if not pa.types.is_int64(time_ns.type) or time_ns.null_count:
            raise FrameError("a frame of another pipeline")
        key = rows.column(self._key[0]).cast(pa.string())
        return rows.filter(pc.fill_null(pc.equal(key, symbol), False))

    def _rows(self, source: TopicPartition, stretch: Stretch, symbol: str) -> pa.Table | None:
        """The newest joined rows of the symbol, each with the offset of its frame."""
        parts = []
        for offset, mine in self._frames(source, stretch, symbol):
            frame = pa.array(np.full(mine.num_rows, offset, np.int64))
            parts.append(pa.Table.from_batches([mine]).append_column("frame", frame))
        if not parts:
            return None
        table = pa.concat_tables(parts, promote_options="default")
        return table.slice(max(0, table.num_rows - ROWS_MAX))

    def _as_rows(self, rows: pa.Table) -> list[dict[str, Any]]:
        """Rows as a browser shows them."""
        right = self._right.name
        wanted = {
            "time_ns": self._clock,
            "price": self._price,
            "matched_ns": f"{right}_{self._right.require_clock(self._settings.pipeline.clock)}",
            "age_ns": f"{right}_age_ns",
            "bid": self._sides and f"{right}_{self._sides[0]}",
            "ask": self._sides and f"{right}_{self._sides[1]}",
            "offset": LEFT_OFFSET,
            "index": LEFT_INDEX,
            "frame": "frame",
        }
        names = {ours: name for ours, name in wanted.items() if name in rows.column_names}
        shown: list[dict[str, Any]] = (
            rows.select(list(names.values())).rename_columns(list(names)).to_pylist()
        )
        return shown

    def _quotes(self, symbol: str, partition: int, span: tuple[int, int]) -> list[tuple[int, Any, Any]]:
        """The quotes of the symbol between two times, as they lie in their topic: time, bid, ask."""
        if self._sides is None:
            return []
        name = self._right.name
        source = TopicPartition(self._settings.topic(name), partition)
        stretch = stretch_before(self._pipeline.bus, source, None, QUOTE_OFFSETS)
        decoder = self._pipeline.decoder(name)
        matches: list[tuple[int, Any, Any]] = []
        for block in read_stretch(self._pipeline.bus, source, stretch, group=self._group):
            decoded = decoder.decode(block, np.arange(block.messages, dtype=np.int64)).batch
            if decoded is not None:
                text = decoded.keys.cast(pa.string()).to_pylist()
                code = text.index(symbol) if symbol in text else -2
                at = decoded.time_ns
                chosen = np.flatnonzero((decoded.key_code == code) & (at >= span[0]) & (at <= span[1]))
                bid, ask = (decoded.columns.column(side).take(pa.array(chosen)) for side in self._sides)
                matches += zip(at[chosen].tolist(), bid.to_pylist(), ask.to_pylist(), strict=True)
            del block
        return sorted(matches, key=lambda quote: quote[0])[-ROWS_MAX:]

    def _feature(
        self, node: str, column: str, symbol: str, partition: int, span: tuple[int, int]
    ) -> list[tuple[int, Any]]:
        """The values of a feature between two times."""
        source = TopicPartition(self._settings.topic(node), partition)
        stretch = stretch_before(self._pipeline.bus, source, None, FRAMES_MAX)
        matches: list[tuple[int, Any]] = []
        for _, mine in self._frames(source, stretch, symbol, column):
            at: npt.NDArray[np.int64] = mine.column(self._clock).to_numpy()
            matches += [
                (time_ns, value)
                for time_ns, value in zip(at.tolist(), mine.column(column).to_pylist(), strict=True)
                if span[0] <= time_ns <= span[1]
            ]
        return matches[-ROWS_MAX:]


def _sides(schema: pa.Schema) -> Sequence[str] | None:
    """The columns of the bid's and the ask's price."""
    return next((pair for pair in BID_ASK if set(pair) <= set(schema.names)), None)
