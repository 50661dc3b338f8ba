"""The example learns, survives a crash as if there had been none, and serves what it learned."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpu_sink.contract import SEALED
from gpu_sink.frames import Frame, Place, decode_frame
from gpu_sink.segment_writer import write_segments
from gpu_sink.source import AlignedStream
from tests.stage.aligned import message_of

torch = pytest.importorskip("torch", reason="PyTorch is not installed (TORCH=0)")

from gpu_sink.example import main, serve, train  # noqa: E402  # behind the skip

ROWS = 20_000


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """So small a model is slower with more, most of all beside other work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def day(rows: int) -> pa.RecordBatch:
    """Trades of which each symbol's are struck on the same side of the quote for long."""
    rng = np.random.default_rng(1)
    symbol = rng.integers(0, 4, rows)
    middle = 100 + rng.normal(0, 0.01, rows).cumsum()
    side = np.sign(np.sin(np.arange(rows) / 1_000) + symbol / 10)
    columns = {
        "symbol": pa.array(np.array(["A", "B", "C", "D"])[symbol]),
        "price": pa.array(middle * (1 + side * 5e-4)),
        "quote_bid_price": pa.array(middle * (1 - 5e-4), mask=rng.random(rows) < 0.01),
        "quote_ask_price": pa.array(middle * (1 + 5e-4)),
    }
    return pa.RecordBatch.from_pydict(columns)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An aligned day of Parquet."""
    (tmp_path / "aligned").mkdir()
    pq.write_table(pa.Table.from_batches([day(ROWS)]), tmp_path / "aligned" / "part-0.parquet")
    return tmp_path / "aligned"


def live(frames: int) -> list[Frame]:
    """Frames that are sealed as they are made."""
    made = []
    for offset in range(frames):
        value, headers = message_of(day(300))
        told = [*headers, (SEALED, str(time.time_ns()).encode())]
        made.append(decode_frame(value, told, Place("aligned", 0, offset)))
    return made


def weights(checkpoint: Path) -> bytes:
    """All parameters of a trained model."""
    model = torch.load(checkpoint, weights_only=True)["model"]
    return b"".join(tensor.numpy().tobytes() for tensor in model.values())


def test_the_model_learns_and_a_crash_changes_nothing_of_what_it_learned(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpu_sink.example.CHECKPOINT_BATCHES", 7)
    whole, crashed = tmp_path / "whole.pt", tmp_path / "crashed.pt"
    stream = AlignedStream.from_folder(folder)
    errors = train(stream, whole)
    assert len(errors) == -(-ROWS // 256)
    assert np.mean(errors[-20:]) < np.mean(errors[:20]) / 2
    for batches_max in (12, 40, None):  # killed twice, each time some batches behind a checkpoint
        train(AlignedStream.from_folder(folder), crashed, batches_max=batches_max)
    assert weights(crashed) == weights(whole)


def test_a_day_as_segments_trains_the_same_model(folder: Path, tmp_path: Path) -> None:
    parquet, segments = AlignedStream.from_folder(folder), tmp_path / "segments"
    write_segments(parquet, segments)
    ours = train(AlignedStream.from_folder(segments), tmp_path / "segments.pt", batches_max=20)
    assert ours == train(parquet, tmp_path / "parquet.pt", batches_max=20)


def test_live_frames_are_answered_and_the_latency_from_seal_is_told(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = tmp_path / "model.pt"
    arguments = ["train", "--folder", str(folder), "--checkpoint", str(checkpoint), "--batches", "50"]
    assert main(arguments) == 0
    latencies_ms = serve(AlignedStream.from_frames(live(10)), checkpoint)
    assert len(latencies_ms) == 3
    assert all(0 < latency_ms < 60_000 for latency_ms in latencies_ms)
    said = capsys.readouterr().out
    assert "3,000 rows answered; seal to prediction: median" in said
