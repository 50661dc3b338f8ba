"""The verifier of a storm: a partition at a time, blocks read by NumPy, joined by Polars, compared by column.

It shares no code with the program, and none with the feed: a message's rows are cut at the widths Avro gives
them, and every so many messages fastavro reads the same bytes and must say the same.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import fastavro
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from tests.broker.chaos.feed import QUOTE, TRADE
from tests.broker.chaos.log_reader import POLL_S, committed_reader, is_end
from tests.broker.chaos.verifier import Figures

RECORDS: Final = {"trade": TRADE, "quote": QUOTE}
# Offset and width of each field in a row, by stream; a quote's last field is there or not.
TRADE_ROW: Final = {"event_ns": (0, 9), "symbol": (10, 5), "number": (15, 6), "price": (21, 8)}
QUOTE_ROW: Final = {"event_ns": (0, 9), "symbol": (10, 5), "number": (15, 6), "bid": (21, 8), "ask": (30, 8)}
WIDTHS: Final = {"trade": (29,), "quote": (38, 30)}  # of a row; a quote without ask is the narrower one
READ_AT_ONCE: Final = 32 << 20  # bytes
CHECKED_EVERY: Final = 997  # messages
PLACE: Final = ["left_offset", "left_index"]

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a storm's topics are and what its messages are: schema ids of blocks and of progress records.

    `begin_ns` is the market's first time.
    """

    bootstrap: str
    prefix: str
    partitions: int
    ids: Mapping[str, int]
    begin_ns: int
    tolerance_ns: int | None


def verify(source: Source, seen: set[tuple[int, int]]) -> Figures:
    """Hold every aligned row against the join of the committed inputs; `seen` is what a reader has seen."""
    reader = committed_reader(source.bootstrap, [])
    try:
        return _verified(source, _Log(source, reader), seen)
    finally:
        reader.close()


def _verified(source: Source, log: "_Log", seen: set[tuple[int, int]]) -> Figures:
    figures = Figures()
    committed: set[tuple[int, int]] = set()
    for partition in range(source.partitions):
        trades, quotes = (read_blocks(log, name, partition) for name in ("trade", "quote"))
        expected = join(trades, quotes, source.tolerance_ns)
        del trades, quotes
        aligned, offsets = _aligned(log, partition)
        committed |= {(partition, offset) for offset in offsets}
        compare(expected, aligned, figures)
        del expected, aligned
        figures.late += log.count("late", partition)
        figures.dead += log.count("dead", partition)
    figures.lost += figures.late + figures.dead  # no row of a storm is either
    figures.aborted_seen = len(seen - committed)
    figures.lost += len(committed - seen)
    return figures


def read_stream(source: Source, name: str, partition: int) -> pl.DataFrame:
    """The committed rows of one partition of an input, with their places, read by itself."""
    reader = committed_reader(source.bootstrap, [])
    try:
        return read_blocks(_Log(source, reader), name, partition)
    finally:
        reader.close()


def read_blocks(log: "_Log", name: str, partition: int) -> pl.DataFrame:
    """The committed rows of one partition of an input, with their places."""
    parts = []
    progress = log.source.ids["progress"].to_bytes(4, "big")
    for messages in log.messages(name, partition):
        rows = [message for message in messages if message[1][1:5] != progress]
        for width in WIDTHS[name]:
            size = 5 + 1 + width * 16 + 1
            same = [message for message in rows if len(message[1]) == size]
            if same:
                parts.append(_decoded(log.source.ids[name], name, same, width))
            rows = [message for message in rows if len(message[1]) != size]
        assert not rows, f"{name}[{partition}] holds messages of unknown size at {rows[0][0]}"
    return pl.concat(parts)


def join(trades: pl.DataFrame, quotes: pl.DataFrame, tolerance_ns: int | None) -> pl.DataFrame:
    """Each trade with the last quote of its symbol up to it, by Polars."""
    order = ["event_ns", *PLACE]
    right = quotes.sort(order).drop(PLACE)
    right = right.with_columns(pl.col("event_ns").alias("quote_event_ns"))
    right = right.rename({name: f"quote_{name}" for name in ("number", "bid", "ask")})
    found = trades.sort(order).join_asof(
        right,
        on="event_ns",
        by="symbol",
        strategy="backward",
        tolerance=tolerance_ns,
        coalesce=True,
        check_sortedness=False,
    )
    age = pl.col("event_ns") - pl.col("quote_event_ns")
    return found.with_columns(age.alias("quote_age_ns"))


