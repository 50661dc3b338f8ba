"""An id that a registry does not know is asked for once per interval, by the process's clock."""

import pytest

from schemas.clocks import NS_PER_S
from tests.stage.fakes import DictRegistry
from topics.registry import unknown
from topics.registry.unknown import UNKNOWN_NS, UnknownIds
from topics.wire import RegistryUnavailableError, UnknownSchemaError


class Clock:
    """A clock that goes when a test says so."""

    now_ns = 1_000

    def __call__(self) -> int:
        return self.now_ns


def test_an_unknown_id_is_asked_for_once_per_interval() -> None:
    registry, clock = DictRegistry(), Clock()
    remembering = UnknownIds(registry, clock)
    for asked in (1, 2, 3):
        for _ in range(1_000):
            with pytest.raises(UnknownSchemaError, match="no such id"):
                remembering.schema(7)
        assert registry.asked == asked
        clock.now_ns += UNKNOWN_NS


def test_an_id_that_becomes_known_is_found_after_the_interval() -> None:
    registry, clock = DictRegistry(), Clock()
    remembering = UnknownIds(registry, clock)
    with pytest.raises(UnknownSchemaError):
        remembering.schema(1)
    registry.register("any", "{}")
    clock.now_ns += UNKNOWN_NS - 1
    with pytest.raises(UnknownSchemaError):
        remembering.schema(1)
    clock.now_ns += 1
    assert remembering.schema(1) == "{}"


def test_an_id_that_is_registered_here_is_known_at_once() -> None:
    remembering = UnknownIds(DictRegistry(), Clock())
    with pytest.raises(UnknownSchemaError):
        remembering.schema(1)
    assert remembering.schema(remembering.register("any", "{}")) == "{}"
    assert remembering.latest("any") == (1, "{}")
    assert remembering.ids("any") == {1}


def test_a_registry_that_is_away_is_asked_each_time() -> None:
    registry = DictRegistry()
    remembering = UnknownIds(registry, Clock())
    registry.away = True
    with pytest.raises(RegistryUnavailableError):
        remembering.schema(1)
    registry.away = False
    with pytest.raises(UnknownSchemaError):
        remembering.schema(1)


def test_no_more_ids_are_remembered_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unknown, "IDS_MAX", 3)
    registry = DictRegistry()
    remembering = UnknownIds(registry, Clock(), NS_PER_S)
    for schema_id in (1, 2, 3, 4, 4, 3, 2):
        with pytest.raises(UnknownSchemaError):
            remembering.schema(schema_id)
    assert registry.asked == 4
    with pytest.raises(UnknownSchemaError):
        remembering.schema(1)
    assert registry.asked == 5
