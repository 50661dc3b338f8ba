"""The laws of copies to a card: the order of calls without one, and the whole with one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpu_sink.batches.batches import Batches
from gpu_sink.columns.layout import Field, SlotLayout
from gpu_sink.errors import DeviceError, HeldWarning, OverwrittenError
from gpu_sink.options import BatchOptions, Windows
from gpu_sink.reading.iterable import IterableFrames
from gpu_sink.segment_writer import write_segments
from gpu_sink.slots.ring import Ring
from gpu_sink.source import AlignedStream
from tests.stage.aligned import equal, trades

torch = pytest.importorskip("torch", reason="PyTorch is not installed (TORCH=0)")

from gpu_sink.slots.cuda import CudaCopies  # noqa: E402  # behind the skip

WITHOUT = not torch.cuda.is_available()
needs_card = pytest.mark.skipif(WITHOUT, reason="no CUDA device")


def keep_busy(products: int) -> None:
    """Put matrix products on the current stream, each of some hundred microseconds."""
    matrix = torch.rand(2_048, 2_048, device="cuda")
    for _ in range(products):
        matrix = torch.mm(matrix, matrix).clamp_(0, 1)


def on_card(seed: int = 1, **options: Any) -> Batches:
    """Batches of the same trades, on the card."""
    return Batches(IterableFrames(trades(seed)), BatchOptions(device="cuda", **options))


@pytest.mark.skipif(not WITHOUT, reason="there is a CUDA device")
def test_a_card_that_is_not_there_is_named() -> None:
    with pytest.raises(DeviceError, match='device="cuda": PyTorch sees no card here; say device="cpu"'):
        next(iter(AlignedStream.from_frames(trades(1)).batches(device="cuda")))


class Calls:
    """PyTorch with a card that is not there: blocks lie in plain memory, streams and events note calls."""

    uint8 = torch.uint8
    float64 = torch.float64

    def __init__(self) -> None:
        self.noted: list[str] = []
        self.cuda = self
        self.current = NotedStream(self, "consumer")
        self.made = 0

    def is_available(self) -> bool:
        return True

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def device(self, *name: Any) -> Any:
        return torch.device(*name)

    def Stream(self, device: Any) -> "NotedStream":  # noqa: N802  # PyTorch's name
        return NotedStream(self, "copies")

    def Event(self) -> "NotedEvent":  # noqa: N802  # PyTorch's name
        self.made += 1
        return NotedEvent(self, self.made)

    def stream(self, stream: "NotedStream") -> "NotedStream":
        return stream

    def current_stream(self, device: Any) -> "NotedStream":
        return self.current

    def zeros(self, size: int, dtype: Any) -> Any:
        return Block(torch.zeros(size, dtype=dtype), self)

    def empty(self, size: int, dtype: Any, device: Any) -> Any:
        return Block(torch.zeros(size, dtype=dtype), self)


class Block:
    """A tensor of bytes that notes what is copied into it."""

    def __init__(self, bytes_: Any, calls: Calls) -> None:
        self._bytes = bytes_
        self._calls = calls

    def pin_memory(self) -> "Block":
        self._calls.noted.append("pin")
        return self

    def record_stream(self, stream: "NotedStream") -> None:
        self._calls.noted.append(f"keep for {stream.name}")

    def numpy(self) -> Any:
        return self._bytes.numpy()

    def copy_(self, other: "Block", *, non_blocking: bool) -> None:
        assert non_blocking
        self._calls.noted.append("copy")
        self._bytes.copy_(other[slice(None)])

    def __getitem__(self, place: slice) -> Any:
        return self._bytes[place]


class NotedStream:
    """A stream by name; entering it makes nothing current but notes it."""

    def __init__(self, calls: Calls, name: str) -> None:
        self.name = name
        self._calls = calls

    def __enter__(self) -> None:
        self._calls.noted.append(f"on {self.name}")

    def __exit__(self, *_: object) -> None:
        self._calls.noted.append("off")

    def wait_stream(self, stream: "NotedStream") -> None:
        self._calls.noted.append(f"{self.name} waits for {stream.name}")

    def wait_event(self, event: "NotedEvent") -> None:
        self._calls.noted.append(f"{self.name} waits for {event.number}")

    def synchronize(self) -> None:
        self._calls.noted.append(f"host waits for {self.name}")


class NotedEvent:
    """An event by number."""

    def __init__(self, calls: Calls, number: int) -> None:
        self.number = number
        self._calls = calls

    def record(self, stream: NotedStream) -> None:
        self._calls.noted.append(f"{stream.name} records {self.number}")

    def synchronize(self) -> None:
        self._calls.noted.append(f"host waits for {self.number}")


def test_a_slots_round_waits_for_the_consumer_before_the_copy_and_for_the_copy_before_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = Calls()
    monkeypatch.setattr("gpu_sink.adapters.import_module", lambda name: calls)
    engine = CudaCopies("cuda")
    ring = Ring(engine, SlotLayout.of([Field("x", np.dtype(np.float64), (2,))], 4), 1)
    for number in range(2):
        slot = ring.acquire(0)
        assert slot is not None
        slot.columns["x"][:] = number
        ring.submit(slot, None)
        taken = ring.take(0)
        assert taken is slot
        assert slot.views["x"].tolist() == [[number, number]] * 4
        ring.release(slot)
    engine.close()
    assert calls.noted == [
        *("pin", "keep for copies", "copies waits for consumer"),
        *("on copies", "copy", "copies records 1", "off", "consumer waits for 1", "consumer records 2"),
        "host waits for 1",
        *("on copies", "copies waits for 2", "copy", "copies records 3", "off"),
        *("consumer waits for 3", "consumer records 4"),
        "host waits for copies",
    ]


@pytest.mark.gpu
@needs_card
@pytest.mark.parametrize(
    "options", [{}, {"shuffle_rows": 64}, {"windows": Windows(steps=4, columns=["price"])}]
)
def test_batches_on_a_card_are_those_on_the_host(options: dict[str, Any]) -> None:
    plain = AlignedStream.from_frames(trades(1)).batches(batch_rows=16, copy=True, **options)
    for ours, theirs in zip(on_card(batch_rows=16, **options), plain, strict=True):
        assert all(column.is_cuda for column in ours.values())
        assert equal({name: column.cpu().numpy() for name, column in ours.items()}, theirs)


@pytest.mark.gpu
@needs_card
@pytest.mark.parametrize("batch_rows", [1_000, 4_096, 16_384])
def test_segments_go_straight_to_a_card_and_say_how(tmp_path: Path, batch_rows: int) -> None:
    pytest.importorskip("kvikio", reason="kvikio is not installed")
    write_segments(AlignedStream.from_frames(trades(1, rows_max=2_000)), tmp_path / "segments")
    stream = AlignedStream.from_folder(tmp_path / "segments")
    on_host = stream.batches(batch_rows=batch_rows, copy=True)
    batches = stream.batches(batch_rows=batch_rows, device="cuda", copy=True)
    for ours, theirs in zip(batches, on_host, strict=True):
        assert equal({name: column.cpu().numpy() for name, column in ours.items()}, theirs)
    assert batches.io_mode in ("gpudirect", "gpudirect in part", "kvikio compat")


@pytest.mark.gpu
@needs_card
def test_host_blocks_are_pinned() -> None:
    engine = CudaCopies("cuda")
    host, target = engine.allocate(1 << 20)
    assert torch.from_numpy(host).is_pinned()
    assert target.is_cuda
    engine.close()


@pytest.mark.gpu
@needs_card
def test_kernels_of_any_length_read_their_own_rows() -> None:
    """The consumer's stream is kept busy for a drawn time before it reads, so that copies run ahead of it."""
    rng = np.random.default_rng(7)
    sums = []
    for batch in on_card(seed=3, batch_rows=8, columns=["event_ns"], prefetch=2):
        keep_busy(int(rng.integers(0, 8)))
        sums.append(batch["event_ns"].sum())
    expected = [
        int(batch["event_ns"].sum())
        for batch in AlignedStream.from_frames(trades(3)).batches(batch_rows=8, columns=["event_ns"])
    ]
    assert [int(one) for one in sums] == expected


