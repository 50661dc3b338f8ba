"""Bare Avro whose schema a header names: each is read by its schema, and says why where it cannot be."""

import json
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pytest

from tests.oracles.avro_writer import varint
from tests.stage.blocks import Headed, headed_block
from tests.stage.fakes import DictRegistry, GuidDictRegistry, guid_of_text
from topics.avro.decode import AvroValues
from topics.avro.header import message_header
from topics.avro.progress import encode_progress
from topics.avro.progress_reader import ProgressReader
from topics.block import Headers
from topics.schema_header import APICURIO, CONFLUENT, MISSING
from topics.values import DecodeLimits, Values
from topics.wire import (
    IncompatibleSchemaError,
    Progress,
    RegistryUnavailableError,
    UnknownSchemaError,
)

COLUMNS = pa.schema([("event_ns", pa.int64()), ("n", pa.int64())])
SUBJECTS = ("quotes-value", "quotes-value-block")


def schema_of(kind: Any, *more: str) -> str:
    """A record of a time and a number, of a type."""
    fields = [{"name": "event_ns", "type": "long"}, {"name": "n", "type": kind}]
    fields += [{"name": name, "type": "string"} for name in more]
    return json.dumps({"type": "record", "name": "Quote", "fields": fields})


def guid_header(guid: str, rest: bytes = b"") -> Headers:
    return [(CONFLUENT, b"\1" + UUID(guid).bytes + rest)]


def id_header(schema_id: int) -> Headers:
    return [(CONFLUENT, message_header(schema_id))]


def row(event_ns: int, n: int) -> bytes:
    return varint(event_ns) + varint(n)


class Scene:
    """A registry with one schema of the stream's own, and a decoder of the stream."""

    def __init__(self, registry: DictRegistry | None = None, subjects: tuple[str, ...] = SUBJECTS) -> None:
        self.registry = GuidDictRegistry() if registry is None else registry
        self.own = self.registry.register(SUBJECTS[0], schema_of("long"))
        self.decoder = AvroValues(
            COLUMNS,
            self.registry,
            DecodeLimits(message_size_max=1_000),
            stream="quote",
            subjects=subjects,
            headed=True,
        )

    def read(self, *messages: Headed) -> Values:
        return self.decoder.read(headed_block(*messages), np.arange(len(messages)))

    def guid(self, schema_id: int) -> Headers:
        assert isinstance(self.registry, GuidDictRegistry)
        return guid_header(self.registry.guid_of(schema_id))


def rows(values: Values) -> list[tuple[int, int]]:
    assert values.columns is not None
    return list(zip(*[column.to_pylist() for column in values.columns], strict=True))


def reasons(values: Values) -> list[str]:
    return [dead.reason for dead in values.dead]


def test_each_message_is_read_by_the_schema_that_its_header_names() -> None:
    scene = Scene()
    other = scene.registry.register("any", schema_of("int", "note"))
    values = scene.read(
        (row(1, 10), scene.guid(scene.own)),
        (row(2, 20), id_header(scene.own)),
        (row(3, 30) + varint(1) + b"x", scene.guid(other)),
        (row(4, 40), [(APICURIO[0], scene.own.to_bytes(8, "big"))]),
        (row(5, 50), [(APICURIO[1], scene.own.to_bytes(8, "big"))]),
    )
    assert rows(values) == [(1, 10), (2, 20), (3, 30), (4, 40), (5, 50)]
    assert values.message.tolist() == [0, 1, 2, 3, 4]
    assert values.dead == []


def test_a_schema_is_asked_for_once() -> None:
    scene = Scene()
    for _ in range(3):
        scene.read(*[(row(1, 1), scene.guid(scene.own))] * 4, *[(row(1, 1), id_header(scene.own))] * 4)
    assert scene.registry.asked == 2


def test_a_value_may_begin_as_a_prefix_does() -> None:
    scene = Scene()
    assert rows(scene.read((row(0, 0), id_header(scene.own)), (row(-3, 7), id_header(scene.own)))) == [
        (0, 0),
        (-3, 7),
    ]


def test_only_the_messages_asked_for_are_read() -> None:
    scene = Scene()
    messages = [(row(at, at), scene.guid(scene.own)) for at in range(4)]
    values = scene.decoder.read(headed_block(*messages), np.array([1, 3]))
    assert rows(values) == [(1, 1), (3, 3)]
    assert scene.decoder.read(headed_block(), np.arange(0)).columns is None


def test_what_cannot_be_read_is_dead_and_the_others_live() -> None:
    scene = Scene()
    own = scene.guid(scene.own)
    unknown = guid_of_text("nobody's")
    values = scene.read(
        (row(1, 10), []),
        (row(2, 20), own),
        (row(2, 20), guid_header(unknown)),
        (row(2, 20), id_header(99)),
        (row(2, 20), [(CONFLUENT, b"\2")]),
        (row(2, 20), [(name, value + b"\0") for name, value in own if value is not None]),
        (None, own),
        (bytes(1_001), own),
        (row(2, 20)[:-1], own),
        (b"", own),
        (row(2, 20) + b"\0", own),
        (row(9, 90), own),
    )
    assert rows(values) == [(2, 20), (9, 90)]
    said = {dead.message: dead.reason for dead in values.dead}
    assert said == {
        0: MISSING,
        2: f"schema GUID {unknown}: no such GUID",
        3: "schema id 99: no such id",
        4: f"its header {CONFLUENT} names no schema: "
        "it begins with 02, not with the byte 0 (an id) or 1 (a GUID)",
        5: "bytes follow the schema's name in its header",
        6: "null value",
        7: "larger than message_size_max",
        8: "row 0, field n: the message ends inside a value",
        9: "row 0, field event_ns: the message ends inside a value",
        10: "bytes follow the last row",
    }
    assert all(dead.index == -1 for dead in values.dead)


