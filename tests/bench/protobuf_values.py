"""How fast Protobuf messages become columns, beside the library's own parser making objects of them.

`python -m tests.bench.protobuf_values` prints rows a second, of one core.
"""

import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa
from google.protobuf import descriptor_pb2, message_factory

from tests.stage.blocks import Originals
from topics.block import MessageBlock, TopicPartition
from topics.protobuf.columns import message_columns
from topics.protobuf.decode import ProtobufValues
from topics.protobuf.framing import message_prefix
from topics.protobuf.message_type import MessageType, message_type_of_files
from topics.values import FieldPath
from topics.wire import SchemaName

ROWS = 200_000
AT_ONCE = 10_000  # messages of a poll
ROUNDS = 7
_KINDS = descriptor_pb2.FieldDescriptorProto
FIELDS = {
    "symbol": _KINDS.TYPE_STRING,
    "event_ns": _KINDS.TYPE_INT64,
    "bid": _KINDS.TYPE_DOUBLE,
    "ask": _KINDS.TYPE_DOUBLE,
    "bid_size": _KINDS.TYPE_INT32,
    "ask_size": _KINDS.TYPE_INT32,
    "seq": _KINDS.TYPE_UINT64,
}


class OneType:
    """A registry's answer for any id."""

    def __init__(self, message_type: MessageType) -> None:
        self._message_type = message_type

    def message_type(self, name: SchemaName, indexes: tuple[int, ...] | None) -> MessageType:
        """Return the one type."""
        return self._message_type

    def is_registered(self, subject: str, name: SchemaName) -> bool:
        """No subject is asked for."""
        return False


def quote_type() -> MessageType:
    """The message type of a quote."""
    file = descriptor_pb2.FileDescriptorProto(name="quote.proto", package="bench", syntax="proto3")
    message = file.message_type.add(name="Quote")
    for number, (name, kind) in enumerate(FIELDS.items(), 1):
        message.field.add(name=name, number=number, type=kind, label=_KINDS.LABEL_OPTIONAL)
    return message_type_of_files([file.SerializeToString()], (0,))


def quotes(message_type: MessageType) -> list[bytes]:
    """Quotes as the library writes them."""
    draw = np.random.default_rng(1)
    make = message_factory.GetMessageClass(message_type.descriptor)
    sizes = draw.integers(1, 2000, (ROWS, 2)).tolist()
    symbols = ["AAPL", "MSFT", "GOOGL", "SPY", "TSLA", "BRKB"]
    return [
        make(
            symbol=symbols[row % len(symbols)],
            event_ns=1_700_000_000_000_000_000 + 1_000 * row,
            bid=100 + row / 100,
            ask=100.01 + row / 100,
            bid_size=sizes[row][0],
            ask_size=sizes[row][1],
            seq=1_000_000 + row,
        ).SerializeToString()
        for row in range(ROWS)
    ]


def block_of(messages: list[bytes]) -> MessageBlock:
    """The messages end to end, as a client lays them."""
    memory = np.frombuffer(b"".join(messages), dtype=np.uint8).copy()
    size = np.array([len(message) for message in messages], dtype=np.int64)
    address, nothing = memory.ctypes.data + np.cumsum(size) - size, np.zeros(len(messages), dtype=np.int64)
    return MessageBlock(
        sources=(TopicPartition("t", 0),),
        source=np.zeros(len(messages), dtype=np.int32),
        offset=np.arange(len(messages)),
        value=address.view(np.uint64),
        value_size=size,
        key=nothing.view(np.uint64),
        key_size=nothing,
        originals=Originals(),
        ends=(),
        memory=memory,
    )


def rows_a_second(act: Callable[[], None]) -> float:
    """The best of some rounds."""
    best_s = float("inf")
    for _ in range(ROUNDS):
        begin_s = time.perf_counter()
        act()
        best_s = min(best_s, time.perf_counter() - begin_s)
    return ROWS / best_s


def main() -> None:
    """Print a line for each way to read the quotes."""
    message_type = quote_type()
    messages = quotes(message_type)
    leaves = message_columns(message_type).leaves
    fields = [FieldPath(pa.field(leaf.name, leaf.type, leaf.nullable), leaf.path) for leaf in leaves]
    places = [np.arange(start, start + AT_ONCE) for start in range(0, ROWS, AT_ONCE)]

    def columns_of(decoder: ProtobufValues, block: MessageBlock) -> None:
        for place in places:
            values = decoder.read(block, place)
            assert values.columns is not None
            assert values.columns.num_rows == AT_ONCE

    parse = message_factory.GetMessageClass(message_type.descriptor).FromString

    def objects() -> None:
        for message in messages:
            parse(message)

    def values() -> None:
        for message in messages:
            one = parse(message)
            _ = (one.symbol, one.event_ns, one.bid, one.ask, one.bid_size, one.ask_size, one.seq)

    bare, plain = ProtobufValues(message_type, fields), block_of(messages)
    prefixed = ProtobufValues(OneType(message_type), fields)
    headed = block_of([message_prefix(7) + message for message in messages])
    figures = {
        "columns, bare messages": lambda: columns_of(bare, plain),
        "columns, messages with a schema id": lambda: columns_of(prefixed, headed),
        "the library's objects": objects,
        "the library's objects, each field read": values,
    }
    for name, act in figures.items():
        print(f"{name:40} {rows_a_second(act) / 1e6:6.2f} M rows/s")


if __name__ == "__main__":
    main()
