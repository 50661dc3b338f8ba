"""Whatever bytes come: the decoder never crashes, and takes nothing that fastavro would refuse."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.avro import bare_rows, read_slowly
from tests.property.topics.hostile_bodies import CASES, STREAM, bodies
from tests.stage.blocks import block_of
from tests.stage.fakes import DictRegistry
from topics.avro.decode import Decoder
from topics.avro.header import message_header
from topics.avro.schema import avro_schema, block_schema
from topics.values import DecodeLimits


def mutated(body: bytes) -> st.SearchStrategy[bytes]:
    """A body cut, lengthened, or with a few bytes changed."""
    place = st.integers(0, len(body) - 1)
    flips = st.lists(st.tuples(place, st.integers(0, 255)), min_size=1, max_size=4)

    def flip(changes: list[tuple[int, int]]) -> bytes:
        changed = bytearray(body)
        for at, byte in changes:
            changed[at] = byte
        return bytes(changed)

    return (
        flips.map(flip)
        | place.map(lambda at: body[:at])
        | st.binary(max_size=3).map(lambda tail: body + tail)
    )


def hostile(*, blocks: bool) -> st.SearchStrategy[tuple[int, bytes]]:
    """Which of CASES, and a body for it."""

    def of(case: int) -> st.SearchStrategy[tuple[int, bytes]]:
        stream, rows = CASES[case]
        good = [mutated(body) for body in bodies(blocks=blocks, stream=stream, rows=rows)]
        return st.tuples(st.just(case), st.one_of([st.binary(max_size=60), *good]))

    return st.one_of([of(case) for case in range(len(CASES))])


def check(case: int, body: bytes, *, blocks: bool) -> None:
    stream, rows = CASES[case]
    registry = DictRegistry()
    schema = block_schema(stream) if blocks else avro_schema(stream)
    value = message_header(registry.register("s", schema)) + body
    good = message_header(1) + bodies(blocks=blocks, stream=stream, rows=rows)[0]
    decoder = Decoder(stream, "event", registry, DecodeLimits(rows_max=1000))
    decoded = decoder.decode(block_of([(b"K", good, 1), (b"K", value, 2), (b"K", good, 3)]), np.arange(3))
    batch = decoded.batch
    assert batch is not None
    batch.columns.validate(full=True)
    assert {dead.message for dead in decoded.dead} <= {1}
    assert {1, 3} <= set(batch.offset.tolist())
    if decoded.dead:
        assert 2 not in batch.offset
        return
    expected = read_slowly(schema, body)
    mine = batch.columns.filter(pa.array(batch.offset == 2))
    np.testing.assert_equal(bare_rows(mine), expected if blocks else [expected])


@given(case=st.deferred(lambda: hostile(blocks=False)))
@settings(max_examples=800, deadline=None)
def test_a_hostile_record_is_dead_or_read_as_fastavro_reads_it(case: tuple[int, bytes]) -> None:
    check(*case, blocks=False)


@given(case=st.deferred(lambda: hostile(blocks=True)))
@settings(max_examples=800, deadline=None)
def test_a_hostile_block_is_dead_or_read_as_fastavro_reads_it(case: tuple[int, bytes]) -> None:
    check(*case, blocks=True)


@given(messages=st.lists(st.none() | st.binary(max_size=12), max_size=8))
@settings(max_examples=100, deadline=None)
def test_messages_of_any_bytes_are_all_dead_and_each_has_its_reason(messages: list[bytes | None]) -> None:
    decoder = Decoder(STREAM, "event", DictRegistry())
    block = block_of([(b"K", message, offset) for offset, message in enumerate(messages)])
    decoded = decoder.decode(block, np.arange(len(messages)))
    assert decoded.batch is None
    assert [(dead.message, dead.index) for dead in decoded.dead] == [(i, -1) for i in range(len(messages))]
