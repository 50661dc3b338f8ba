"""Schema ids that a registry does not know are asked for once per interval, whatever the messages."""

from collections.abc import Callable
from typing import Final

from schemas.clocks import NS_PER_S
from topics.wire import SchemaRegistry, UnknownSchemaError

UNKNOWN_NS: Final = 30 * NS_PER_S  # a registry may learn of a schema late, when it follows another one
IDS_MAX: Final = 65_536  # remembered at once; of random bytes each message has an id of its own


class UnknownIds:
    """A `SchemaRegistry` that asks another one about an id which that does not know once per interval."""

    def __init__(
        self, registry: SchemaRegistry, now_ns: Callable[[], int], interval_ns: int = UNKNOWN_NS
    ) -> None:
        """`now_ns` is the process's clock; it need not be the time of day, but must not go back."""
        self._registry = registry
        self._now_ns = now_ns
        self._interval_ns = interval_ns
        self._unknown: dict[int, tuple[int, str]] = {}  # since when and why, the oldest first

    def register(self, subject: str, schema: str) -> int:
        """Return the id of `schema` under `subject`, the same id for the same schema."""
        schema_id = self._registry.register(subject, schema)
        self._unknown.pop(schema_id, None)
        return schema_id

    def schema(self, schema_id: int) -> str:
        """Return a schema; raises UnknownSchemaError, from memory for the length of the interval."""
        now_ns = self._now_ns()
        if schema_id in self._unknown:
            since_ns, reason = self._unknown[schema_id]
            if now_ns - since_ns < self._interval_ns:
                raise UnknownSchemaError(reason)
            del self._unknown[schema_id]
        try:
            return self._registry.schema(schema_id)
        except UnknownSchemaError as missing:
            if len(self._unknown) == IDS_MAX:
                del self._unknown[next(iter(self._unknown))]
            self._unknown[schema_id] = now_ns, str(missing)
            raise

    def latest(self, subject: str) -> tuple[int, str] | None:
        """Return the newest id and schema of `subject`, or None for a subject without a schema."""
        return self._registry.latest(subject)

    def ids(self, subject: str) -> frozenset[int]:
        """Return the ids of all schemas of `subject`."""
        return self._registry.ids(subject)
