"""The example learns, survives a crash as if there had been none, and serves what it learned."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpu_sink.contract import SEALED
from gpu_sink.errors import DeviceError
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


def test_serving_says_so_when_no_row_came(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "--folder", str(folder), "--checkpoint", str(tmp_path / "model.pt")]
    assert main([*command, "--batches", "50"]) == 0
    serve(AlignedStream.from_frames([], partitions=[0]), tmp_path / "model.pt")
    assert capsys.readouterr().out.endswith(
        "0 rows answered: none came behind those that the group has answered before\n"
    )


def test_a_checkpoint_that_is_not_there_is_missed_before_the_broker(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--bootstrap", "127.0.0.1:9", "--checkpoint", str(tmp_path / "model.pt")])
    assert "model.pt: train writes it" in capsys.readouterr().err


def test_what_is_trained_already_is_not_passed_over_in_silence(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = tmp_path / "not" / "made" / "model.pt"
    command = ["train", "--folder", str(folder), "--checkpoint", str(checkpoint)]
    assert main(command) == 0
    before = weights(checkpoint)
    capsys.readouterr()
    assert main(command) == 0
    assert capsys.readouterr().out == (
        f"0 batches: {checkpoint} has trained every row of {folder}; another --checkpoint begins anew\n"
    )
    assert weights(checkpoint) == before


def test_a_file_that_is_no_checkpoint_is_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"text.pt": "cannot be read as a checkpoint", "other.pt": "is no checkpoint of this example"}
    (tmp_path / "text.pt").write_text("a note")
    torch.save({"weights": 1}, tmp_path / "other.pt")
    for name, message in files.items():
        with pytest.raises(SystemExit):
            main(["train", "--folder", str(folder), "--checkpoint", str(tmp_path / name)])
        said = capsys.readouterr().err
        assert f"{name} {message}" in said
        assert "weights_only" not in said  # what PyTorch advises would run any code of the file


OWN = ["--symbol", "venue,sym", "--price", "px", "--bid", "q_bid", "--ask", "q_ask"]


def own(rows: pa.RecordBatch) -> pa.RecordBatch:
    """The same rows under names of somebody's own, on two venues."""
    names = {"symbol": "sym", "price": "px", "quote_bid_price": "q_bid", "quote_ask_price": "q_ask"}
    venues = pa.array(["X" if row % 3 else "Y" for row in range(rows.num_rows)])
    return rows.rename_columns([names[name] for name in rows.schema.names]).append_column("venue", venues)


def test_it_works_on_columns_of_other_names_and_serves_what_it_was_trained_on(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_batches([own(day(2_000))]), tmp_path / "part-0.parquet")
    command = ["train", "--folder", str(tmp_path), "--checkpoint", str(tmp_path / "model.pt")]
    assert main([*command, *OWN]) == 0
    served = [Frame(own(frame.rows), frame.headers, frame.place) for frame in live(2)]
    assert len(serve(AlignedStream.from_frames(served), tmp_path / "model.pt", idle_ms=1_000)) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--price", "px"], r"no column px; there are symbol, .* which with --symbol, --price, --bid and"),
        (["--symbol", "symbol,price"], "windows are made by price, which is not a text column"),
        (["--device", "tpu"], "device is 'tpu'"),
    ],
)
def test_what_the_example_cannot_do_is_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    command = ["train", "--folder", str(folder), "--checkpoint", str(tmp_path / "model.pt")]
    with pytest.raises(SystemExit) as exited:
        main([*command, *arguments])
    assert exited.value.code == 2
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_a_card_that_is_not_there_is_one_line_in_training_and_serving(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = tmp_path / "model.pt"
    with pytest.raises(SystemExit):
        main(["train", "--folder", str(folder), "--checkpoint", str(checkpoint), "--device", "cuda"])
    message = 'device="cuda": PyTorch sees no card here; say device="cpu"'
    assert message in capsys.readouterr().err
    train(AlignedStream.from_folder(str(folder)), checkpoint, batches_max=None)
    with pytest.raises(DeviceError, match=re.escape(message)):
        serve(AlignedStream.from_frames(live(1)), checkpoint, device="cuda", idle_ms=1_000)


def test_ctrl_c_ends_serving_with_its_figures_and_training_with_a_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> Iterator[Frame]:
        yield from live(10)
        raise KeyboardInterrupt

    command = ["train", "--folder", str(folder), "--checkpoint", str(tmp_path / "model.pt")]
    assert main([*command, "--batches", "50"]) == 0
    latencies_ms = serve(AlignedStream.from_frames(interrupted(), partitions=[0]), tmp_path / "model.pt")
    assert len(latencies_ms) == 2
    assert "2,048 rows answered; seal to prediction: median" in capsys.readouterr().out

    def stop(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gpu_sink.example.train", stop)
    assert main(command) == 130
    assert "stopped; the same command goes on from" in capsys.readouterr().err
