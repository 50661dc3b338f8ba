"""How far record times run back in a copy is measured by partition, over what was committed only."""

from pathlib import Path

import pytest

from app.repartition import copy as copying
from app.repartition.copy import Copy
from app.repartition.disorder import Disorder, cautions, disorder_line
from tests.stage.copies import SOURCE, TARGET, Log, Row, bus_of
from topics.memory.bus import CommitFault
from topics.partitioner import partition_of
from topics.registry.folder import FileRegistry

PLACES = {partition_of(key, 3): key for key in (b"A", b"B", b"C", b"D", b"E", b"F")}
HERE, THERE = PLACES[0], PLACES[1]
LOGS: list[Log] = [
    [Row(HERE, 10), Row(THERE, 10), Row(HERE, 3), Row(HERE, 4), Row(THERE, 8)],
    [Row(None, -1)],
]


def test_each_partition_runs_back_by_its_own(tmp_path: Path) -> None:
    registry = FileRegistry(tmp_path)
    copy = Copy(bus_of(LOGS, registry, 3), registry, SOURCE, TARGET, 3)
    disorder = copy.run().disorder
    copy.close()
    assert disorder.worst(8) == [(0, 7), (1, 2)]
    assert disorder.worst(1) == [(0, 7)]


def test_what_was_not_committed_and_is_copied_again_is_no_disorder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "STEP_MESSAGES_MAX", 2)
    registry = FileRegistry(tmp_path)
    bus = bus_of([[Row(HERE, time_ms) for time_ms in range(6)]], registry, 3)
    bus.fail_commits([CommitFault.REFUSED, CommitFault.LOST])
    copy = Copy(bus, registry, SOURCE, TARGET, 3)
    assert copy.run().messages == 6
    copy.close()
    assert copy.report.disorder.worst(8) == []


def test_the_line_says_what_grace_must_cover() -> None:
    line = disorder_line(Disorder({}, {0: 7, 2: 1_200}))
    assert line.startswith(
        "Record times run back in what was copied by up to 1,200 ms in partition 2, 7 ms in"
    )
    assert line.endswith("grace_ns must cover that and 1 ms more.")
    assert "do not run back" in disorder_line(Disorder())


def test_the_line_shows_the_worst_of_many_partitions() -> None:
    line = disorder_line(Disorder({}, {number: 100 - number for number in range(20)}))
    assert "93 ms in partition 7, no more in others" in line
    assert "partition 8" not in line


def test_blocks_and_known_times_are_cautioned_against() -> None:
    assert cautions("quote", clock="event", blocks=False) == []
    (block,) = cautions("quote", clock="event", blocks=True)
    assert "grace_ns must also cover the time that one spans" in block
    (known,) = cautions("quote", clock="known", blocks=False)
    assert "how unevenly known times trail event times" in known