def compare(expected: pl.DataFrame, aligned: pl.DataFrame, figures: Figures) -> None:
    """Count what is lost, doubled, changed and out of order in one partition."""
    once = aligned.unique(PLACE, keep="first", maintain_order=True)
    figures.rows += expected.height
    figures.duplicated += aligned.height - once.height
    figures.lost += expected.join(once, on=PLACE, how="anti").height
    figures.changed += once.join(expected, on=PLACE, how="anti").height  # rows that nobody asked for
    both = once.join(expected, on=PLACE, how="inner", suffix="_wanted")
    differs = pl.any_horizontal(
        pl.col(name).ne_missing(pl.col(f"{name}_wanted")) for name in expected.columns if name not in PLACE
    )
    figures.changed += both.filter(differs).height
    wanted = once.select("event_ns", *PLACE).sort("event_ns", *PLACE)
    moved = once.select("event_ns", *PLACE).hash_rows() != wanted.hash_rows()
    figures.out_of_order += int(moved.sum())


def _decoded(schema_id: int, name: str, messages: list[tuple[int, bytes]], width: int) -> pl.DataFrame:
    data = np.frombuffer(b"".join(value for _, value in messages), np.uint8)
    block = data.reshape(len(messages), -1)
    header = np.frombuffer(bytes([0]) + schema_id.to_bytes(4, "big") + bytes([32]), np.uint8)
    assert (block[:, :6] == header).all(), f"{name} holds messages that are no blocks of 16"
    assert not block[:, -1].any(), f"a block of {name} does not end where it should"
    rows = np.ascontiguousarray(block[:, 6:-1]).reshape(-1, width)
    columns: dict[str, Any] = {}
    for field, (at, size) in (TRADE_ROW if name == "trade" else QUOTE_ROW).items():
        part = rows[:, at : at + size]
        if field in ("event_ns", "number"):
            columns[field] = _numbers(part)
        elif field == "symbol":
            digits = part[:, 1:].astype(np.int64) - ord("0")
            columns[field] = digits @ np.array([1000, 100, 10, 1])
        elif part.shape[1] == size:
            columns[field] = np.ascontiguousarray(part).view("<f8").ravel()
        else:
            columns[field] = pl.repeat(None, rows.shape[0], dtype=pl.Float64, eager=True)
    columns["left_offset"] = np.repeat(np.array([offset for offset, _ in messages], np.int64), 16)
    columns["left_index"] = np.tile(np.arange(16, dtype=np.int64), len(messages))
    frame = pl.DataFrame(columns)
    for number in range(0, len(messages), CHECKED_EVERY):
        _check(name, messages[number][1], frame[16 * number : 16 * number + 16])
    return frame


def _check(name: str, value: bytes, rows: pl.DataFrame) -> None:
    schema = fastavro.parse_schema({"type": "array", "items": RECORDS[name]})
    body = io.BytesIO(value[5:])
    found: Any = fastavro.schemaless_reader(body, schema, None)
    assert not body.read(1), "bytes are left behind a block"
    told = [{**row, "symbol": int(row["symbol"][1:])} for row in found]
    assert rows.drop(PLACE).to_dicts() == told, "the layout is not what fastavro reads"


def _numbers(part: Bytes) -> npt.NDArray[np.int64]:
    value = np.zeros(part.shape[0], np.uint64)
    for place in range(part.shape[1]):
        value |= (part[:, place].astype(np.uint64) & np.uint64(0x7F)) << np.uint64(7 * place)
    return (value >> np.uint64(1)).astype(np.int64)


def _aligned(log: "_Log", partition: int) -> tuple[pl.DataFrame, list[int]]:
    parts: list[pl.DataFrame] = []
    offsets: list[int] = []
    for messages in log.messages("aligned", partition):
        offsets += [offset for offset, _ in messages]
        frames = [pa.ipc.open_stream(value).read_all() for _, value in messages]
        for table in frames:
            assert table.schema.names == frames[0].schema.names
        place = frames[0].schema.get_field_index("symbol")
        plain = [table.set_column(place, "symbol", table["symbol"].cast(pa.string())) for table in frames]
        rows = pl.DataFrame(pl.from_arrow(pa.concat_tables(plain)))
        symbol = pl.col("symbol").str.slice(1).cast(pl.Int64)
        parts.append(rows.with_columns(symbol, *(pl.col(name).cast(pl.Int64) for name in PLACE)))
    return pl.concat(parts), offsets


class _Log:
    """Reads one partition after the other with one reader."""

    def __init__(self, source: Source, reader: Consumer) -> None:
        self.source = source
        self._reader = reader

    def messages(self, kind: str, partition: int) -> Iterator[list[tuple[int, bytes]]]:
        """The committed messages of a partition in order, with their offsets, some at a time."""
        topic = f"{self.source.prefix}.{kind}"
        self._reader.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
        held: list[tuple[int, bytes]] = []
        size, ended = 0, False
        while not ended:
            for message in self._reader.consume(10_000, POLL_S):
                ended = is_end(message) or ended
                if message.error() is None:
                    assert (message.topic(), message.partition()) == (topic, partition)
                    held.append((message.offset(), message.value()))
                    size += len(held[-1][1])
            if size >= READ_AT_ONCE or (ended and held):
                yield held
                held, size = [], 0

    def count(self, kind: str, partition: int) -> int:
        """How many messages of a partition are committed."""
        return sum(len(messages) for messages in self.messages(kind, partition))
