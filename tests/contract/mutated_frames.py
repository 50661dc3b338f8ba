"""`python -m tests.contract.mutated_frames COUNT [SEED]` reads damaged frames by each reader, within a bound.

Prints how many were refused and how many read.  Anything but a FrameError ends it, and so does memory beyond
the bound: the address space is limited, and so is what Arrow's pool may have held at its peak.
"""

import random
import resource
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args

import pyarrow as pa

from gpu_sink import frames as client
from gpu_sink.contract import FrameError
from schemas import frame
from tests.stage.aligned import message_of

BOUND: Final = 1 << 20
SLACK: Final = 1 << 20  # bytes that a frame itself, its copy and small allocations take
ADDRESS_SPACE: Final = 1 << 30  # beyond what the process has at its beginning
NUMBERS: Final = (
    0,
    1,
    2,
    7,
    8,
    255,
    2**15,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**40,
    2**62,
    2**63 - 1,
    -1,
    -2,
    -(2**63),
)
CLAIMS: Final = (2**22, 2**29, 2**62)  # bytes, rows or places that no part of a frame here has
PLACE: Final = client.Place("aligned", 0, 0)


def valid_frames() -> list[pa.RecordBatch]:
    """Rows of every shape that columns of frames have."""
    words = ["a", None, "long enough to be no view of a few bytes", ""] * 8
    plain = {"n": list(range(32)), "x": [0.5, None] * 16, "word": words, "flag": [True, None] * 16}
    nested = {
        "list": [[1, 2], None, [], [3]] * 8,
        "deep": [[[{"x": [word]}]] for word in words],
        "map": pa.array([[("k", 1)], []] * 16, pa.map_(pa.string(), pa.int32())),
        "fixed": pa.array([[1, 2]] * 32, pa.list_(pa.int8(), 2)),
    }
    coded = {"word": pa.array(words).dictionary_encode(), "view": pa.array(words, pa.string_view())}
    runs = {"run": pa.RunEndEncodedArray.from_arrays([10, 32], ["a", "b"]), "nothing": pa.nulls(32)}
    return [pa.RecordBatch.from_pydict(columns) for columns in (plain, nested, coded, {**plain, **runs})]


def mutated(value: bytes, draw: random.Random) -> bytes:
    """The value with one to three places damaged: a byte, a number, a cut, a stretch twice."""
    damaged = bytearray(value)
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(damaged))
        kind = draw.randrange(6)
        if kind == 0:
            damaged[at] = draw.randrange(256)
        elif kind == 1:
            damaged[at] ^= 1 << draw.randrange(8)
        elif kind in (2, 3):
            at -= at % 8
            damaged[at : at + 8] = struct.pack("<q", draw.choice(NUMBERS))
        elif kind == 4:
            at -= at % 4
            damaged[at : at + 4] = struct.pack("<i", draw.choice(NUMBERS[:9]) & 0x7FFFFFFF)
        else:
            end = min(len(damaged), at + draw.randrange(1, 200))
            damaged[at:at] = damaged[at:end]
    return bytes(damaged)


def cases(count: int, seed: int) -> Iterator[tuple[pa.RecordBatch, bytes, bytes]]:
    """Rows, their frame, and that one damaged: each word by each claim, and then `count` times by chance."""
    draw = random.Random(seed)
    valid = [
        (rows, frame.encode_frame(rows, how))
        for rows in valid_frames()
        for how in get_args(frame.Compression)
    ]
    for rows, value in valid:
        for at in range(0, len(value) - 8, 8):
            for claim in CLAIMS:
                yield rows, value, value[:at] + struct.pack("<q", claim) + value[at + 8 :]
    for _ in range(count):
        rows, value = draw.choice(valid)
        yield rows, value, mutated(value, draw)


def main(count: int, seed: int) -> None:
    """Read the cases, and print how many were refused and read."""
    next(cases(1, seed))
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ADDRESS_SPACE, used + ADDRESS_SPACE))
    before = pa.default_memory_pool().max_memory()
    refused = read = 0
    for rows, value, damaged in cases(count, seed):
        _, headers = message_of(rows)
        later = client.FrameDecoder(decoded_size_max=BOUND)
        for _ in range(2):  # its schema is learned, and then how its batches are laid out
            later.decode(value, headers, PLACE)
        for decode in (
            lambda one: frame.decode_frame(one, BOUND),
            lambda one, told=headers: client.decode_frame(one, told, PLACE, decoded_size_max=BOUND),
            lambda one, told=headers, by=later: by.decode(one, told, PLACE),
        ):
            try:
                decode(damaged)
            except (FrameError, frame.FrameError):
                refused += 1
            else:
                read += 1
    peak = pa.default_memory_pool().max_memory()
    assert peak <= max(before, BOUND) + SLACK, f"{peak:,} bytes were held"
    sys.stdout.write(f"{refused} {read}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
