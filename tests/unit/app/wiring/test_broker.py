"""Which log a run gets, on a machine whose PATH the test decides."""

from pathlib import Path

import pytest

from app.errors import UsageError
from app.wiring.broker import choose_bus


@pytest.fixture
def without_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("without_java")
def test_without_java_the_embedded_bus_is_used_and_said_in_one_line() -> None:
    said: list[str] = []
    assert choose_bus(None, None, said.append).name == "embedded"
    assert said == ["no broker here (java and mvn not on PATH): using the embedded bus"]


@pytest.mark.usefixtures("without_java")
def test_kafka_asked_for_without_java_is_refused_with_both_ways_out() -> None:
    with pytest.raises(UsageError, match=r"java and mvn not on PATH.*BOOTSTRAP=host:port.*BUS=embedded"):
        choose_bus("kafka", None, pytest.fail)


def test_the_embedded_bus_is_had_for_the_asking_and_says_nothing() -> None:
    assert choose_bus("embedded", None, pytest.fail).name == "embedded"
