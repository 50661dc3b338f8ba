"""A progress record too far ahead raises no bound of the copy, and the copy says where it lies."""

from pathlib import Path

import pytest

from app.repartition.copy import Copy, CopyReport
from schemas.clocks import NS_PER_MS
from tests.stage.copies import SOURCE, TARGET, Log, Mark, Row, bus_of, target_logs
from topics.registry.folder import FileRegistry

LOGS: list[Log] = [
    [Row(b"A", 1), Mark(9_000), Mark(3), Row(b"A", 4), Mark(9_000, final=True)],
    [Mark(5), Mark(7)],
]


def copy_of_it(folder: Path, latest_ns: int | None) -> tuple[CopyReport, list[int]]:
    """What was copied to one partition, and the bounds there (ms), in their order."""
    registry = FileRegistry(folder)
    bus = bus_of(LOGS, registry, 1)
    copy = Copy(bus, registry, SOURCE, TARGET, 1, latest_ns=latest_ns)
    report = copy.run()
    copy.close()
    (log,) = target_logs(bus, 1)
    return report, [message.timestamp_ms for message in log if not message.headers]


@pytest.mark.parametrize(
    ("latest_ns", "ahead", "bounds"),
    [(None, 0, [7]), (9_000 * NS_PER_MS, 0, [7]), (9_000 * NS_PER_MS - 1, 2, [3]), (7, 5, [])],
)
def test_a_bound_beyond_the_latest_one_is_left_out(
    tmp_path: Path, latest_ns: int | None, ahead: int, bounds: list[int]
) -> None:
    report, copied = copy_of_it(tmp_path, latest_ns)
    assert (report.ahead, report.progress, report.messages) == (ahead, 5, 2)
    assert copied == bounds


def test_the_first_one_is_named_with_its_offset(tmp_path: Path) -> None:
    assert copy_of_it(tmp_path, 8_000 * NS_PER_MS)[0].first_ahead == "source[0] offset 1"
    assert copy_of_it(tmp_path, None)[0].first_ahead == ""
