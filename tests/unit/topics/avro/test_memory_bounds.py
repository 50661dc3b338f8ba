"""The decoder never reads beyond a message: each message here ends where memory may no longer be read."""

import ctypes
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pyarrow as pa

from schemas.stream import Stream
from tests.stage.blocks import block_of
from tests.stage.fakes import DictRegistry
from topics.avro.decode import Decoder
from topics.avro.encode import RowEncoder
from topics.block import MessageBlock

STREAM = Stream(
    name="quote",
    schema=pa.schema(
        [
            pa.field("event_ns", pa.int64(), nullable=False),
            pa.field("symbol", pa.string()),
            pa.field("fee", pa.decimal128(38, 2)),
            pa.field("price", pa.float32()),
            pa.field("raw", pa.binary(3), nullable=False),
            pa.field("last", pa.bool_(), nullable=False),
        ]
    ),
)
ROW = {"event_ns": 1_700_000_000_000_000_000, "symbol": "ABCDEFGHIJ", "fee": 1, "price": 2.5}
ROWS = pa.RecordBatch.from_pylist(
    [{**ROW, "raw": b"abc", "last": True}, {**ROW, "symbol": "é", "raw": b"xyz", "last": False}],
    schema=STREAM.schema,
)


@contextmanager
def guarded_page() -> Iterator[int]:
    """Give the address where readable memory ends and a page that may not be touched begins."""
    size = mmap.PAGESIZE
    memory = mmap.mmap(-1, 2 * size)
    start = ctypes.addressof(held := ctypes.c_char.from_buffer(memory))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    assert protect(start + size, size, 0) == 0
    try:
        yield start + size
    finally:
        assert protect(start + size, size, mmap.PROT_READ | mmap.PROT_WRITE) == 0
        del held
        memory.close()


def at_the_edge(block: MessageBlock, value: bytes, edge: int) -> MessageBlock:
    """Move the value of a block's only message to the end of readable memory."""
    ctypes.memmove(edge - len(value), value, len(value))
    return replace(block, value=np.array([edge - len(value)], dtype=np.uint64))


def test_no_prefix_of_a_message_is_read_beyond_its_end() -> None:
    registry = DictRegistry()
    encoder = RowEncoder(STREAM, registry, "t")
    decoder = Decoder(STREAM, "event", registry)
    whole = [encoder.records(ROWS.slice(0, 1)), encoder.blocks(ROWS, np.array([0, 2]))]
    with guarded_page() as edge:
        for encoded in whole:
            value = encoded.data.tobytes()
            for size in range(1, len(value) + 1):
                block = at_the_edge(block_of([(b"K", value[:size], 0)]), value[:size], edge)
                decoded = decoder.decode(block, np.arange(1))
                assert (decoded.batch is not None) == (size == len(value))
                assert len(decoded.dead) == (size < len(value))


def test_no_key_is_read_beyond_its_end() -> None:
    registry = DictRegistry()
    value = RowEncoder(STREAM, registry, "t").records(ROWS.slice(0, 1)).data.tobytes()
    decoder = Decoder(STREAM, "event", registry)
    with guarded_page() as edge:
        for size in range(20):
            key = bytes(range(size))
            ctypes.memmove(edge - size, key, size)
            address = np.array([edge - size] * 2, dtype=np.uint64)
            block = replace(block_of([(key, value, 0), (key, value, 1)]), key=address)
            batch = decoder.decode(block, np.arange(2)).batch
            assert batch is not None
            assert batch.keys.to_pylist() == [key]