@pytest.mark.gpu
@needs_card
def test_a_copy_runs_while_the_consumer_computes() -> None:
    """The copy of one slot is done while a kernel that was launched before it still runs."""
    engine = CudaCopies("cuda")
    ring = Ring(engine, SlotLayout.of([Field("x", np.dtype(np.float32))], 1 << 20), 2)
    done = torch.cuda.Event()
    keep_busy(2_000)
    done.record()
    slot = ring.acquire(0)
    assert slot is not None
    ring.submit(slot, None)
    engine.wait(slot.copied)
    assert not done.query()
    engine.close()


@pytest.mark.gpu
@needs_card
def test_a_kept_copy_outlives_its_slot() -> None:
    kept = list(on_card(seed=2, batch_rows=16, copy=True, columns=["event_ns"]))
    numbers = [n for batch in kept for n in batch["event_ns"].tolist()]
    assert numbers == list(range(len(numbers)))


@pytest.mark.gpu
@needs_card
def test_a_batch_on_a_card_is_reported_when_it_is_kept_and_when_it_is_read_too_late() -> None:
    going = iter(on_card(batch_rows=16, prefetch=0, debug=True))
    first = next(going)
    kept = first["event_ns"]
    next(going)
    with pytest.raises(OverwrittenError, match="batch 0"):
        first["event_ns"]
    with pytest.warns(HeldWarning, match="columns of batch 0"):
        next(going)
    assert kept.is_cuda
