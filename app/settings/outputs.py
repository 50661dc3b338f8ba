"""The table `[outputs]` and what names a topic: each name with the key that sets it, and no name twice."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from operators.sealed import ALIGNED
from topics.catalogue import LAST_KNOWN, MODELS, STATE, TASKS

# By key of the table: the output's name in the program.  Nodes of a graph are named beside them.
OUTPUT_KEYS: Final = {
    "aligned": ALIGNED,
    "late": "late",
    "dead": "dead",
    "last_known": LAST_KNOWN,
    "tasks": TASKS,
    "state": STATE,
    "models": MODELS,
}


class TopicKey(NamedTuple):
    """The name of a topic and the key that sets it; `is_default` says that the key is unset."""

    topic: str
    key: str
    is_default: bool

    def __str__(self) -> str:
        return f"{self.key} (unset: {self.topic})" if self.is_default else f'{self.key} = "{self.topic}"'


def output_key(name: str) -> str:
    """The key of an output in the table: `last_known` of `last-known`."""
    return name.replace("-", "_")


def require_apart(names: Iterable[TopicKey]) -> None:
    """Raise ValueError, with both keys, where two streams or outputs would have one topic."""
    by_topic: dict[str, TopicKey] = {}
    for name in names:
        first = by_topic.setdefault(name.topic, name)
        if first is not name:
            raise ValueError(f"{first} and {name} are one topic: each stream and each output needs its own")
