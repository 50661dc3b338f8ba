"""Compiles or loads every kernel of the streaming join alone, so that no row has to wait for it."""

import numpy as np
import pyarrow as pa

from operators.hashing.parity import Parity, sealed_hasher, sealed_hashes
from operators.inputs.max_ahead_kernel import rolling_bounds
from operators.inputs.progress import InputProgress, TaskProgress
from operators.inputs.resuming import ResumePlan
from operators.join.settings import AsofSettings
from operators.rows.bytes_kernel import move_down
from operators.streaming import StreamingAsof
from schemas.clocks import BEGINNING_NS
from schemas.stream import Stream

_SCHEMA = pa.schema([("event_ns", pa.int64()), ("symbol", pa.string())])


def warm() -> None:
    """Run small joins through every kernel: rows in and out of order, matched, restored, read again."""
    left = Stream(name="left", schema=_SCHEMA)
    rights = (Stream(name="right", schema=pa.schema([*_SCHEMA, ("note", pa.string())])),)
    _run(AsofSettings(left=left, rights=rights, carry="column"))
    _run(AsofSettings(left=left, rights=rights, direction="forward", tolerance_ns=1))
    _run(AsofSettings(left=left, rights=rights, direction="nearest", tolerance_ns=1))


def _run(settings: AsofSettings) -> None:
    # A key's bytes are read in words: where they are fewer than two, numba sees another kind of array.
    for key in ("a", "longer than a word"):
        rows = pa.record_batch(
            [pa.array([3, 2, 1]), pa.array([key] * 3), pa.array(["x", "y", "z"])],
            schema=settings.rights[0].schema,
        )
        join = StreamingAsof(settings)
        inputs = dict.fromkeys(join.streams, InputProgress(0, 3, BEGINNING_NS))
        committed = TaskProgress(frontier_ns=2, inputs=inputs)
        join.operator.resume(ResumePlan(committed, dict.fromkeys(join.streams, 0)))
        join.push("right", rows)
        join.push("left", rows.select(["event_ns", "symbol"]))
        restored = StreamingAsof(settings)
        restored.restore(join.snapshot().puts)
        if join.operator.keeps is not None:
            join.operator.keeps.kept()
        sealed = join.finish()
        assert sealed is not None
        sealed_hasher(sealed.schema).of(sealed)
    numbers = [pa.array([1, None]).cast(kind) for kind in (pa.int64(), pa.int32(), pa.float64(), pa.bool_())]
    Parity().roll(sealed_hashes(sealed))
    values = [*numbers, pa.array([["x"], None])]
    Parity().roll(sealed_hashes(pa.record_batch(values, names=["l", "i", "d", "b", "list"])))
    rolling_bounds(np.zeros(1, np.int64), 0, 0, np.zeros(1, np.int64))
    for width in ("i4", "i8", "u1", "u2", "u4", "u8"):  # of control columns and of payload
        move_down(np.zeros(1, width), np.zeros(1, np.int64))


if __name__ == "__main__":
    warm()
