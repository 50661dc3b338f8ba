"""Messages of a format that is not Avro: progress records, which are Avro in every topic, come out first."""

from dataclasses import replace

import numpy as np

from schemas.batch import Int64s
from topics.avro.progress_reader import ProgressReader
from topics.block import MessageBlock
from topics.shape import NULL_KEY, Shaper
from topics.values import ValueDecoder
from topics.wire import DeadRow, Decoded, SchemaRegistry


class ForeignDecoder:
    """Decodes the messages of one stream in any format; a `RowDecoder`."""

    def __init__(
        self, values: ValueDecoder, shaper: Shaper, registry: SchemaRegistry, *, headed: bool = False
    ) -> None:
        """With `headed` rows name their schema in a header, which no progress record has."""
        self._values = values
        self._shaper = shaper
        self._progress = ProgressReader(registry, headed=headed)

    def decode(self, block: MessageBlock, messages: Int64s) -> Decoded:
        """Decode these messages of one partition, in offset order; raises what the value decoder raises."""
        records = self._progress.take(block, messages)
        rest = messages[~np.isin(messages, records.messages)]
        dead = list(records.dead)
        if not self._shaper.takes_null_keys:
            keyless = block.key_size[rest] < 0
            dead += [DeadRow(int(message), -1, "null key", rule=NULL_KEY) for message in rest[keyless]]
            rest = rest[~keyless]
        values = self._values.read(block, rest)
        return self._shaper.decoded(
            block, replace(values, progress=[*values.progress, *records.progress], dead=[*values.dead, *dead])
        )
