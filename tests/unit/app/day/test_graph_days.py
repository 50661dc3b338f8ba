"""Real days with thirty features are the same however they run; the ways on a Kafka are in `tests.broker`."""

from itertools import combinations, product
from pathlib import Path

import pytest

from tests.stage.graph_days import DAYS, WAYS, Days, Way, require_equal

pytestmark = [pytest.mark.slow, pytest.mark.takes_s(55)]

SHORT = tuple(way for way in WAYS if way.bus != "kafka" and way.partitions < 8)


@pytest.mark.data
def test_a_day_has_the_same_features_straight_from_files_and_through_workers_that_die(tmp_path: Path) -> None:
    days = Days(DAYS["taq"], tmp_path)
    given = [days.go(way) for way in SHORT]
    require_equal(given)
    assert given[0].rows == 39_470


def test_any_two_values_of_two_things_meet_in_some_way() -> None:
    of_workers = [way for way in WAYS if way.bus in ("embedded", "kafka")]
    values = [{way[place] for way in of_workers} for place in range(len(Way._fields))]
    assert values[1:3] == [{1, 3, 8}, {1, 2}]
    for one, other in combinations(range(len(values)), 2):
        met = {(way[one], way[other]) for way in of_workers}
        assert met == set(product(values[one], values[other])), (Way._fields[one], Way._fields[other])
    assert {way.partitions for way in WAYS if way.bus == "direct"} == {1, 3, 8}
