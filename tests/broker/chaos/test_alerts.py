"""Alerts are judged by what happened: each has a reason, and what has an alert raises it."""

import pytest

from app.metrics.rules import ALERTS
from tests.broker.chaos.storm.incidents import PLANNED, SETTLE_S, Incident, judged, plan
from tests.broker.chaos.storm.prometheus import Fired, stretches

LATE = Incident("late rows", 100, 50, must=frozenset({"LateRows"}), may=frozenset({"Behind"}))


@pytest.mark.parametrize(
    ("fired", "wrong"),
    [
        ([Fired("LateRows", 120, 700)], []),
        ([Fired("LateRows", 120, 700), Fired("Behind", 130, 140)], []),
        ([], ["LateRows did not fire for: late rows at 100 s"]),
        (
            [Fired("LateRows", 120, 130), Fired("Gone", 120, 130)],
            ["Gone fired at 120 s for nothing that happened"],
        ),
        (
            [Fired("LateRows", 90, 130)],
            [
                "LateRows fired at 90 s for nothing that happened",
                "LateRows did not fire for: late rows at 100 s",
            ],
        ),
        (
            [Fired("LateRows", 120, 130), Fired("LateRows", 150 + SETTLE_S + 1, 900)],
            ["LateRows fired at 241 s for nothing that happened"],
        ),
    ],
)
def test_an_alert_needs_a_reason_and_an_incident_its_alert(fired: list[Fired], wrong: list[str]) -> None:
    assert judged([LATE, Incident("worker killed", 110)], fired) == wrong


def test_half_an_hour_has_everything_planned_and_kills_between_it() -> None:
    whole = plan(1_800, 1)
    assert [one for one in whole if one in PLANNED] == list(PLANNED)
    assert sum(one.kind == "worker killed" for one in whole) > 15
    assert plan(1_800, 1) == whole != plan(1_800, 2)
    assert all(one.end_s <= 500 for one in plan(500, 1))


def test_every_alert_that_is_planned_is_one_of_the_rules() -> None:
    assert set().union(*(one.must | one.may for one in PLANNED)) <= {alert.name for alert in ALERTS}


def test_a_gap_between_evaluations_ends_an_alert() -> None:
    series = {"metric": {"alertname": "Gone"}, "values": [[10, "1"], [12, "1"], [14, "1"], [30, "1"]]}
    assert list(stretches(series)) == [Fired("Gone", 10, 14), Fired("Gone", 30, 30)]
