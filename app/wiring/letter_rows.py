"""Late rows and dead letters as rows of a table: what is said of each, and the message as it was sent."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from schemas.batch import Batch, Int64s
from schemas.clocks import NS_PER_MS
from schemas.letters import DeadLetter, LateLetter, LetterError
from schemas.stream import Stream
from topics.block import Headers, MessageBlock
from topics.wire import DeadRow, Decoded

# `known_ns` is the time of the letter's record; `headers` are all of the letter, those of the message too.
_MESSAGE: Final = (
    ("key", pa.binary()),
    ("value", pa.binary()),
    ("headers", pa.list_(pa.struct([("name", pa.string()), ("value", pa.binary())]))),
)
_SOURCE: Final = (
    ("known_ns", pa.int64()),
    ("source_topic", pa.string()),
    ("source_partition", pa.int64()),
    ("source_offset", pa.int64()),
    ("indexes", pa.list_(pa.int64())),
)
LATE_ROWS: Final = pa.schema(
    [*_SOURCE, ("stream", pa.string()), ("lateness_ns", pa.int64()), ("frontier_ns", pa.int64()), *_MESSAGE]
)
DEAD_ROWS: Final = pa.schema(
    [
        *_SOURCE,
        ("stage", pa.string()),
        ("error", pa.string()),
        ("reason", pa.string()),
        ("rule", pa.string()),
        *_MESSAGE,
    ]
)


class LetterKind(NamedTuple):
    """One kind of letters: their columns, and how what is said of a message is read from its headers."""

    schema: pa.Schema
    read: Callable[[Headers], LateLetter | DeadLetter]


KINDS: Final = {
    "late": LetterKind(LATE_ROWS, LateLetter.from_kafka),
    "dead": LetterKind(DEAD_ROWS, DeadLetter.from_kafka),
}


class LetterRows:
    """Decodes letters of one kind, a row each; a `RowDecoder`.  What is no letter is a dead row."""

    def __init__(self, kind: LetterKind) -> None:
        self._kind = kind

    def decode(self, block: MessageBlock, messages: Int64s) -> Decoded:
        """Decode these messages of one partition, in offset order."""
        rows: list[dict[str, Any]] = []
        good: list[int] = []
        dead = []
        for message in messages.tolist():
            try:
                rows.append(self._row(block, message))
                good.append(message)
            except LetterError as wrong:
                dead.append(DeadRow(message, -1, str(wrong)))
        return Decoded(self._batch(block, rows, good) if rows else None, [], dead)

    def _row(self, block: MessageBlock, message: int) -> dict[str, Any]:
        original = block.originals[message]
        letter = self._kind.read(original.headers)
        row = {name: getattr(letter, name) for name in self._kind.schema.names if hasattr(letter, name)}
        return row | {
            "known_ns": original.timestamp_ms * NS_PER_MS,
            "source_topic": letter.topic,
            "source_partition": letter.partition,
            "source_offset": letter.offset,
            "key": original.key,
            "value": original.value,
            "headers": [{"name": name, "value": value} for name, value in original.headers],
        }

    def _batch(self, block: MessageBlock, rows: Sequence[dict[str, Any]], messages: Sequence[int]) -> Batch:
        (columns,) = pa.Table.from_pylist(list(rows), schema=self._kind.schema).to_batches()
        count = len(rows)
        return Batch(
            columns=columns,
            time_ns=np.array([row["known_ns"] for row in rows], np.int64),
            sequence=np.zeros(count, np.int64),
            offset=block.offset[list(messages)],
            index=np.zeros(count, np.int32),
            key_code=np.zeros(count, np.int32),
            keys=pa.array([b""], pa.binary()),
        )


def letter_stream(name: str) -> Stream:
    """The stream of the letters of a pipeline, `late` or `dead`; they have no key."""
    return Stream(name=name, schema=KINDS[name].schema, key=(), sequence=None)