def test_an_unknown_guid_is_asked_for_again() -> None:
    scene = Scene()
    late = schema_of("int")
    header = guid_header(guid_of_text(late))
    assert reasons(scene.read((row(1, 1), header)))[0].endswith("no such GUID")
    scene.registry.register("any", late)
    assert rows(scene.read((row(1, 1), header))) == [(1, 1)]


def test_nothing_is_lost_while_the_registry_is_away() -> None:
    scene = Scene()
    scene.registry.away = True
    with pytest.raises(RegistryUnavailableError):
        scene.read((row(1, 1), scene.guid(scene.own)))
    scene.registry.away = False
    assert rows(scene.read((row(1, 1), scene.guid(scene.own)))) == [(1, 1)]


@pytest.mark.parametrize("by_guid", [True, False])
def test_a_schema_of_its_own_that_cannot_be_read_stops_the_stream(*, by_guid: bool) -> None:
    scene = Scene()
    bad = scene.registry.register(SUBJECTS[0], schema_of("string"))
    name = scene.guid(bad) if by_guid else id_header(bad)
    assert isinstance(scene.registry, GuidDictRegistry)
    words = f"schema GUID {scene.registry.guid_of(bad)}" if by_guid else f"schema id {bad}"
    for _ in range(2):
        with pytest.raises(IncompatibleSchemaError) as stopped:
            scene.read((row(1, 1), scene.guid(scene.own)), (row(1, 1), name))
        for word in (words, SUBJECTS[0], "stream quote", "field n", "string", "incompatible"):
            assert word in str(stopped.value)
    lenient = Scene(scene.registry, subjects=())
    (reason,) = reasons(lenient.read((row(1, 1), name)))
    assert reason.startswith(f"{words}: ")


def test_a_strangers_schema_or_one_of_another_format_has_dead_messages() -> None:
    scene = Scene()
    bad = scene.registry.register("strangers", schema_of("string"))
    other = guid_of_text("other")
    assert isinstance(scene.registry, GuidDictRegistry)
    scene.registry.others.add(other)
    values = scene.read((b"", scene.guid(bad)), (b"", guid_header(other)), (row(1, 1), scene.guid(scene.own)))
    assert rows(values) == [(1, 1)]
    first, second = reasons(values)
    assert first.startswith(f"schema GUID {scene.registry.guid_of(bad)}: field n")
    assert second == f"schema GUID {other} is a JSON schema"
    asked = scene.registry.asked
    scene.read((b"", scene.guid(bad)), (b"", guid_header(other)))
    assert scene.registry.asked == asked


def test_a_registry_without_guids_says_so() -> None:
    scene = Scene(DictRegistry())
    guid = guid_of_text("any")
    values = scene.read((row(1, 1), guid_header(guid)), (row(1, 1), id_header(scene.own)))
    assert rows(values) == [(1, 1)]
    assert reasons(values) == [f"schema GUID {guid}: the schema registry of this process has no GUIDs"]


def test_with_a_prefix_expected_a_message_with_a_header_says_what_to_do() -> None:
    scene = Scene()
    prefixed = AvroValues(COLUMNS, scene.registry, stream="quote", subjects=SUBJECTS)
    own = scene.guid(scene.own)
    block = headed_block(
        (row(1, 10), own),
        (row(1, 10), []),
        (row(-1, 2**40), own),
        (b"\0\0\0\0\x63" + row(1, 1), [(APICURIO[0], bytes(8))]),
        (message_header(scene.own) + row(1, 10), own),
        (None, own),
    )
    values = prefixed.read(block, np.arange(6))
    assert rows(values) == [(1, 10)]
    hint = '; its header {} names a schema: say framing = "header"'
    assert {dead.message: dead.reason for dead in values.dead} == {
        0: "shorter than the 5 bytes that name its schema" + hint.format(CONFLUENT),
        1: "shorter than the 5 bytes that name its schema",
        2: "does not begin with the byte 0 of the Confluent wire format" + hint.format(CONFLUENT),
        3: "schema id 99: no such id" + hint.format(APICURIO[0]),
        5: "null value",
    }


def test_a_progress_record_that_a_header_names_is_one() -> None:
    scene = Scene()
    value = encode_progress(scene.registry, Progress("quote", 5, False, "run"))
    schema_id = int.from_bytes(value[1:5], "big")
    values = scene.read((value[5:], id_header(schema_id)))
    assert [record.upper_ns for _, record in values.progress] == [5]


def test_a_keyless_value_whose_header_names_its_schema_is_no_progress_record() -> None:
    scene = Scene()
    record = Progress("quote", 5, False, "run")
    value = encode_progress(scene.registry, record)
    block = headed_block((b"\0\0\0\0\x63", scene.guid(scene.own)), (value, []))
    block.key_size[:] = -1
    reader = ProgressReader(scene.registry, headed=True)
    assert reader.read(block, np.arange(2)) == {1: record}
    with pytest.raises(UnknownSchemaError, match="message without key"):
        ProgressReader(scene.registry).read(block, np.arange(2))
