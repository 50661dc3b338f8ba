"""What each message is: told by its headers, its first bytes, and what the registry says of its id."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from app.infer.json_values import Rows, rows_of
from app.infer.sample import Message, Sample
from schemas.frame import LAYOUT as FRAME_LAYOUT
from schemas.frame import VERSION
from schemas.letters import DEAD_REASON, LATE_LATENESS
from topics.avro.header import HEADER_SIZE
from topics.avro.schema import NAMESPACE, PROGRESS_NAME
from topics.avro.subjects import named_schema
from topics.avro.types import parse_record
from topics.wire import (
    CodecError,
    OtherFormatError,
    ProtobufRegistry,
    RegistryUnavailableError,
    SchemaRegistry,
    UnknownSchemaError,
)

_IDS_MAX: Final = 50  # that the registry is asked for: of random bytes each message names an id of its own


class Kind(Enum):
    """What a message is; the value is the word for it."""

    AVRO = "Avro messages with a schema id"
    PROTOBUF = "Protobuf messages with a schema id"
    JSON = "JSON messages"
    JSON_ID = "JSON messages behind a schema id"
    FRAME = "Frames of another pipeline"
    UNKNOWN_ID = "Messages with a schema id that cannot be looked up"
    TEXT = "Texts that are no JSON objects"
    BYTES = "Messages that do not say what they are"
    LETTER = "Letters of a pipeline (late rows or dead letters)"
    PROGRESS = "Progress records"
    NULL = "Messages without value"


# What a stream can be made of, or what a user must be told how to read.
MAIN: Final = tuple(kind for kind in Kind if kind not in (Kind.PROGRESS, Kind.NULL))
READABLE: Final = frozenset({Kind.AVRO, Kind.PROTOBUF, Kind.JSON, Kind.JSON_ID, Kind.FRAME})


@dataclass(slots=True)
class Kinds:
    """The messages of a sample by kind.

    `numbers` has them by their numbers, rising.  `rows` holds the objects of JSON messages.  `ids` counts the
    schema ids of a kind, `names` says what the registry calls each, or why it says nothing.
    """

    numbers: dict[Kind, list[int]] = field(default_factory=dict)
    rows: dict[int, Rows] = field(default_factory=dict)
    ids: dict[Kind, Counter[int]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)

    @property
    def main(self) -> Kind | None:
        """The kind that most messages are of, beside progress records and nulls; None where there is none."""
        return max((kind for kind in MAIN if kind in self.numbers), key=self._rank, default=None)

    def count(self, kind: Kind) -> int:
        """The number of messages of a kind."""
        return len(self.numbers.get(kind, ()))

    def most_common_id(self, kind: Kind) -> int:
        """The schema id that most messages of a kind have."""
        return self.ids[kind].most_common(1)[0][0]

    def add(self, number: int, kind: Kind, schema_id: int | None = None) -> None:
        """Put a message where it belongs."""
        self.numbers.setdefault(kind, []).append(number)
        if schema_id is not None:
            self.ids.setdefault(kind, Counter())[schema_id] += 1

    def _rank(self, kind: Kind) -> tuple[int, int]:
        return self.count(kind), -MAIN.index(kind)


def sort_out(sample: Sample, registry: SchemaRegistry) -> Kinds:
    """Say of each message what it is; a registry that does not answer leaves ids unknown, with the reason."""
    kinds = Kinds()
    ids = Counter(filter(None, (named_schema(message.original.value) for message in sample.messages)))
    of_id = _look_up(registry, ids, kinds.names)
    for number, message in enumerate(sample.messages):
        kind = _by_headers(message)
        if kind is not None:
            kinds.add(number, kind)
            continue
        value = message.original.value
        assert value is not None
        schema_id = named_schema(value)
        if schema_id is not None and (rows := rows_of(value[HEADER_SIZE:])) is not None:
            kinds.add(number, Kind.JSON_ID, schema_id)
            kinds.rows[number] = rows
        elif schema_id is not None and schema_id in of_id:
            kinds.add(number, of_id[schema_id], schema_id)
        elif (rows := rows_of(value)) is not None:
            kinds.add(number, Kind.JSON)
            kinds.rows[number] = rows
        else:
            kinds.add(number, Kind.TEXT if _is_text(value) else Kind.BYTES)
    return kinds


def _by_headers(message: Message) -> Kind | None:
    original = message.original
    names = {name for name, _ in original.headers}
    if LATE_LATENESS in names or DEAD_REASON in names:
        return Kind.LETTER
    if VERSION in names or FRAME_LAYOUT in names:
        return Kind.FRAME
    return Kind.NULL if original.value is None else None


def _look_up(registry: SchemaRegistry, ids: Mapping[int, int], names: dict[int, str]) -> dict[int, Kind]:
    """The kind of each id, those with most messages first; bytes that only look like a prefix have none."""
    kinds: dict[int, Kind] = {}
    by_count = sorted(ids, key=lambda schema_id: (-ids[schema_id], schema_id))
    for schema_id in by_count[:_IDS_MAX]:
        kinds[schema_id], names[schema_id] = _ask(registry, schema_id)
    unknown = [schema_id for schema_id, kind in kinds.items() if kind is Kind.UNKNOWN_ID]
    if len(unknown) > 3 and 2 * len(unknown) > sum(ids[schema_id] for schema_id in unknown):
        # No topic has a schema for every other message: these are no ids.
        for schema_id in unknown:
            del kinds[schema_id], names[schema_id]
    return kinds


def _ask(registry: SchemaRegistry, schema_id: int) -> tuple[Kind, str]:
    try:
        record = parse_record(registry.schema(schema_id))
    except OtherFormatError as other:
        return _ask_protobuf(registry, schema_id, str(other))
    except (UnknownSchemaError, RegistryUnavailableError) as missing:
        return Kind.UNKNOWN_ID, str(missing)
    except CodecError as broken:
        return Kind.AVRO, f"no record: {broken}"
    if record.name == f"{NAMESPACE}.{PROGRESS_NAME}":
        return Kind.PROGRESS, record.name
    return Kind.AVRO, f"{record.name}{', many rows a message' if record.blocks else ''}"


def _ask_protobuf(registry: SchemaRegistry, schema_id: int, other: str) -> tuple[Kind, str]:
    from topics.protobuf.message_type import message_type_of_files

    if not isinstance(registry, ProtobufRegistry):
        return Kind.UNKNOWN_ID, other
    try:
        return Kind.PROTOBUF, message_type_of_files(registry.protobuf_files(schema_id), (0,)).name
    except OtherFormatError:
        return Kind.UNKNOWN_ID, other  # of a third format
    except (CodecError, RegistryUnavailableError) as broken:
        return Kind.UNKNOWN_ID, str(broken)


def _is_text(value: bytes) -> bool:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter in "\t\r\n" for letter in text)
