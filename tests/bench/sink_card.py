"""What a card adds: batches copied while it computes, against the pinned copies that the link can do."""

import statistics
import time
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from gpu_sink.batches.batches import Batches
from gpu_sink.columns.layout import Bytes
from gpu_sink.frames import Frame, Place
from gpu_sink.options import BatchOptions
from gpu_sink.reading.iterable import IterableFrames
from gpu_sink.slots.cuda import CudaCopies

BATCH_ROWS = 131_072  # 8 columns of 8 bytes: 8 MiB a copy
COLUMNS = 8
BATCHES, BATCHES_QUICK = 200, 20
PRODUCT_ROWS = 4_096  # a matrix product that outlasts a copy


def timed_event() -> Any:
    """An event that knows when it was reached, by the card's clock."""
    event: Any = torch.cuda.Event
    return event(enable_timing=True)


class TimedCopies(CudaCopies):
    """The engine of a card, with an event on each side of every copy."""

    def __init__(self, device: str) -> None:
        super().__init__(device)
        self.spans: list[tuple[Any, Any]] = []
        self.wait_s = 0.0

    def copy(self, host: Bytes, target: Any, used: Any) -> Any:
        """Copy, and note when it began and was done by the card's clock."""
        began = timed_event()
        copied = timed_event()
        with torch.cuda.stream(self._stream):
            if used is not None:
                self._stream.wait_event(used)
            began.record(self._stream)
            target.copy_(self._pinned[host.ctypes.data], non_blocking=True)
            copied.record(self._stream)
        self.spans.append((began, copied))
        return copied

    def wait(self, copied: Any) -> None:
        """Wait, and add up for how long."""
        start = time.perf_counter()
        super().wait(copied)
        self.wait_s += time.perf_counter() - start


def measure_card(*, quick: bool) -> dict[str, Any]:
    """Return the copies' share of the pinned ceiling, their overlap with compute, and the rows per second."""
    if not torch.cuda.is_available():
        return {"skipped": "no CUDA device here: copies, overlap and end-to-end rates were not measured"}
    count = BATCHES_QUICK if quick else BATCHES
    engine = TimedCopies("cuda")
    options = BatchOptions(batch_rows=BATCH_ROWS, device="cuda")
    matrix = torch.rand(PRODUCT_ROWS, PRODUCT_ROWS, device="cuda")
    ceiling = pinned_gb_per_s(BATCH_ROWS * COLUMNS * 8)
    computed = []
    start = time.perf_counter()
    for _ in Batches(IterableFrames(frames(count)), options, engine=engine):
        began, done = (timed_event() for _ in range(2))
        began.record()
        torch.mm(matrix, matrix)
        done.record()
        computed.append((began, done))
    torch.cuda.synchronize()
    elapsed_s = time.perf_counter() - start
    copies = [began.elapsed_time(copied) for began, copied in engine.spans]
    rate = BATCH_ROWS * COLUMNS * 8 / statistics.median(copies) / 1e6
    return {
        "device": torch.cuda.get_device_name(),
        "pinned_ceiling_gb_per_s": round(ceiling, 2),
        "copy_gb_per_s": round(rate, 2),
        "share_of_ceiling": round(rate / ceiling, 3),
        "overlapped_share": round(overlap(engine.spans, computed), 3),
        "slot_wait_share": round(engine.wait_s / elapsed_s, 4),
        "rows_per_s": round(count * BATCH_ROWS / elapsed_s),
    }


def frames(count: int) -> list[Frame]:
    """The same frame many times: making it must not be what is measured."""
    values = np.random.default_rng(1).random(BATCH_ROWS)
    fields = [pa.field(f"value_{number}", pa.float64(), nullable=False) for number in range(COLUMNS)]
    rows = pa.RecordBatch.from_arrays([pa.array(values)] * COLUMNS, schema=pa.schema(fields))
    return [Frame(rows, None, Place("bench", 0, offset)) for offset in range(count)]


def pinned_gb_per_s(size: int) -> float:
    """What one copy of this size from pinned memory reaches here and now, the median of many."""
    host, target = (
        torch.zeros(size, dtype=torch.uint8).pin_memory(),
        torch.empty(size, dtype=torch.uint8, device="cuda"),
    )
    taken: list[float] = []
    for _ in range(50):
        began, done = (timed_event() for _ in range(2))
        began.record()
        target.copy_(host, non_blocking=True)
        done.record()
        done.synchronize()
        taken.append(began.elapsed_time(done))
    return size / statistics.median(taken) / 1e6


def overlap(copies: list[tuple[Any, Any]], computed: list[tuple[Any, Any]]) -> float:
    """The share of the copies' time in which the card also computed, by the card's clock."""
    origin = copies[0][0]
    spans = [(origin.elapsed_time(a), origin.elapsed_time(b)) for a, b in computed]
    both, whole = 0.0, 0.0
    for began, copied in copies:
        lower, upper = origin.elapsed_time(began), origin.elapsed_time(copied)
        whole += upper - lower
        both += sum(max(0.0, min(upper, b) - max(lower, a)) for a, b in spans)
    return both / whole
