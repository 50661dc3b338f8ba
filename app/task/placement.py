"""Placement: the keys of a task's inputs lie where the partitioner puts them, or the task stops."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from app.errors import RunError
from app.words import copy_advice
from schemas.batch import Batch, Int32s, Int64s
from schemas.stream import message_keys, plain_keys
from topics.placement import home_partitions


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where one input of a task lies: partition number `partition` of `partitions` of its topic.

    `key` are the stream's key columns.  A message without key is a row of an unkeyed stream only; it belongs
    to no partition more than to another, and its empty key is passed over.
    """

    stream: str
    topic: str
    partition: int
    partitions: int
    key: tuple[str, ...]

    def require(self, rows: Batch) -> None:
        """Raise RunError, with what to do, where a key of rows lies elsewhere.

        Hashing a key costs no more than to look up whether it was seen before, so every block is checked.
        """
        if (refusal := self.refusal(rows.keys)) is not None:
            advice = copy_advice(self.topic, self.partitions)
            raise RunError(
                f"{refusal}. Rows of one key would miss each other, so these are not joined. {advice}"
            )
        if self.partitions > 1 and len(self.key) > 1:
            plain = plain_keys(rows.keys, len(self.key))
            if not plain.all():
                self._require_groups(rows.columns.take(pa.array(np.flatnonzero(~plain[rows.key_code]))))

    def _require_groups(self, rows: pa.RecordBatch) -> None:
        """Rows whose message key can be read in two ways are grouped by columns: those keys lie here."""
        keys = message_keys(rows, self.key).unique().drop_null()
        if (refusal := self.refusal(keys)) is not None:
            raise RunError(
                f"{refusal}. The columns {', '.join(self.key)} make that key, since a part holds "
                '":" or a backslash; the message has another. Rows of one key would miss each other, so '
                "these are not joined: have the producer write such a sign with a backslash before it"
            )

    def refusal(self, keys: pa.BinaryArray) -> str | None:
        """What is wrong with these distinct keys of rows; None where all lie where they belong."""
        if self.partitions == 1:
            return None
        homes = home_partitions(keys, self.partitions)
        strays = np.flatnonzero(homes != self.partition)
        if strays.size and not self.key:  # an empty key stands for none there
            strays = np.array([code for code in strays if len(keys[code].as_py())], np.int64)
        return self._words(keys, homes, strays) if strays.size else None

    def _words(self, keys: pa.BinaryArray, homes: Int32s, strays: Int64s) -> str:
        first = int(strays[0])
        key = keys[first].as_py().decode(errors="backslashreplace")
        return (
            f"stream {self.stream}: key {key!r} is in partition {self.partition} of {self.topic}, and the "
            f"partitioner (murmur2, as the Java client's) wants it in {homes[first]} of {self.partitions}; "
            f"{strays.size:,} of the {len(keys):,} keys just read from this partition are in a wrong one"
        )
