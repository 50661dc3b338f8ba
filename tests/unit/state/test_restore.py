"""The laws of taking local state up again."""

from pathlib import Path

import pytest

from state.errors import StateLockedError
from state.restore import Fit, judge, restore
from tests.stage.task_state import IDENTITY, opened, write_rounds


def at(trade: int, quote: int) -> dict[str, int]:
    """Next offsets of the two inputs."""
    return {"trade": trade, "quote": quote}


def test_equal_offsets_fit() -> None:
    assert judge(at(3, 7), at(3, 7)) is Fit.SAME


def test_state_may_be_behind_in_any_input() -> None:
    assert judge(at(3, 7), at(3, 8)) is Fit.BEHIND
    assert judge(at(0, 0), at(3, 8)) is Fit.BEHIND


def test_one_input_ahead_outweighs_another_behind() -> None:
    assert judge(at(4, 0), at(3, 9)) is Fit.AHEAD


def test_state_of_a_task_that_never_committed_is_ahead() -> None:
    assert judge(at(0, 0), {}) is Fit.AHEAD


def test_state_of_other_inputs_is_foreign() -> None:
    assert judge(at(3, 7), {"trade": 3}) is Fit.FOREIGN
    assert judge(at(3, 7), {"trade": 3, "quote": 7, "bar": 0}) is Fit.FOREIGN


@pytest.mark.parametrize("committed", [2, 5])
def test_state_at_or_behind_the_commit_is_used(tmp_path: Path, committed: int) -> None:
    written = write_rounds(tmp_path, rounds=2, entries_each=5)
    restored = restore(tmp_path, IDENTITY, at(committed, committed))
    assert restored.checkpoint is not None
    assert restored.checkpoint.next_offsets == at(2, 2)
    assert dict(restored.entries) == dict(restored.store.entries()) == written
    restored.store.close()


def test_state_ahead_of_the_commit_is_wiped(tmp_path: Path) -> None:
    write_rounds(tmp_path, rounds=2, entries_each=5)
    restored = restore(tmp_path, IDENTITY, at(2, 1))
    assert restored.checkpoint is None
    assert list(restored.entries) == list(restored.store.entries()) == []
    assert "quote 2, trade 2" in restored.reason
    assert "quote 1, trade 2" in restored.reason
    restored.store.close()


def test_wiped_state_stays_wiped(tmp_path: Path) -> None:
    write_rounds(tmp_path, rounds=2)
    restore(tmp_path, IDENTITY, at(1, 1)).store.close()
    with opened(tmp_path) as store:
        assert store.checkpoint is None


def test_state_of_another_run_is_wiped_and_the_new_run_goes_on(tmp_path: Path) -> None:
    write_rounds(tmp_path, rounds=2)
    restored = restore(tmp_path, "another run", at(2, 2))
    assert restored.checkpoint is None
    assert IDENTITY in restored.reason
    restored.store.close()
    with opened(tmp_path, "another run") as store:
        assert store.checkpoint is None


def test_no_state_is_said_to_be_none(tmp_path: Path) -> None:
    restored = restore(tmp_path / "new", IDENTITY, at(2, 2))
    assert restored.checkpoint is None
    assert restored.reason == f"no state at {tmp_path / 'new'}: built from the log"
    restored.store.close()


def test_state_that_is_open_elsewhere_is_never_wiped(tmp_path: Path) -> None:
    written = write_rounds(tmp_path, rounds=2, entries_each=5)
    with opened(tmp_path) as store:
        with pytest.raises(StateLockedError):
            restore(tmp_path, "another run", {})
        assert dict(store.entries()) == written
