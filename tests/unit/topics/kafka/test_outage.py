"""Laws of telling of an outage: once for each kind of error, and again the next time."""

from confluent_kafka import KafkaError

from topics.kafka.outage import Outage


def test_an_outage_is_told_once_for_each_kind_and_again_after_it_is_over() -> None:
    told: list[str] = []
    outage = Outage(told.append)
    refused, away = KafkaError(KafkaError.NETWORK_EXCEPTION), KafkaError(KafkaError.BROKER_NOT_AVAILABLE)
    for error in (refused, refused, away, refused):
        outage.tell(error)
    assert told == [refused.str(), away.str()]
    outage.over()
    outage.tell(refused)
    assert told[2:] == [refused.str()]
