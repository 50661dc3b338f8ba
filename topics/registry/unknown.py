"""Schema ids that a registry does not know: waited for when they are new, then asked for ever more rarely."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from schemas.clocks import NS_PER_S
from topics.schema_header import guid_registry
from topics.wire import (
    OtherFormatError,
    ProtobufRegistry,
    SchemaName,
    SchemaRegistry,
    UnknownSchemaError,
)

# A registry that follows another one may learn of a schema after the first message has it.
WAIT_NS: Final = NS_PER_S  # for a new id, before its messages are dead
AGAIN_NS: Final = NS_PER_S // 10  # until the second question; then twice as long each time
UNKNOWN_NS: Final = 30 * NS_PER_S  # at most, between two questions; and between two waits in vain
IDS_MAX: Final = 65_536  # remembered at once; of random bytes each message has an id of its own

_Name = TypeVar("_Name", int, str)
_Schema = TypeVar("_Schema")


@dataclass(frozen=True, slots=True)
class _Unknown:
    """What is remembered of an id: until when, for how long in all, and what the registry said."""

    until_ns: int
    pause_ns: int
    reason: str


class UnknownIds:
    """A `SchemaRegistry`, `ProtobufRegistry` and `GuidRegistry` before another: bounds what unknown ids cost.

    A new id is waited for, and asked for a few times meanwhile, for at most WAIT_NS.  After a wait in vain no
    id is waited for until UNKNOWN_NS later.  An id that stays unknown is asked for again after AGAIN_NS, and
    then after twice as long each time, at most UNKNOWN_NS; all such questions are AGAIN_NS apart.
    A GUID is an id here.
    """

    def __init__(
        self, registry: SchemaRegistry, now_ns: Callable[[], int], pause: Callable[[float], None]
    ) -> None:
        """`now_ns` is the process's clock, which must not go back; `pause` waits for so many seconds."""
        self.on_question: Callable[[], None] = (
            _nothing  # hears of each question to the registry, and of each wait
        )
        self._registry = registry
        self._now_ns = now_ns
        self._pause = pause
        self._unknown: dict[SchemaName, _Unknown] = {}  # that which was asked for longest ago first
        self._wait_again_ns: int | None = None  # after a wait in vain
        self._ask_again_ns: int | None = None  # about any id that was unknown before

    def register(self, subject: str, schema: str) -> int:
        """Return the id of `schema` under `subject`, the same id for the same schema."""
        schema_id = self._registry.register(subject, schema)
        self._unknown.pop(schema_id, None)
        return schema_id

    def schema(self, schema_id: int) -> str:
        """Return a schema; raises UnknownSchemaError, after a wait or from memory."""
        return self._look_up(schema_id, self._registry.schema)

    def schema_of_guid(self, guid: str) -> str:
        """Return a schema; raises UnknownSchemaError likewise, CodecError where there are no GUIDs."""
        return self._look_up(guid, guid_registry(self._registry).schema_of_guid)

    def protobuf_files_of_guid(self, guid: str) -> list[bytes]:
        """Return the files of a Protobuf schema; raises as `schema_of_guid`."""
        return self._look_up(guid, guid_registry(self._registry).protobuf_files_of_guid)

    def guids(self, subject: str) -> frozenset[str]:
        """Return the GUIDs of all schemas of `subject`."""
        return guid_registry(self._registry).guids(subject)

    def protobuf_files(self, schema_id: int) -> list[bytes]:
        """Return the files of a Protobuf schema; raises UnknownSchemaError, after a wait or from memory."""
        return self._look_up(schema_id, self._protobuf().protobuf_files)

    def latest_protobuf(self, subject: str) -> int | None:
        """Return the newest id of a Protobuf subject, or None for a subject without a schema."""
        return self._protobuf().latest_protobuf(subject)

    def latest(self, subject: str) -> tuple[int, str] | None:
        """Return the newest id and schema of `subject`, or None for a subject without a schema."""
        return self._registry.latest(subject)

    def ids(self, subject: str) -> frozenset[int]:
        """Return the ids of all schemas of `subject`."""
        return self._registry.ids(subject)

    def _protobuf(self) -> ProtobufRegistry:
        if not isinstance(self._registry, ProtobufRegistry):
            raise OtherFormatError("the schema registry of this process holds Avro schemas only")
        return self._registry

    def _look_up(self, schema_id: _Name, ask: Callable[[_Name], _Schema]) -> _Schema:
        """Ask for a schema where it is due; raises UnknownSchemaError, after a wait or from memory."""
        known = self._unknown.get(schema_id)
        if known is not None and not self._is_due(known):
            raise UnknownSchemaError(known.reason)
        try:
            schema = self._wait(schema_id, ask) if known is None else self._repeat(schema_id, ask)
        except UnknownSchemaError as missing:
            pause_ns = AGAIN_NS if known is None else min(2 * known.pause_ns, UNKNOWN_NS)
            self._remember(schema_id, _Unknown(self._now_ns() + pause_ns, pause_ns, str(missing)))
            raise
        self._unknown.pop(schema_id, None)
        return schema

    def _is_due(self, known: _Unknown) -> bool:
        """Whether an unknown id is to be asked for again now."""
        now_ns = self._now_ns()
        if now_ns < known.until_ns or (self._ask_again_ns is not None and now_ns < self._ask_again_ns):
            return False
        self._ask_again_ns = now_ns + AGAIN_NS
        return True

    def _repeat(self, schema_id: _Name, ask: Callable[[_Name], _Schema]) -> _Schema:
        self.on_question()
        return ask(schema_id)

    def _wait(self, schema_id: _Name, ask: Callable[[_Name], _Schema]) -> _Schema:
        """Ask for a new id until it is known, for as long as a wait may last now."""
        now_ns = self._now_ns()
        may_wait = self._wait_again_ns is None or now_ns >= self._wait_again_ns
        end_ns = now_ns + WAIT_NS if may_wait else now_ns
        pause_ns = AGAIN_NS
        while True:
            self.on_question()
            try:
                return ask(schema_id)
            except UnknownSchemaError:
                left_ns = end_ns - self._now_ns()
                if left_ns <= 0:
                    if may_wait:
                        self._wait_again_ns = self._now_ns() + UNKNOWN_NS
                    raise
            self._pause(min(pause_ns, left_ns) / NS_PER_S)
            pause_ns *= 2

    def _remember(self, schema_id: SchemaName, unknown: _Unknown) -> None:
        self._unknown.pop(schema_id, None)
        if len(self._unknown) == IDS_MAX:
            del self._unknown[next(iter(self._unknown))]
        self._unknown[schema_id] = unknown


def _nothing() -> None:
    """Nobody listens."""
