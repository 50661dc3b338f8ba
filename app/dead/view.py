"""Dead letters for a person: a line each, the counts by reason, and one letter in full."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.reading.dead import StoredLetter
from app.watch.words import clock_words
from schemas.clocks import NS_PER_MS
from topics.avro.header import HEADER_SIZE
from topics.decoder import RowDecoder
from topics.wire import CodecError, RegistryUnavailableError

HEX_WIDTH: Final = 16
HEX_BYTES_MAX: Final = 1_024  # shown of a value; a block of rows may have megabytes
ROWS_MAX: Final = 20


def as_json(stored: StoredLetter, *, sent: bool) -> dict[str, Any]:
    """One letter as plain values."""
    letter = stored.letter
    return {
        "place": str(stored.place),
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "rows": list(letter.indexes),
        "reason": letter.reason,
        "rule": letter.rule,
        "timestamp_ms": stored.original.timestamp_ms,
        "size": stored.size,
        "cut": bool(letter.cut),
        "replayed": sent,
    }


def listing(
    shown: Iterable[tuple[StoredLetter, bool]], counts: Counter[tuple[str, str]], total: int
) -> RenderableType:
    """A table of letters, and how many there are by topic and reason, those not shown among them."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("letter", "came from", "at (UTC)", "rows", "reason", ""):
        table.add_column(column, overflow="fold")
    count = 0
    for stored, sent in shown:
        count += 1
        indexes = ",".join(map(str, stored.letter.indexes[:5])) + (
            "..." if len(stored.letter.indexes) > 5 else ""
        )
        at = clock_words(stored.original.timestamp_ms * NS_PER_MS, 0)[:-6]
        replayed = "replayed" if sent else ""
        table.add_row(
            str(stored.place), stored.source, at, indexes or "all", Text(stored.letter.reason), replayed
        )
    tally = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("letters", "topic", "reason"):
        tally.add_column(column, overflow="fold", justify="right" if column == "letters" else "left")
    for (topic, kind), letters in counts.most_common():
        tally.add_row(f"{letters:,}", topic, Text(kind))
    total_line = f"{total:,} dead letters" + (f", the newest {count:,} shown" if count < total else "")
    return Group(table, Text(), tally, Text(total_line, "bold"))


def in_full(
    stored: StoredLetter, decoder: RowDecoder | None, *, sent: bool, missing: str = ""
) -> RenderableType:
    """One letter with its headers, its bytes and, where it can be decoded now, its rows.

    `missing` says why a message that was cut for its letter is not here whole.
    """
    lines = [
        Text(f"letter {stored.place}: {stored.source}, {stored.letter.reason}", "bold"),
        Text(f"replayed    {'yes' if sent else 'no'}"),
        Text(f"at          {clock_words(stored.original.timestamp_ms * NS_PER_MS, 0)[:-6]} UTC"),
        Text(f"schema id   {_schema_id(stored.original.value)}"),
        Text("headers"),
        *(Text(f"  {name}: {_text(value)}") for name, value in stored.original.headers),
        Text(f"key         {_text(stored.original.key)}"),
        Text(f"value       {_value(stored)}"),
        *(Text(f"  {line}") for line in hexdump(stored.original.value or b"")),
        *(Text(line) for line in ([f"not whole   {missing}"] if missing else _rows(stored, decoder))),
    ]
    return Group(*lines)


def hexdump(value: bytes) -> Iterator[str]:
    """Sixteen bytes a line: where, in hexadecimal, and as ASCII; of a large value the beginning."""
    for at in range(0, min(len(value), HEX_BYTES_MAX), HEX_WIDTH):
        part = value[at : at + HEX_WIDTH]
        letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        yield f"{at:08x}  {part.hex(' '):<{3 * HEX_WIDTH - 1}}  {letters}"
    if len(value) > HEX_BYTES_MAX:
        yield f"... {len(value) - HEX_BYTES_MAX:,} more bytes"


def _rows(stored: StoredLetter, decoder: RowDecoder | None) -> Iterator[str]:
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
            yield f"row {index}: good now: {row}"


def _schema_id(value: bytes | None) -> str:
    if value is None or len(value) < HEADER_SIZE or value[0] != 0:
        return "none: not the Confluent wire format"
    return str(int.from_bytes(value[1:HEADER_SIZE], "big"))


def _text(value: bytes | None) -> str:
    if value is None:
        return "null"
    text = value.decode(errors="backslashreplace")
    return text if text.isprintable() else repr(value)[1:]


def _value(stored: StoredLetter) -> str:
    if stored.original.value is None:
        return "null"
    where = f", fetched from {stored.source}: the letter has a part of it" if stored.fetched else ""
    here = len(stored.original.value)
    return f"{here:,} of {stored.size:,} bytes" if here < stored.size else f"{here:,} bytes{where}"
