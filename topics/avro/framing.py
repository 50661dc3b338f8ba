"""Where Avro messages name their schemas: before the value, in a header, or nowhere.

What reads the values passes over the bytes of a prefix, so that a value without one is given as if it had it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from schemas.batch import Int64s
from topics.avro import decode_kernel as kernel
from topics.avro.faults import HEADER_WORDS
from topics.avro.header import HEADER_SIZE
from topics.block import MessageBlock
from topics.schema_header import MISSING, read_schema_headers
from topics.wire import SchemaName

Framing = Literal["prefix", "bare", "header"]

BARE_NAME: Final = 0  # of the one schema of messages that name none

UNPREFIXED: Final = frozenset({kernel.NO_HEADER, kernel.NO_MAGIC})  # codes of messages without a prefix

_FEW: Final = 16  # schemas in one poll's share of a partition: rows, progress, perhaps an older version
_NO_SCHEMA: Final = -5  # beside what `kernel.read_ids` says


@dataclass(frozen=True, slots=True)
class Messages:
    """The messages of one call, as parallel arrays of int64 block indexes, addresses and sizes."""

    block: Int64s
    address: Int64s
    size: Int64s

    def take(self, chosen: Int64s | slice) -> "Messages":
        """Return some of them."""
        return Messages(self.block[chosen], self.address[chosen], self.size[chosen])


@dataclass(frozen=True, slots=True)
class Framed:
    """Messages, and what they call their schemas.

    `code`      int64, one for each message: a number that stands for a schema or for what is wrong.
    `distinct`  the numbers that occur.
    `names`     the schemas of numbers, and `refused` what is wrong with the messages of the others.
    """

    messages: Messages
    code: Int64s
    distinct: Sequence[int]
    names: Mapping[int, SchemaName]
    refused: Mapping[int, str]


def framed(block: MessageBlock, messages: Int64s, framing: Framing, size_max: int) -> Framed:
    """Return what the messages with these indexes into the block name as their schemas."""
    chosen = Messages(
        messages, block.value.view(np.int64)[messages], block.value_size[messages].astype(np.int64)
    )
    code = np.empty(messages.size, dtype=np.int64)
    if framing == "prefix":
        kernel.read_ids(chosen.address, chosen.size, size_max, code)
        distinct = _distinct(code)
        return Framed(chosen, code, distinct, {name: name for name in distinct if name >= 0}, HEADER_WORDS)
    kernel.check_sizes(chosen.size, size_max, code)
    # As if there were a prefix: it is passed over unread.
    chosen = Messages(chosen.block, chosen.address - HEADER_SIZE, chosen.size + HEADER_SIZE)
    if framing == "bare":
        return Framed(chosen, code, _distinct(code), {0: BARE_NAME}, HEADER_WORDS)
    headers = read_schema_headers(block, messages)
    code = np.where(code < 0, code, np.where(headers.code < 0, _NO_SCHEMA, headers.code))
    refused = {**HEADER_WORDS, _NO_SCHEMA: MISSING, **headers.bad}
    names: dict[int, SchemaName] = {}
    for number, header in headers.read.items():
        if header.rest:
            refused[number] = "bytes follow the schema's name in its header"
        else:
            names[number] = header.name
    return Framed(chosen, code, _distinct(code), names, refused)


def _distinct(code: Int64s) -> list[int]:
    """Return the distinct numbers; many only where messages are not ours."""
    few = np.empty(_FEW, dtype=np.int64)
    count = kernel.distinct_ids(code, few)
    distinct: list[int] = (np.unique(code) if count < 0 else few[:count]).tolist()
    return distinct
