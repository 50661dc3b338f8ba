"""The command says what a copy cannot mend, and ends in one line where it could not copy everything."""

from collections.abc import Callable
from pathlib import Path

import pytest
import tomli_w

from app.commands import repartition
from app.errors import RunError
from schemas.clocks import NS_PER_S
from tests.stage.copies import SOURCE, TARGET, Log, Mark, Row, bus_of
from topics.memory.bus import MemoryBus
from topics.registry.folder import FileRegistry

LOGS: list[Log] = [[Row(b"A", 9), Row(b"A", 2)], [Mark(2**42)]]  # the mark is in the year 2109
Run = Callable[..., MemoryBus]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command on the embedded bus, with these settings of the pipeline."""
    registry = FileRegistry(tmp_path / "schemas")
    registry.register(f"{SOURCE}-value-block", '{"type": "array", "items": "long"}')
    bus = bus_of(LOGS, registry, 1)
    monkeypatch.setattr(repartition, "open_bus", lambda _: bus)

    def run(**pipeline: object) -> MemoryBus:
        config = tmp_path / "tidemark.toml"
        settings = {"bus": {"schema_registry": str(registry.folder)}, "pipeline": pipeline}
        config.write_text(tomli_w.dumps(settings))
        repartition.topics_repartition(SOURCE, TARGET, 1, config, None)
        return bus

    return run


def test_what_the_order_of_a_copy_hides_is_printed(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run(clock="known")
    out, err = capsys.readouterr()
    assert "2 messages copied from source (2 partitions) to target (1)" in out
    assert "Record times run back in what was copied by up to 7 ms in partition 0" in out
    assert "progress records" not in out
    assert "source has a schema of blocks of rows" in err
    assert 'pipeline.clock is "known"' in err


def test_the_limit_of_the_pipeline_holds_for_progress_records(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run(max_ahead_ns=60 * NS_PER_S)
    out, err = capsys.readouterr()
    assert "1 progress records say more than pipeline.max_ahead_ns beyond this machine's clock" in out
    assert "the first at source[1] offset 0" in out
    assert "known" not in err


def test_a_copy_that_an_open_transaction_cut_ends_in_one_line(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    bus = run()
    theirs = bus.producer(transactional_id="theirs")
    theirs.begin()
    theirs.produce(SOURCE, partition=1, key=b"B", value=b"held", timestamp_ms=3)
    with pytest.raises(
        RunError, match=r"source\[1\] has an open transaction at offset 1, .* same command again"
    ):
        run()
    assert "0 messages copied" in capsys.readouterr().out
    theirs.commit()
    run()
    assert "1 messages copied" in capsys.readouterr().out
