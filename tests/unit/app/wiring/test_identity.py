"""Local state is wiped when a task would read other rows, and only then."""

from pathlib import Path
from typing import Any

from tests.stage.market import Market
from topics.bus import LogId


def _identity(folder: Path, **rules: Any) -> str:
    pipeline = Market(folder, streams={"quote": {"rules": rules}}).pipeline
    return pipeline.identity(0, {topic: LogId("cluster", topic) for topic in pipeline.input_topics})


def test_what_becomes_of_a_row_that_breaks_a_rule_does_not_wipe_local_state(tmp_path: Path) -> None:
    dead = _identity(tmp_path, positive={"columns": ["bid"], "policy": "dead"})
    assert _identity(tmp_path, positive={"columns": ["bid"], "policy": "drop"}) == dead
    assert _identity(tmp_path, positive={"columns": ["bid"]}, null_key="fail") == dead


def test_another_column_under_a_rule_wipes_local_state(tmp_path: Path) -> None:
    one = _identity(tmp_path, positive=["bid"])
    assert _identity(tmp_path, positive=["ask"]) != one
    assert _identity(tmp_path, non_negative=["bid"]) != one
