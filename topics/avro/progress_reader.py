"""Progress records among messages of any kind: found by the schema that each message names."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from schemas.batch import Int64s
from schemas.stream import Stream
from topics.avro import decode_kernel as kernel
from topics.avro.decode import Decoder
from topics.avro.schema import NAMESPACE, PROGRESS_NAME
from topics.avro.types import parse_record
from topics.block import MessageBlock
from topics.values import DecodeLimits
from topics.wire import CodecError, DeadRow, Progress, SchemaRegistry, UnknownSchemaError

_ANY: Final = Stream(name="any", schema=pa.schema([("event_ns", pa.int64())]), key=())


@dataclass(frozen=True, slots=True)
class ProgressMessages:
    """The progress records of some messages: those messages, the records by offset, and the torn ones."""

    messages: Int64s
    progress: Sequence[tuple[int, Progress]] = ()
    dead: Sequence[DeadRow] = ()


class ProgressReader:
    """Reads the progress records of a topic whose rows may be anything; used from one thread."""

    def __init__(self, registry: SchemaRegistry) -> None:
        self._registry = registry
        self._decoder = Decoder(_ANY, "event", registry)
        self._is_progress: dict[int, bool] = {}

    def read(self, block: MessageBlock, messages: Int64s) -> Mapping[int, Progress]:
        """Return the progress records among these messages of one partition, by offset.

        A torn one is none, nor is a message with a key whose schema nobody knows: the worker makes dead
        letters of both.  Raises UnknownSchemaError for such a message without key, which may be a progress
        record, and RegistryUnavailableError where a schema cannot be looked up now.
        """
        ids = self._ids(block, messages)
        named = []
        for schema_id in np.unique(ids[ids >= 0]).tolist():
            try:
                if self._names_progress(schema_id):
                    named.append(schema_id)
            except UnknownSchemaError as missing:
                _require_keys(block, messages[ids == schema_id], schema_id, missing)
        if not named:
            return {}
        return dict(self._decoder.decode(block, messages[np.isin(ids, named)]).progress)

    def take(self, block: MessageBlock, messages: Int64s) -> ProgressMessages:
        """Return which of these messages of one partition name the schema of progress records, and those.

        A message with a key is none: its bytes may only look like an id, and ask the registry about each.
        Nor is one whose schema nobody knows.  Raises RegistryUnavailableError where a schema cannot be
        looked up now.
        """
        ids = self._ids(block, messages)
        ids[block.key_size[messages] >= 0] = -1
        named = []
        for schema_id in np.unique(ids[ids >= 0]).tolist():
            with suppress(UnknownSchemaError):
                if self._names_progress(schema_id):
                    named.append(schema_id)
        mine = messages[np.isin(ids, named)]
        if mine.size == 0:
            return ProgressMessages(mine)
        decoded = self._decoder.decode(block, mine)
        return ProgressMessages(mine, decoded.progress, decoded.dead)

    @staticmethod
    def _ids(block: MessageBlock, messages: Int64s) -> Int64s:
        """The schema id that each message names, below 0 where it names none."""
        ids = np.empty(messages.size, np.int64)
        address = block.value.view(np.int64)[messages]
        kernel.read_ids(address, block.value_size[messages], DecodeLimits().message_size_max, ids)
        return ids

    def _names_progress(self, schema_id: int) -> bool:
        """Whether this is the id of a progress schema; an id that nobody knows may be known next time."""
        if schema_id not in self._is_progress:
            try:
                name = parse_record(self._registry.schema(schema_id)).name
            except UnknownSchemaError:
                raise
            except CodecError:  # of no flat record, or of no Avro at all
                name = ""
            self._is_progress[schema_id] = name == f"{NAMESPACE}.{PROGRESS_NAME}"
        return self._is_progress[schema_id]


def _require_keys(block: MessageBlock, messages: Int64s, schema_id: int, missing: UnknownSchemaError) -> None:
    keyless = messages[block.key_size[messages] < 0]
    if keyless.size == 0:
        return
    topic, partition = block.sources[block.source[keyless[0]]]
    raise UnknownSchemaError(
        f"{topic}[{partition}]: the message without key at offset {block.offset[keyless[0]]} names schema id "
        f"{schema_id}, and {missing}.  It may be a progress record, so it is neither copied nor passed over: "
        "name the registry of the topic's producers (bus.schema_registry), or register that schema there"
    )
