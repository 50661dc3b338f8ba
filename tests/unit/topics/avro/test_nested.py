"""Fields that nobody wants are skipped whatever their type, and never for longer than their bytes allow."""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import fastavro
import numpy as np
import pytest

from tests.oracles.avro_writer import SlowWriter, varint
from tests.stage.blocks import block_of
from tests.stage.fakes import DictRegistry
from tests.stage.guarded import require_prefixes_dead
from topics.avro.decode import Decoder
from topics.avro.header import message_header
from topics.avro.nested_kernel import STACK_SIZE
from topics.avro.schema import stream_schema
from topics.avro.types import FIELDS_MAX, NESTING_MAX, SCHEMA_LENGTH_MAX
from topics.wire import Decoded

LEAF = {
    "type": "record",
    "name": "Leaf",
    "fields": [{"name": "a", "type": "int"}, {"name": "b", "type": "string"}],
}
LINKED = {"type": "record", "name": "Linked", "fields": [{"name": "next", "type": ["null", "Linked"]}]}
NOTHING = {"type": "record", "name": "Nothing", "fields": [{"name": "n", "type": "null"}]}
ENDLESS = {"type": "record", "name": "Endless", "fields": [{"name": "more", "type": "Endless"}]}
READER: dict[str, Any] = {
    "type": "record",
    "name": "Row",
    "fields": [
        {"name": "event_ns", "type": "long"},
        {"name": "symbol", "type": "string"},
        {"name": "n", "type": ["null", "int"]},
    ],
}


def grown(kind: Any) -> dict[str, Any]:
    """The reader's record with a field of another type in its midst."""
    fields = list(READER["fields"])
    fields.insert(1, {"name": "extra", "type": kind})
    return {**READER, "fields": fields}


def decode(writer: Any, bodies: Sequence[bytes]) -> Decoded:
    registry = DictRegistry()
    header = message_header(registry.register("s", json.dumps(writer)))
    decoder = Decoder(stream_schema(json.dumps(READER), name="row"), "event", registry)
    block = block_of([(b"K", header + body, offset) for offset, body in enumerate(bodies)])
    return decoder.decode(block, np.arange(len(bodies)))


def body(extra: bytes, event_ns: int = 5) -> bytes:
    """A row of the grown record with `extra` as its field's bytes."""
    return varint(event_ns) + extra + varint(1) + b"A" + varint(1) + varint(7)


def reason(kind: Any, extra: bytes) -> str:
    """Why a row with these bytes is dead; the good row after it goes on."""
    decoded = decode(grown(kind), [body(extra)])
    assert decoded.batch is None
    (dead,) = decoded.dead
    return dead.reason


VALUES = [
    ({"type": "array", "items": "string"}, ["x", "", "né"] * 5),
    ({"type": "array", "items": {"type": "array", "items": "double"}}, [[1.0], [], [2.0, 3.0]]),
    ({"type": "map", "values": {"type": "map", "values": "long"}}, {"a": {"b": 2**62}, "c": {}}),
    ({"type": "array", "items": LEAF}, [{"a": 1, "b": "x"}, {"a": -9, "b": "y" * 200}]),
    ({"type": "map", "values": "null"}, {"a": None, "b": None}),
    ({"type": "array", "items": NOTHING}, [{"n": None}] * 9),
    ({"type": "array", "items": {"type": "fixed", "name": "Zero", "size": 0}}, [b""] * 9),
    (["null", "int", LEAF, {"type": "array", "items": "Leaf"}], (3, [{"a": 1, "b": "x"}])),
    (["null", "int", LEAF, {"type": "map", "values": "bytes"}], (2, {"a": 1, "b": "x"})),
    (["int", "string", "double"], (2, 1.5)),
    (["null", "boolean"], (1, True)),
    (LINKED, {"next": (1, {"next": (1, {"next": (0, None)})})}),
    ("null", None),
    (NOTHING, {"n": None}),
    ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, "B"),
    ({"type": "fixed", "name": "F", "size": 5}, b"12345"),
]


@pytest.mark.parametrize(("kind", "value"), VALUES)
@pytest.mark.parametrize("blocks", [False, True])
def test_a_field_of_any_type_is_skipped(kind: Any, value: Any, blocks: bool) -> None:
    record = grown(kind)
    writer = {"type": "array", "items": record} if blocks else record
    for seed in range(6):
        slow = SlowWriter(fastavro.parse_schema(json.loads(json.dumps(writer))), random.Random(seed))
        rows = [{"event_ns": at, "extra": value, "symbol": "A", "n": (1, -at)} for at in range(3)]
        bodies = [slow.body(rows)] if blocks else [slow.body(row) for row in rows]
        decoded = decode(writer, bodies)
        assert decoded.dead == []
        assert decoded.batch is not None
        assert decoded.batch.columns.to_pylist() == [
            {"event_ns": i, "symbol": "A", "n": -i} for i in range(3)
        ]


