"""A real day with thirty features on a real Kafka, its workers killed and without their disks."""

from pathlib import Path

import pytest

from tests.stage.graph_days import DAYS, WAYS, Days, require_equal
from topics.kafka.bus import KafkaBus

pytestmark = [pytest.mark.broker, pytest.mark.data, pytest.mark.slow, pytest.mark.takes_s(30)]


def test_a_day_on_kafka_has_the_features_of_one_straight_from_its_files(
    kafka_bootstrap: str, tmp_path: Path
) -> None:
    days = Days(DAYS["taq"], tmp_path)
    direct = next(way for way in WAYS if way.bus == "direct" and way.partitions == 3)
    lost = next(way for way in WAYS if (way.bus, way.partitions, way.deaths) == ("kafka", 3, "lost"))
    require_equal([days.go(direct), days.go(lost, KafkaBus(kafka_bootstrap))])
