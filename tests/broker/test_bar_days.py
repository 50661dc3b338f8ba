"""Real days of every kind of bars on a real Kafka, their workers killed and without their disks."""

from pathlib import Path

import pytest

from tests.stage.bar_days import BARS
from tests.stage.graph_days import DAYS, WAYS, Days, require_equal
from topics.kafka.bus import KafkaBus

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.data, pytest.mark.timeout(1_200)]


@pytest.mark.parametrize(
    "day",
    [
        pytest.param("taq", marks=pytest.mark.takes_s(60)),
        pytest.param("lean", marks=[pytest.mark.long, pytest.mark.takes_s(300)]),
    ],
)
def test_a_day_on_kafka_has_the_bars_of_one_straight_from_its_files(
    day: str, kafka_bootstrap: str, tmp_path: Path
) -> None:
    days = Days(DAYS[day]._replace(nodes=BARS), tmp_path)
    direct = next(way for way in WAYS if way.bus == "direct" and way.partitions == 3)
    lost = next(way for way in WAYS if (way.bus, way.partitions, way.deaths) == ("kafka", 3, "lost"))
    given = [days.go(direct), days.go(lost, KafkaBus(kafka_bootstrap))]
    require_equal(given)
    assert all(given[0].counts.values()), given[0].counts
