"""What a run says of the broker that it leaves behind."""

from pathlib import Path

import pytest

from app.wiring import broker


@pytest.mark.parametrize("makefile", [True, False])
def test_the_command_that_ends_the_broker_can_be_typed_where_it_was_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, makefile: bool
) -> None:
    monkeypatch.setattr(broker, "ROOT", tmp_path)
    monkeypatch.setattr(broker, "_ask_script", {"address": "127.0.0.1:1", "status": "Kafka, pid 7"}.get)
    if makefile:
        (tmp_path / "Makefile").touch()
    ends = "make kafka-stop" if makefile else f"{broker.SCRIPT[-1]} stop"
    assert (
        broker.left_running("kafka 127.0.0.1:1")
        == f"Kafka, pid 7: it stays for the next run; `{ends}` ends it"
    )
