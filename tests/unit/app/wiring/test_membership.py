"""What a worker is to its group: static over restarts, unless told otherwise or the protocol forbids it."""

from app.config import Settings
from app.wiring.pipeline import member_config

INSTANCE = "consumer.group.instance.id"


def config_of(bus: dict[str, object], worker: dict[str, object]) -> dict[str, str]:
    return member_config(Settings.model_validate({"bus": bus, "worker": worker}))


def test_a_worker_is_a_static_member_with_a_session_of_its_own() -> None:
    config = config_of({}, {"slot": "7", "session_timeout_ms": 6_000})
    assert config == {INSTANCE: "tidemark-7", "consumer.session.timeout.ms": "6000"}


def test_a_worker_that_is_to_leave_when_it_stops_is_a_dynamic_member() -> None:
    assert INSTANCE not in config_of({}, {"static_member": False})


def test_under_the_consumer_protocol_the_broker_sets_the_session() -> None:
    assert config_of({"group_protocol": "consumer"}, {}) == {}
    kafka = {"security.protocol": "SSL"}
    assert config_of({"group_protocol": "consumer", "kafka": kafka}, {}) == kafka
