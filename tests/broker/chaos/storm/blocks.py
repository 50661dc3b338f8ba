"""Blocks of rows as bytes: the Avro of `array<record>`, laid out by NumPy, as every field has one width.

Avro writes a number in as many bytes as it needs.  Times of our day always need 9, numbers from 2**34 on
always 6, a symbol is a length and five letters, so all rows of a block are equally wide, and a whole step of
market is a few array assignments.  Whether that is Avro is for fastavro to say (`test_storm.py`).
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

ROWS: Final = 16  # of a block: one symbol's, in the order of time
SYMBOLS: Final = 1_000
NUMBER_FIRST: Final = 1 << 34
TIME_SIZE: Final = 9
NUMBER_SIZE: Final = 6
SYMBOL_SIZE: Final = 6
PRICE_SIZE: Final = 8
HEADER_SIZE: Final = 5

Bytes = npt.NDArray[np.uint8]
Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rows:
    """Blocks of one stream: `symbol` per block; times, numbers and prices per block and row.

    `asks` tells per block whether its quotes have an ask; None for trades.
    """

    symbol: Int64s
    event_ns: Int64s
    number: Int64s
    price: Float64s
    asks: npt.NDArray[np.bool_] | None = None


def symbol_name(symbol: int) -> bytes:
    """What a symbol is called, and its messages' key."""
    return b"S%04d" % symbol


SYMBOL_BYTES: Final[Bytes] = np.array(
    [[2 * (SYMBOL_SIZE - 1), *symbol_name(symbol)] for symbol in range(SYMBOLS)], dtype=np.uint8
)


def encoded(schema_id: int, rows: Rows) -> list[bytes]:
    """A message per block, in the Confluent wire format."""
    if rows.asks is None:
        return _messages(schema_id, rows, [_doubles(rows.price)])
    bid, ask = _doubles(rows.price), _doubles(rows.price + 0.01)
    here, none = (np.full((*rows.price.shape, 1), branch, np.uint8) for branch in (2, 0))
    with_ask = _messages(schema_id, rows, [bid, here, ask])
    without = _messages(schema_id, rows, [bid, none])
    return [
        one if has else other for has, one, other in zip(rows.asks.tolist(), with_ask, without, strict=True)
    ]


def _messages(schema_id: int, rows: Rows, prices: list[Bytes]) -> list[bytes]:
    blocks, count = rows.event_ns.shape
    symbol = np.repeat(SYMBOL_BYTES[rows.symbol][:, np.newaxis], count, axis=1)
    fields = [_varints(rows.event_ns, TIME_SIZE), symbol, _varints(rows.number, NUMBER_SIZE), *prices]
    body = np.concatenate(fields, axis=2).reshape(blocks, -1)
    header = bytes([0]) + schema_id.to_bytes(HEADER_SIZE - 1, "big") + bytes([2 * count])
    first = np.broadcast_to(np.frombuffer(header, np.uint8), (blocks, len(header)))
    whole = np.concatenate([first, body, np.zeros((blocks, 1), np.uint8)], axis=1)
    data, size = whole.tobytes(), whole.shape[1]
    return [data[at : at + size] for at in range(0, len(data), size)]


def _varints(values: Int64s, size: int) -> Bytes:
    """Avro's long: zigzag, seven bits a byte, the lowest first; all of them `size` bytes long."""
    zigzag = values.astype(np.uint64) << np.uint64(1)
    assert values.size == 0 or int(zigzag.min()) >> 7 * (size - 1), "a value needs fewer bytes"
    assert values.size == 0 or not int(zigzag.max()) >> 7 * size, "a value needs more bytes"
    shifts = np.arange(0, 7 * size, 7, dtype=np.uint64)
    parts = (zigzag[..., np.newaxis] >> shifts).astype(np.uint8) & np.uint8(0x7F)
    parts[..., :-1] |= np.uint8(0x80)
    return parts


def _doubles(values: Float64s) -> Bytes:
    return values.astype("<f8").view(np.uint8).reshape(*values.shape, PRICE_SIZE)


def block_schema(record: dict[str, Any]) -> dict[str, Any]:
    """The schema of a block of such records."""
    return {"type": "array", "items": record}