def test_flat_records_and_others_share_one_batch() -> None:
    registry = DictRegistry()
    flat = message_header(registry.register("s", json.dumps(READER)))
    nested = message_header(registry.register("s", json.dumps(grown({"type": "array", "items": "int"}))))
    good = [flat + body(b"", 1), nested + body(varint(1) + varint(9) + varint(0), 2), flat + body(b"", 3)]
    decoder = Decoder(stream_schema(json.dumps(READER), name="row"), "event", registry)
    decoded = decoder.decode(block_of([(b"K", value, i) for i, value in enumerate(good)]), np.arange(3))
    assert decoded.dead == []
    assert decoded.batch is not None
    assert decoded.batch.time_ns.tolist() == [1, 2, 3]


def test_a_block_that_says_its_size_is_passed_over_whatever_its_count() -> None:
    kind = {"type": "array", "items": "int"}
    for count in (-1, -(2**40), -(2**63)):
        decoded = decode(grown(kind), [body(varint(count) + varint(3) + b"\x02\x04\x06" + varint(0))])
        assert decoded.dead == []
        assert decoded.batch is not None


def test_items_without_bytes_are_not_counted_out() -> None:
    """2^62 of them in nine bytes would keep a loop busy for a century."""
    for kind in ("null", NOTHING, {"type": "fixed", "name": "Zero", "size": 0}):
        decoded = decode(grown({"type": "array", "items": kind}), [body(varint(2**62) + varint(0))])
        assert decoded.dead == []


def test_more_items_than_bytes_are_refused_before_the_first_one() -> None:
    for kind in (
        {"type": "array", "items": "int"},
        {"type": "map", "values": "null"},
        {"type": "array", "items": LEAF},
    ):
        assert reason(kind, varint(2**62)) == (
            "row 0, field extra: an array or map promises more items than the message can hold"
        )


@pytest.mark.parametrize("size", [-1, 10_000, 2**62])
def test_a_block_larger_than_the_message_is_dead(size: int) -> None:
    assert "said to be larger than the message" in reason(
        {"type": "array", "items": "int"}, varint(-1) + varint(size)
    )


def test_a_value_may_hold_itself_as_deep_as_the_stack() -> None:
    deepest = STACK_SIZE - 1
    assert decode(grown(LINKED), [body(varint(1) * deepest + varint(0))]).dead == []
    assert reason(LINKED, varint(1) * (deepest + 1) + varint(0)).endswith(f"more than {STACK_SIZE} deep")
    nested: Any = {"type": "array", "items": "Tree"}
    tree = {"type": "record", "name": "Tree", "fields": [{"name": "all", "type": nested}]}
    assert reason(tree, varint(1) * STACK_SIZE).endswith(f"more than {STACK_SIZE} deep")


def test_a_record_that_always_holds_itself_has_no_value() -> None:
    assert reason(ENDLESS, b"").endswith(f"more than {STACK_SIZE} deep")


def test_a_branch_that_the_union_lacks_is_dead() -> None:
    kind = ["null", "int", {"type": "array", "items": "int"}]
    for branch in (3, -1, 2**62):
        assert reason(kind, varint(branch)) == "row 0, field extra: no such branch in the union"


def test_a_fault_within_a_skipped_value_names_where_it_is() -> None:
    kind = {"type": "array", "items": LEAF}
    assert reason(kind, varint(1) + varint(0) + varint(1) + b"\xff" + varint(0)) == (
        "row 0, field extra.b: text that is not UTF-8"
    )


def test_a_schema_that_doubles_with_each_record_makes_a_short_program() -> None:
    """Each record holds the one before twice: written out, the last one would have 2^40 fields."""
    kind: Any = {"type": "record", "name": "R0", "fields": [{"name": "a", "type": "int"}]}
    for number in range(1, 40):
        inner = [{"name": "a", "type": kind}, {"name": "b", "type": f"R{number - 1}"}]
        kind = {"type": "record", "name": f"R{number}", "fields": inner}
    assert reason(kind, b"\x02" * 50).endswith("the message ends inside a value")


@pytest.mark.parametrize(("kind", "value"), VALUES)
def test_no_prefix_of_a_nested_message_is_read_beyond_its_end(kind: Any, value: Any) -> None:
    registry = DictRegistry()
    writer = grown(kind)
    header = message_header(registry.register("s", json.dumps(writer)))
    slow = SlowWriter(fastavro.parse_schema(json.loads(json.dumps(writer))), random.Random(1))
    whole = header + slow.body({"event_ns": 1, "extra": value, "symbol": "A", "n": (1, 3)})
    decoder = Decoder(stream_schema(json.dumps(READER), name="row"), "event", registry)
    require_prefixes_dead(decoder, whole, len(header))


