"""A real day of labels is the same however it runs; a longer one, on a Kafka, is in `tests.broker`."""

from pathlib import Path

import pytest

from tests.stage.graph_days import DAYS, WAYS, Days, require_equal
from tests.stage.label_days import LABELS

pytestmark = [pytest.mark.slow, pytest.mark.data, pytest.mark.takes_s(60)]

# One run straight from files: its audit judges every label anew, which takes longer than all else.
SHORT = tuple(
    way
    for way in WAYS
    if (way.bus == "embedded" and way.partitions < 8) or (way.bus, way.partitions) == ("direct", 3)
)


def test_a_day_has_the_same_labels_straight_from_files_and_through_workers_that_die(tmp_path: Path) -> None:
    days = Days(DAYS["taq"]._replace(nodes=LABELS), tmp_path)
    given = [days.go(way) for way in SHORT]
    require_equal(given)
    assert all(given[0].counts.values()), given[0].counts
