import pytest

from app.errors import RunError
from app.progress_metadata import from_position, to_position
from operators.operator import InputProgress
from schemas.clocks import BEGINNING_NS
from topics.bus import Position


@pytest.mark.parametrize(
    "progress",
    [
        InputProgress(needed_offset=0, next_offset=0, watermark_ns=BEGINNING_NS),
        InputProgress(needed_offset=7, next_offset=2**62, watermark_ns=2**62, final=True, idle=True),
    ],
)
def test_progress_comes_back_as_it_was_committed(progress: InputProgress) -> None:
    position = to_position(progress, -(2**62))
    assert position.offset == progress.needed_offset
    assert len(position.metadata) < 4_096
    assert from_position(position, "t[0]") == (progress, -(2**62))


@pytest.mark.parametrize(
    "metadata",
    [
        "",
        "null",
        "[]",
        "17",
        "written by another program",
        '{"v": 2, "frontier_ns": 1}',
        '{"frontier_ns": 1}',
        '{"v": 1, "frontier_ns": 1, "next_offset": 3, "watermark_ns": 4, "colour": "red"}',
    ],
)
def test_foreign_metadata_is_refused_in_one_line_that_says_where_and_what_to_do(metadata: str) -> None:
    with pytest.raises(RunError) as refused:
        from_position(Position(5, metadata), "tidemark.trade[3]")
    told = str(refused.value)
    assert told.startswith("tidemark.trade[3]: the committed offset 5 was not written by this program")
    assert "choose another pipeline.prefix or delete the group" in told
    assert "\n" not in told
