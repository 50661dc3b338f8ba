"""What fuzzing began with and what it has found keeps its promises; a fault in each target would show."""

import pytest

from app.task.metadata import from_position
from tests.fuzz import targets
from tests.fuzz.__main__ import NAMES
from tests.fuzz.seeds import kept, seeds
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("target", NAMES)
def test_each_input_of_the_corpus_ends_as_promised(target: str) -> None:
    inputs = [*seeds()[target], *kept(target).values()]
    assert len(inputs) >= 5
    for data in inputs:
        TARGETS[target](data)


def test_every_target_can_be_named() -> None:
    assert tuple(TARGETS) == NAMES == tuple(seeds())


def test_a_target_shows_an_error_that_nobody_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise IndexError("list index out of range")

    for target, name in (
        ("frames", "decode_frame"),
        ("metadata", "from_position"),
        ("settings", "load_settings"),
        ("formula", "read_formula"),
    ):
        with monkeypatch.context() as broken_one:
            broken_one.setattr(targets, name, broken)
            with pytest.raises(IndexError):
                TARGETS[target](seeds()[target][0])


def test_what_comes_back_as_another_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    once = iter(range(100))

    def drifting(*arguments: object) -> object:
        read = from_position(*arguments)  # type: ignore[arg-type]
        from dataclasses import replace

        return replace(read, frontier_ns=next(once))

    monkeypatch.setattr(targets, "from_position", drifting)
    with pytest.raises(AssertionError):
        TARGETS["metadata"](seeds()["metadata"][0])
