"""A frame that would unpack to too much is refused before it is unpacked, by the worker and the client."""

import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from gpu_sink import frames as client
from gpu_sink import ipc as client_ipc
from gpu_sink.contract import FrameError as ClientError
from gpu_sink.contract import layout_fingerprint
from schemas import frame, ipc
from tests.stage.aligned import message_of

PLACE = client.Place("aligned", 2, 77)
ROOT = Path(__file__).parents[2]
MIB = 1 << 20
Reader = Callable[[bytes, pa.Schema, int, int], pa.RecordBatch]


def by_the_worker(value: bytes, schema: pa.Schema, rows: int, size_max: int) -> pa.RecordBatch:
    return frame.decode_frame(value, size_max)


def by_the_client(value: bytes, schema: pa.Schema, rows: int, size_max: int) -> pa.RecordBatch:
    _, headers = message_of(
        pa.RecordBatch.from_pylist([], schema), rows=rows, layout=layout_fingerprint(schema)
    )
    return client.decode_frame(value, headers, PLACE, decoded_size_max=size_max).rows


def by_the_client_again(value: bytes, schema: pa.Schema, rows: int, size_max: int) -> pa.RecordBatch:
    """As a later frame of a stream, whose schema is known."""
    decoder = client.FrameDecoder(decoded_size_max=size_max)
    for _ in range(2):
        decoder.decode(*message_of(pa.RecordBatch.from_pylist([], schema)), PLACE)
    _, headers = message_of(pa.RecordBatch.from_pylist([], schema), rows=rows)
    return decoder.decode(value, headers, PLACE).rows


READERS = pytest.mark.parametrize("read", [by_the_worker, by_the_client, by_the_client_again])
REFUSED = (frame.FrameError, ClientError)


def test_the_client_and_the_worker_have_one_bound() -> None:
    assert client_ipc.DECODED_SIZE_MAX == ipc.DECODED_SIZE_MAX == 256 * MIB


@READERS
@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_a_small_frame_that_unpacks_to_half_a_gigabyte_is_refused(
    read: Reader, compression: frame.Compression
) -> None:
    rows = pa.RecordBatch.from_pydict({"x": pa.nulls(67_108_864, pa.int64()).fill_null(0)})
    value = frame.encode_frame(rows, compression)
    schema, count = rows.schema, rows.num_rows
    assert len(value) < 3 * MIB
    del rows
    before = pa.total_allocated_bytes()
    with pytest.raises(REFUSED, match=r"unpack to 268,435,457 bytes or more, and 268,435,456 are taken"):
        read(value, schema, count, ipc.DECODED_SIZE_MAX)
    assert pa.total_allocated_bytes() <= before + MIB


def test_the_client_names_the_place_of_a_frame_that_unpacks_to_too_much() -> None:
    rows = pa.RecordBatch.from_pydict({"x": [0] * MIB})
    with pytest.raises(ClientError, match=r"aligned \[2\] offset 77: it would unpack to"):
        by_the_client(frame.encode_frame(rows, "zstd"), rows.schema, MIB, MIB)


@READERS
@pytest.mark.parametrize("compression", ["none", "zstd", "lz4"])
def test_a_frame_of_just_the_bound_is_read(read: Reader, compression: frame.Compression) -> None:
    rows = pa.RecordBatch.from_pydict({"x": list(range(MIB // 8))})
    value = frame.encode_frame(rows, compression)
    assert read(value, rows.schema, rows.num_rows, MIB).equals(rows)
    if compression != "none":
        with pytest.raises(
            REFUSED, match=r"would unpack to 1,048,576 bytes or more, and 1,048,575 are taken"
        ):
            read(value, rows.schema, rows.num_rows, MIB - 1)


@READERS
def test_dictionaries_count(read: Reader) -> None:
    words = pa.array(["x" * MIB]).dictionary_encode()
    rows = pa.RecordBatch.from_arrays([words], ["x"])
    with pytest.raises(REFUSED, match="would unpack to"):
        read(frame.encode_frame(rows, "zstd"), rows.schema, 1, 100_000)


@READERS
def test_rows_without_bytes_are_refused_however_many_the_header_says(read: Reader) -> None:
    rows = pa.RecordBatch.from_pydict({"x": [1], "nothing": pa.nulls(1)})
    value = frame.encode_frame(rows)
    begin = value.index(struct.pack("<q", 1), 200)  # the count of rows, before those of each column
    places = [at for at in range(begin, len(value) - 8) if value[at : at + 8] == struct.pack("<q", 1)]
    many = bytearray(value)
    for at in places[:-1]:
        many[at : at + 8] = struct.pack("<q", 2**60)
    with pytest.raises(REFUSED):
        read(bytes(many), rows.schema, 2**60, ipc.DECODED_SIZE_MAX)


@READERS
def test_a_batch_of_arrow_before_1_0_is_refused(read: Reader) -> None:
    """Its buffers may be compressed without a word of it where newer ones say so."""
    rows = pa.RecordBatch.from_pydict({"x": [1, 2]})
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(metadata_version=pa.ipc.MetadataVersion.V4)
    with pa.ipc.new_stream(sink, rows.schema, options=options) as writer:
        writer.write_batch(rows)
    with pytest.raises(REFUSED, match=r"before 1\.0"):
        read(sink.getvalue().to_pybytes(), rows.schema, 2, ipc.DECODED_SIZE_MAX)


def test_damaged_frames_never_end_the_process_nor_take_more_memory_than_the_bound() -> None:
    """In a process of its own, whose address space is bounded: a crash or too large a claim ends it."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.contract.mutated_frames", "600"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-1_000:] + done.stderr[-3_000:]
    refused, read = map(int, done.stdout.split()[-2:])
    assert refused > 1_000, "most mutations are found out"
    assert read > 100, "and some change only values"
