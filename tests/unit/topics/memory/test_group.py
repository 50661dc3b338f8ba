"""Laws of the range assignor: runs of partitions per topic, in the order of the members."""

from topics.block import TopicPartition
from topics.bus import TopicSpec
from topics.memory.group import range_shares


def shares(
    subscriptions: dict[str, list[str]], partitions: dict[str, int]
) -> dict[str, tuple[TopicPartition, ...]]:
    topics = {name: TopicSpec(name=name, partitions=count, configs={}) for name, count in partitions.items()}
    return range_shares(subscriptions, topics)


def test_the_first_members_take_the_partitions_left_over() -> None:
    found = shares({"b": ["t"], "a": ["t"], "c": ["t"]}, {"t": 5})
    assert {member: [place.partition for place in share] for member, share in found.items()} == {
        "a": [0, 1],
        "b": [2, 3],
        "c": [4],
    }


def test_equal_topics_are_cut_alike() -> None:
    found = shares({"a": ["t", "q"], "b": ["q", "t"]}, {"t": 3, "q": 3})
    for share in found.values():
        numbers = [[place.partition for place in share if place.topic == topic] for topic in ("t", "q")]
        assert numbers[0] == numbers[1]


def test_a_topic_goes_only_to_who_subscribes_to_it() -> None:
    found = shares({"a": ["t"], "b": ["q"]}, {"t": 2, "q": 1})
    assert found == {
        "a": (TopicPartition("t", 0), TopicPartition("t", 1)),
        "b": (TopicPartition("q", 0),),
    }
