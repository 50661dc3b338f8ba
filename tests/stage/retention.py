"""Logs that lose their beginnings, as retention has it."""

import ctypes
from collections.abc import Sequence
from typing import Final

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

ANSWER_S: Final = 10.0


def delete_records(bootstrap: str, begins: Sequence[TopicPartition]) -> None:
    """Let each of these logs begin at its offset."""
    client = AdminClient({"bootstrap.servers": bootstrap})  # which has to live until the answers are there
    asked = list(begins)
    # The call gives back a reference to its list that it was lent (confluent-kafka 2.12.2, Admin.c).  Without
    # one more, the list is freed while it is held here, and any other object may have its place.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(asked))
    for answer in client.delete_records(asked).values():
        answer.result(timeout=ANSWER_S)
