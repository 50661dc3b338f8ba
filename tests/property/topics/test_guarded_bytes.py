"""Hostile bytes that end where readable memory ends: one byte read too many would kill the process.

`python -m tests.property.topics.test_guarded_bytes 1000000` tries that many (`make fuzz`).
"""

import ctypes
import io
import mmap
import signal
import subprocess
import sys
from typing import Any

import fastavro
import numpy as np
import pytest

from tests.oracles.avro import bare_rows, bare_schema
from tests.property.topics.hostile_bodies import CASES as STREAMS
from tests.property.topics.hostile_bodies import bodies
from tests.stage.blocks import Originals
from tests.stage.fakes import DictRegistry
from topics.avro.decode import Decoder
from topics.avro.header import HEADER_SIZE, message_header
from topics.avro.schema import avro_schema, block_schema
from topics.block import MessageBlock, TopicPartition
from topics.values import DecodeLimits

CASES = 20_000
AT_ONCE = 64  # messages in a block, each in memory of its own
PAGE = mmap.PAGESIZE
PROT_NONE = 0
ROWS_MAX = 1_000

# Where fastavro is lax and the decoder is not: rows of such a message would not be what was meant.
STRICTER = (
    "a variable-length integer goes on beyond 64 bits",
    "no such branch in the union",  # fastavro counts a negative one from the end
    "null in a column that must have a value",
    "a number outside the range of its type",
    "a boolean that is neither 0 nor 1",
    "a negative length",
    "a decimal without bytes, or of more digits than its type has",
    "an array block does not end where its size says",
    "more rows than rows_max",
    "a block of an array does not end where its size says",
    "a block of an array or map is said to be larger than the message",
)


class Guarded:
    """Readable pages, each between two that must not be touched; a message is laid against a page's end."""

    def __init__(self, pages: int) -> None:
        self._memory = mmap.mmap(-1, (2 * pages + 1) * PAGE)
        begin = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        libc = ctypes.CDLL(None, use_errno=True)
        for guard in range(pages + 1):
            place = ctypes.c_void_p(begin + 2 * guard * PAGE)
            assert libc.mprotect(place, ctypes.c_size_t(PAGE), PROT_NONE) == 0
        self.ends = begin + PAGE * np.arange(2, 2 * pages + 1, 2, dtype=np.int64)

    def lay(self, messages: list[bytes]) -> MessageBlock:
        """A block of these messages, without keys' memory."""
        size = np.array([len(message) for message in messages], np.int64)
        address = self.ends[: size.size] - size
        for place, message in zip(address.tolist(), messages, strict=True):
            ctypes.memmove(place, message, len(message))
        nothing = np.zeros(size.size, np.int64)
        return MessageBlock(
            sources=(TopicPartition("t", 0),),
            source=np.zeros(size.size, np.int32),
            offset=np.arange(size.size, dtype=np.int64),
            value=address.view(np.uint64),
            value_size=size,
            key=nothing.view(np.uint64),
            key_size=nothing,
            originals=Originals(),
            ends=(),
            memory=self,
        )


class Mutations:
    """Endless bodies: random bytes, and good ones cut, lengthened, spliced or changed in a few bytes."""

    def __init__(self, seed: int, good: list[bytes]) -> None:
        self._draw = np.random.default_rng(seed)
        self._good = good

    def next(self) -> bytes:
        draw, kind = self._draw, int(self._draw.integers(8))
        body = self._good[int(draw.integers(len(self._good)))]
        cut = int(draw.integers(len(body) + 1))
        if kind == 0:
            return draw.bytes(int(draw.integers(80)))
        if kind == 1:
            return body[:cut]
        if kind == 2:
            return body + draw.bytes(int(draw.integers(1, 12)))
        if kind == 3:
            other = self._good[int(draw.integers(len(self._good)))]
            return body[:cut] + other[int(draw.integers(len(other))) :]
        changed = bytearray(body)
        for at in draw.integers(len(body), size=int(draw.integers(1, 4))).tolist():
            changed[at] = int(draw.integers(256)) if kind < 6 else changed[at] ^ (1 << int(draw.integers(8)))
        return bytes(changed)


def fastavro_rows(schema: Any, body: bytes) -> list[Any] | None:
    """What fastavro reads, as rows; None where it refuses, or leaves bytes over."""
    stream = io.BytesIO(body)
    try:
        value = fastavro.schemaless_reader(stream, schema, None)
    except Exception:  # it has no family of errors: whatever it raises, it did not accept
        return None
    if stream.tell() != len(body):
        return None
    return value if isinstance(value, list) else [value]


def try_cases(cases: int, seed: int, number: int, *, blocks: bool) -> int:
    """Decode so many hostile messages of a stream beside fastavro; returns how many both accepted."""
    stream, good = STREAMS[number]
    registry = DictRegistry()
    text = block_schema(stream) if blocks else avro_schema(stream)
    header = message_header(registry.register("s", text))
    schema, memory = bare_schema(text), Guarded(AT_ONCE)
    mutations = Mutations(seed, bodies(blocks=blocks, stream=stream, rows=good))
    decoder = Decoder(stream, "event", registry, DecodeLimits(rows_max=ROWS_MAX))
    accepted = 0
    for _ in range(-(-cases // AT_ONCE)):
        given = [mutations.next() for _ in range(AT_ONCE)]
        decoded = decoder.decode(memory.lay([header + body for body in given]), np.arange(AT_ONCE))
        dead = {row.message: row.reason for row in decoded.dead}
        rows: list[list[Any]] = [[] for _ in given]
        if decoded.batch is not None:
            for message, row in zip(
                decoded.batch.offset.tolist(), bare_rows(decoded.batch.columns), strict=True
            ):
                rows[message].append(row)
        for message, body in enumerate(given):
            expected = fastavro_rows(schema, body)
            if message in dead:
                strict = any(words in dead[message] for words in STRICTER)
                assert strict or expected is None, f"{dead[message]}, but fastavro reads {body!r}"
                continue
            assert expected is not None, f"fastavro refuses {body!r}"
            if rows[message] != expected:  # not a number is not equal to itself
                np.testing.assert_equal(rows[message], expected)
            accepted += 1
    return accepted


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run this module in a process of its own, which may die."""
    command = [sys.executable, "-m", "tests.property.topics.test_guarded_bytes", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_no_hostile_message_is_read_beyond_its_end_and_none_is_taken_that_fastavro_refuses() -> None:
    done = run(str(CASES))
    assert done.returncode == 0, done.stderr[-2_000:]
    assert int(done.stdout.split()[0]) > CASES // 20, "too few were good enough to be read to the end"


def test_a_read_beyond_the_end_is_deadly() -> None:
    if sys.platform != "linux":
        pytest.skip("what a forbidden read sends depends on the system")
    assert run("overread").returncode == -signal.SIGSEGV


def main(argument: str) -> int:
    """Try so many records and blocks, or read a byte too many."""
    if argument == "overread":
        end = int(Guarded(1).ends[0])
        ctypes.string_at(end - HEADER_SIZE, HEADER_SIZE + 1)
        return 1
    cases = int(argument)
    accepted = sum(
        try_cases(cases // 4, 7 + blocks, number, blocks=blocks)
        for blocks in (False, True)
        for number in range(len(STREAMS))
    )
    sys.stdout.write(f"{accepted} of {cases} hostile messages were read, as fastavro reads them\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
