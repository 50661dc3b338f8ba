"""The laws of comparing a topic with files."""

import pytest

from gpu_sink.__main__ import compare, main
from gpu_sink.frames import Frame, Place
from gpu_sink.source import AlignedStream
from tests.stage.aligned import rows_of, trades


def stream(*frames: list[int]) -> AlignedStream:
    """Numbered rows in one partition."""
    made = [Frame(rows_of(numbers), None, Place("aligned", 0, n)) for n, numbers in enumerate(frames)]
    return AlignedStream.from_frames(made, partitions=[0])


def test_equal_rows_are_equal_however_they_are_cut() -> None:
    assert compare(stream([1, 2, 3], [4]), stream([1], [2, 3, 4])) == (4, None)
    assert compare(AlignedStream.from_frames(trades(1)), AlignedStream.from_frames(trades(1)))[1] is None
    assert compare(stream(), stream()) == (0, None)


def test_a_difference_is_found_and_named() -> None:
    assert compare(stream([1, 2]), stream([1, 3])) == (0, "after 0 equal rows column event_ns differs")
    assert compare(stream([1, 2]), stream([1])) == (
        0,
        "after 0 equal rows there are 2 more rows and 1 more rows",
    )
    assert compare(stream(), stream([1]))[1] is not None


def test_what_cannot_be_read_is_said_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--topic", "aligned"])
    assert "--bootstrap" in capsys.readouterr().err
