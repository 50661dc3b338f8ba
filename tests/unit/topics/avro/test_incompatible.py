"""A schema of a stream's own that cannot be read stops it; a stranger's, or a corrupt message, does not."""

import json
from typing import Any

import numpy as np
import pytest

from tests.oracles.avro_writer import varint
from tests.stage.blocks import block_of
from tests.stage.fakes import DictRegistry
from topics.avro.decode import Decoder
from topics.avro.header import message_header
from topics.avro.schema import stream_schema
from topics.wire import Decoded, IncompatibleSchemaError

SUBJECTS = ("quotes-value", "quotes-value-block")
ROW = varint(1) + varint(1) + b"A" + varint(4)


def schema(kind: Any) -> str:
    fields = [{"name": "event_ns", "type": "long"}, {"name": "symbol", "type": "string"}]
    return json.dumps({"type": "record", "name": "Row", "fields": [*fields, {"name": "n", "type": kind}]})


class Scene:
    """A decoder of a stream whose subjects are SUBJECTS."""

    def __init__(self) -> None:
        self.registry = DictRegistry()
        self.good = message_header(self.registry.register(SUBJECTS[0], schema("long"))) + ROW
        self.decoder = Decoder(
            stream_schema(schema("long"), name="quote"), "event", self.registry, subjects=SUBJECTS
        )

    def decode(self, *values: bytes) -> Decoded:
        block = block_of([(b"K", value, offset) for offset, value in enumerate(values)])
        return self.decoder.decode(block, np.arange(len(values)))


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_schema_of_its_own_that_cannot_be_read_names_all_and_what_to_do(subject: str) -> None:
    scene = Scene()
    schema_id = scene.registry.register(subject, schema("string"))
    for _ in range(2):  # not a message is passed over, at a second attempt neither
        with pytest.raises(IncompatibleSchemaError) as stopped:
            scene.decode(scene.good, message_header(schema_id) + ROW)
        for word in (f"schema id {schema_id}", subject, "stream quote", "field n", "string", "incompatible"):
            assert word in str(stopped.value)


def test_messages_before_it_were_read_already() -> None:
    scene = Scene()
    assert scene.decode(scene.good).batch is not None
    schema_id = scene.registry.register(SUBJECTS[0], schema("string"))
    with pytest.raises(IncompatibleSchemaError):
        scene.decode(message_header(schema_id) + ROW)


def test_a_strangers_schema_and_a_corrupt_message_are_dead_letters() -> None:
    scene = Scene()
    stranger = scene.registry.register("orders-value", schema("string"))
    decoded = scene.decode(message_header(stranger) + ROW, scene.good[:-1], scene.good)
    assert decoded.batch is not None
    assert decoded.batch.offset.tolist() == [2]
    assert [dead.message for dead in decoded.dead] == [0, 1]
    assert decoded.dead[0].reason.startswith(f"schema id {stranger}: field n is written as string")


def test_a_schema_of_its_own_that_grows_is_read() -> None:
    scene = Scene()
    fields = json.loads(schema("int"))
    fields["fields"].append({"name": "extra", "type": {"type": "array", "items": "string"}, "default": []})
    grown = scene.registry.register(SUBJECTS[0], json.dumps(fields))
    decoded = scene.decode(message_header(grown) + ROW + varint(0))
    assert decoded.dead == []
    assert decoded.batch is not None
