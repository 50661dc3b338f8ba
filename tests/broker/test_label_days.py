"""A real day of labels on a real Kafka, its worker killed three times and without its disk."""

from pathlib import Path

import pytest

from tests.stage.graph_days import DAYS, WAYS, Days, require_equal
from tests.stage.label_days import LABELS
from topics.kafka.bus import KafkaBus

pytestmark = [
    pytest.mark.broker,
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.data,
    pytest.mark.takes_s(120),
]


def test_a_day_on_kafka_has_the_labels_of_one_straight_from_its_files(
    kafka_bootstrap: str, tmp_path: Path
) -> None:
    days = Days(DAYS["lean"]._replace(nodes=LABELS), tmp_path)
    direct = next(way for way in WAYS if way.bus == "direct" and way.partitions == 3)
    lost = next(way for way in WAYS if (way.bus, way.partitions, way.deaths) == ("kafka", 3, "lost"))
    given = [days.go(direct), days.go(lost, KafkaBus(kafka_bootstrap))]
    require_equal(given)
    assert all(given[0].counts.values()), given[0].counts
