"""Schemas that change: a reader of other columns sees what Avro's rules say, as fastavro applies them."""

import io
import json
from typing import Any

import fastavro
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stage.blocks import block_of
from tests.stage.fakes import DictRegistry
from topics.avro.decode import Decoder
from topics.avro.header import message_header
from topics.avro.schema import stream_schema

# For each field name: what a writer may write, and what a reader may make of it.
PROMOTIONS: dict[str, list[str]] = {
    "int": ["int", "long", "float", "double"],
    "long": ["long", "float", "double"],
    "float": ["float", "double"],
    "double": ["double"],
    "string": ["string", "bytes"],
    "boolean": ["boolean"],
}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "string": st.text(max_size=9),
    "boolean": st.booleans(),
}
DEFAULTS: dict[str, Any] = {
    "int": -7,
    "long": 2**40,
    "float": 0.5,
    "double": -2.25,
    "string": "né",
    "boolean": True,
}


def union_of(kind: str, form: int) -> Any:
    return [kind, ["null", kind], [kind, "null"], [kind]][form]


def record(fields: list[dict[str, Any]]) -> str:
    event = {"name": "event_ns", "type": "long"}
    symbol = {"name": "symbol", "type": "string", "default": ""}
    return json.dumps({"type": "record", "name": "Row", "fields": [event, symbol, *fields]})


@st.composite
def changes(draw: Any) -> tuple[str, str, list[dict[str, Any]]]:
    """A writer's schema, a reader's, and rows of the writer."""
    written, read, columns = [], [], {}
    for number, kind in enumerate(draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=6))):
        name = f"c{number}"
        form = draw(st.integers(0, 3))
        nullable = form in (1, 2)
        what = draw(st.sampled_from(["both", "dropped", "added"]))
        wanted = draw(st.sampled_from(PROMOTIONS[kind]))
        if what != "added":
            written.append({"name": name, "type": union_of(kind, form)})
            columns[name] = st.none() | VALUES[kind] if nullable else VALUES[kind]
        if what == "both":
            read.append({"name": name, "type": union_of(wanted, draw(st.integers(1, 2)) if nullable else 0)})
        elif what == "added":
            default = DEFAULTS[kind] if form != 1 else None
            read.append({"name": name, "type": union_of(kind, form), "default": default})
    read = draw(st.permutations(read))
    row = {"event_ns": VALUES["long"], "symbol": VALUES["string"], **columns}
    rows = draw(st.lists(st.fixed_dictionaries(row), min_size=1, max_size=4))
    return record(written), record(read), rows


@given(change=changes())
@settings(max_examples=200, deadline=None)
def test_a_changed_schema_reads_as_fastavro_resolves_it(
    change: tuple[str, str, list[dict[str, Any]]],
) -> None:
    writer, reader, rows = change
    registry = DictRegistry()
    header = message_header(registry.register("s", writer))
    bodies = []
    for row in rows:
        body = io.BytesIO()
        fastavro.schemaless_writer(body, fastavro.parse_schema(json.loads(writer)), row)
        bodies.append(body.getvalue())
    decoder = Decoder(stream_schema(reader, name="row"), "event", registry)
    block = block_of([(b"K", header + body, i) for i, body in enumerate(bodies)])
    decoded = decoder.decode(block, np.arange(len(bodies)))
    assert decoded.dead == []
    assert decoded.batch is not None
    decoded.batch.columns.validate(full=True)
    expected: list[Any] = [
        fastavro.schemaless_reader(
            io.BytesIO(body),
            fastavro.parse_schema(json.loads(writer)),
            fastavro.parse_schema(json.loads(reader)),
        )
        for body in bodies
    ]
    read = decoded.batch.columns.to_pylist()
    floats = [field.name for field in decoded.batch.columns.schema if str(field.type) == "float"]
    binaries = [field.name for field in decoded.batch.columns.schema if str(field.type) == "binary"]
    for row in expected:
        # fastavro leaves a promoted number wider than the float it becomes.
        row.update({name: float(np.float32(row[name])) for name in floats if row[name] is not None})
        row.update({name: row[name].encode() for name in binaries if isinstance(row[name], str)})
    assert read == expected