def test_bytes_that_nobody_would_write_end_in_a_row_or_a_dead_row() -> None:
    draw = random.Random(5)
    tree = {
        "type": "record",
        "name": "T",
        "fields": [{"name": "all", "type": {"type": "array", "items": "T"}}],
    }
    kinds = [
        tree,
        LINKED,
        {"type": "map", "values": ["null", tree]},
        ["null", {"type": "array", "items": LEAF}],
    ]
    for kind in kinds:
        bodies = [body(draw.randbytes(draw.randint(0, 40))) for _ in range(500)]
        bodies += [body(bytes(draw.choices((0, 1, 2, 4), k=60))) for _ in range(500)]
        decoded = decode(grown(kind), bodies)
        rows = 0 if decoded.batch is None else decoded.batch.rows
        assert rows + len(decoded.dead) == len(bodies)


def test_rows_without_bytes_are_never_more_than_the_bytes_of_their_block() -> None:
    """A null for a time has none: a row at a time is dead, and a block that promises many as a whole."""
    fields = [{"name": "event_ns", "type": ["null", "long"]}, {"name": "n", "type": ["null", "int"]}]
    stream = stream_schema(json.dumps({**READER, "fields": fields}), name="row", key=())
    writer = {"type": "array", "items": {**READER, "fields": [{"name": "event_ns", "type": "null"}]}}
    registry = DictRegistry()
    header = message_header(registry.register("s", json.dumps(writer)))
    bodies = [varint(1) + varint(0), varint(2**40) + varint(0), varint(-(2**40)) + varint(0) * 2, varint(0)]
    block = block_of([(b"K", header + body, offset) for offset, body in enumerate(bodies)])
    decoded = Decoder(stream, "event", registry).decode(block, np.arange(len(bodies)))
    assert decoded.batch is None
    promised = "an array block promises more rows than the message can hold"
    assert [(dead.message, dead.index, dead.reason) for dead in decoded.dead] == [
        (0, 0, "no event_ns"),
        (1, -1, promised),
        (2, -1, promised),
    ]


def in_arrays(deep: int) -> str:
    return '{"type": "array", "items": ' * deep + '"int"' + "}" * deep


def in_maps_and_unions(deep: int) -> str:
    return '["null", {"type": "map", "values": ' * (deep // 2) + '"int"' + "}]" * (deep // 2)


def in_records(deep: int) -> str:
    heads = (f'{{"type": "record", "name": "D{n}", "fields": [{{"name": "in", "type": ' for n in range(deep))
    return "".join(heads) + '"int"' + "}]}" * deep


@pytest.mark.parametrize("within", [in_arrays, in_maps_and_unions, in_records])
@pytest.mark.parametrize("deep", [NESTING_MAX, 600, 5_000])
def test_a_schema_nested_too_deep_makes_dead_letters_and_the_deepest_is_read(
    within: Callable[[int], str], deep: int
) -> None:
    """The row's record is a level of its own."""
    assert decode(grown(json.loads(within(NESTING_MAX - 1))), [body(varint(0))]).dead == []
    registry = DictRegistry()
    writer = json.dumps(grown("DEEP")).replace('"DEEP"', within(deep))
    block = block_of([(b"K", message_header(registry.register("s", writer)) + body(b""), 0)])
    decoder = Decoder(stream_schema(json.dumps(READER), name="row"), "event", registry)
    (dead,) = decoder.decode(block, np.arange(1)).dead
    assert dead.reason.startswith(f"schema id 1: types are nested more than {NESTING_MAX} deep: ")


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (grown({"type": "string", "doc": "x" * SCHEMA_LENGTH_MAX}), f"and {SCHEMA_LENGTH_MAX:,} are read"),
        (
            grown(
                {
                    "type": "record",
                    "name": "Wide",
                    "fields": [{"name": f"f{n}", "type": "int"} for n in range(FIELDS_MAX + 1)],
                }
            ),
            f"record Wide has {FIELDS_MAX + 1:,} fields, and {FIELDS_MAX:,} are read",
        ),
    ],
)
def test_a_schema_that_is_too_large_makes_dead_letters(schema: object, words: str) -> None:
    registry = DictRegistry()
    block = block_of([(b"K", message_header(registry.register("s", json.dumps(schema))) + body(b""), 0)])
    decoder = Decoder(stream_schema(json.dumps(READER), name="row"), "event", registry)
    (dead,) = decoder.decode(block, np.arange(1)).dead
    assert words in dead.reason


def test_types_that_are_used_again_and_again_are_compiled_once() -> None:
    """Each record holds the one before twice: 2**60 fields, were each use a type of its own."""
    inner: object = {"type": "record", "name": "R0", "fields": [{"name": "x", "type": "int"}]}
    for n in range(1, 60):
        fields = [{"name": "a", "type": inner}, {"name": "b", "type": f"R{n - 1}"}]
        inner = {"type": "record", "name": f"R{n}", "fields": fields}
    registry = DictRegistry()
    block = block_of([(b"K", message_header(registry.register("s", json.dumps(grown(inner)))), 0)])
    decoder = Decoder(stream_schema(json.dumps(READER), name="row"), "event", registry)
    (dead,) = decoder.decode(block, np.arange(1)).dead
    assert dead.reason
