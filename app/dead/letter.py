"""One letter in full for a person: headers, key, bytes, and its rows as far as they can be read now."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from app.reading.letters import AnyLetter, StoredLetter
from app.watch.words import clock_words
from schemas.clocks import NS_PER_MS
from topics.avro.header import HEADER_SIZE
from topics.decoder import RowDecoder
from topics.wire import CodecError, RegistryUnavailableError

HEX_WIDTH: Final = 16
HEX_BYTES_MAX: Final = 1_024  # shown of a value; a block of rows may have megabytes
ROWS_MAX: Final = 20


def letter_in_full(
    stored: StoredLetter[AnyLetter],
    heading: str,
    facts: Sequence[str],
    decoder: RowDecoder | None,
    row_words: Callable[[int], str],
    *,
    missing: str = "",
) -> RenderableType:
    """One letter with its headers, its bytes and, where it can be decoded now, its rows.

    `facts` are lines behind the heading, `row_words` says what a row is that can be read, by its index;
    `missing` says why a message that was cut for its letter is not here whole.
    """
    lines = [
        Text(heading, "bold"),
        *map(Text, facts),
        Text(f"at          {record_time_words(stored)} UTC"),
        Text(f"schema id   {_schema_id(stored.original.value)}"),
        Text("headers"),
        *(Text(f"  {name}: {_text(value)}") for name, value in stored.original.headers),
        Text(f"key         {_text(stored.original.key)}"),
        Text(f"value       {_value(stored)}"),
        *(Text(f"  {line}") for line in hexdump(stored.original.value or b"")),
        *(
            Text(line)
            for line in ([f"not whole   {missing}"] if missing else _rows(stored, decoder, row_words))
        ),
    ]
    return Group(*lines)


def record_time_words(stored: StoredLetter[AnyLetter]) -> str:
    """The record's time, which is the event time of its rows for our own publishers, to the millisecond."""
    return clock_words(stored.original.timestamp_ms * NS_PER_MS, 0)[:-6]


def hexdump(value: bytes) -> Iterator[str]:
    """Sixteen bytes a line: where, in hexadecimal, and as ASCII; of a large value the beginning."""
    for at in range(0, min(len(value), HEX_BYTES_MAX), HEX_WIDTH):
        part = value[at : at + HEX_WIDTH]
        letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        yield f"{at:08x}  {part.hex(' '):<{3 * HEX_WIDTH - 1}}  {letters}"
    if len(value) > HEX_BYTES_MAX:
        yield f"... {len(value) - HEX_BYTES_MAX:,} more bytes"


def _rows(
    stored: StoredLetter[AnyLetter], decoder: RowDecoder | None, row_words: Callable[[int], str]
) -> Iterator[str]:
    if decoder is None:
        yield "rows        not known: its topic is no input of this pipeline"
        return
    try:
        decoded = decoder.decode(stored.block, np.array([stored.message], dtype=np.int64))
    except RegistryUnavailableError as away:
        yield f"rows        not known: {away}"
        return
    except CodecError as refused:
        yield f"unreadable: {refused}"
        return
    for dead in decoded.dead[:ROWS_MAX]:
        yield f"row {dead.index}: {dead.reason}" if dead.index >= 0 else f"unreadable: {dead.reason}"
    if decoded.batch is not None:
        indexes = decoded.batch.index[:ROWS_MAX].tolist()
        for index, row in zip(indexes, decoded.batch.columns.slice(0, ROWS_MAX).to_pylist(), strict=True):
            yield f"row {index}: {row_words(index)}: {row}"


def _schema_id(value: bytes | None) -> str:
    if value is None or len(value) < HEADER_SIZE or value[0] != 0:
        return "none: not the Confluent wire format"
    return str(int.from_bytes(value[1:HEADER_SIZE], "big"))


def _text(value: bytes | None) -> str:
    if value is None:
        return "null"
    text = value.decode(errors="backslashreplace")
    return text if text.isprintable() else repr(value)[1:]


def _value(stored: StoredLetter[AnyLetter]) -> str:
    if stored.original.value is None:
        return "null"
    where = f", fetched from {stored.source}: the letter has a part of it" if stored.fetched else ""
    here = len(stored.original.value)
    return f"{here:,} of {stored.size:,} bytes" if here < stored.size else f"{here:,} bytes{where}"
