"""Which fields of a message type can be columns, and what columns they are."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
from google.protobuf.descriptor import FieldDescriptor

from topics.protobuf.message_type import MessageType, near_names
from topics.wire import CodecError

# A path longer than this is refused; parsers refuse messages nested deeper than 100.
STEPS_MAX: Final = 64
# Messages that hold each other several times have more fields than anybody lists.
FIELDS_MAX: Final = 10_000

TIME_TYPE: Final = pa.timestamp("ns", tz="UTC")

_KIND: Final[Any] = FieldDescriptor
_ARROW_TYPES: Final[Mapping[int, pa.DataType]] = {
    _KIND.TYPE_DOUBLE: pa.float64(),
    _KIND.TYPE_FLOAT: pa.float32(),
    _KIND.TYPE_INT32: pa.int32(),
    _KIND.TYPE_SINT32: pa.int32(),
    _KIND.TYPE_SFIXED32: pa.int32(),
    _KIND.TYPE_INT64: pa.int64(),
    _KIND.TYPE_SINT64: pa.int64(),
    _KIND.TYPE_SFIXED64: pa.int64(),
    _KIND.TYPE_UINT32: pa.uint32(),
    _KIND.TYPE_FIXED32: pa.uint32(),
    _KIND.TYPE_UINT64: pa.uint64(),
    _KIND.TYPE_FIXED64: pa.uint64(),
    _KIND.TYPE_BOOL: pa.bool_(),
    _KIND.TYPE_STRING: pa.string(),
    _KIND.TYPE_BYTES: pa.binary(),
    _KIND.TYPE_ENUM: pa.string(),
}
# What a column may be.
COLUMN_TYPES: Final = frozenset({*_ARROW_TYPES.values(), TIME_TYPE})
_WRAPPERS: Final = frozenset(
    f"google.protobuf.{kind}Value"
    for kind in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
)
_TIME_NAME: Final = "google.protobuf.Timestamp"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A field that can be a column, and how a message leads to it.

    `steps` are the library's field descriptors, from the outermost message to the field; that of a wrapper
    goes on to its value.  `is_time` says that the last step is a Timestamp.  `nullable` says whether a
    message may lack the value.
    """

    path: tuple[str, ...]
    steps: tuple[Any, ...]
    type: pa.DataType
    nullable: bool
    is_time: bool

    @property
    def name(self) -> str:
        """The path with dots between its names."""
        return ".".join(self.path)


@dataclass(frozen=True, slots=True)
class MessageColumns:
    """The fields of a message type: those that can be columns, and by path why others cannot."""

    leaves: tuple[Leaf, ...]
    refused: Mapping[tuple[str, ...], str]


def message_columns(message_type: MessageType) -> MessageColumns:
    """Return every field that can be a column, in the order of the descriptors, outer fields before inner.

    A message within itself is not walked a second time, nor is any beyond the first FIELDS_MAX fields:
    `leaf_at` finds what is in it.
    """
    leaves: list[Leaf] = []
    refused: dict[tuple[str, ...], str] = {}
    pending: deque[tuple[Any, ...]] = deque((field,) for field in message_type.descriptor.fields)
    walked = len(pending)
    while pending:
        steps = pending.popleft()
        path, field = tuple(str(step.name) for step in steps), steps[-1]
        reason = _refusal(field)
        if reason is not None:
            refused[path] = reason
        elif _is_leaf(field):
            leaves.append(_leaf(path, steps))
        elif field.message_type in [message_type.descriptor, *(step.message_type for step in steps[:-1])]:
            refused[path] = f"is a {field.message_type.full_name} within itself: name one of its fields"
        elif len(steps) == STEPS_MAX or walked >= FIELDS_MAX:
            refused[path] = f"is a message beyond {FIELDS_MAX} fields or {STEPS_MAX} steps: name one"
        else:
            pending += [(*steps, inner) for inner in field.message_type.fields]
            walked += len(field.message_type.fields)
    return MessageColumns(tuple(leaves), refused)


def leaf_at(message_type: MessageType, path: tuple[str, ...]) -> Leaf | None:
    """Return the field at a path, or None where the message type lacks one of its names.

    Raises CodecError, naming the field, where what is there is no column or cannot be walked into.
    """
    if not 0 < len(path) <= STEPS_MAX:
        raise CodecError(f"field {'.'.join(path)}: a path has 1 to {STEPS_MAX} names")
    inside = message_type.descriptor
    steps: list[Any] = []
    for depth, name in enumerate(path, 1):
        if inside is None:
            raise CodecError(
                f"field {'.'.join(path[: depth - 1])} is {_words(steps[-1])}, not a message: it has no {name}"
            )
        field = inside.fields_by_name.get(name)
        if field is None:
            return None
        steps.append(field)
        reason = _refusal(field)
        if reason is not None:
            raise CodecError(f"field {'.'.join(path[:depth])} {reason}")
        inside = field.message_type
    if not _is_leaf(steps[-1]):
        names = ", ".join(str(field.name) for field in inside.fields) or "none"
        raise CodecError(
            f"field {'.'.join(path)} is a message ({inside.full_name}): name one of its fields ({names})"
        )
    return _leaf(path, tuple(steps))


def require_leaf(message_type: MessageType, path: tuple[str, ...]) -> Leaf:
    """Return the field at a path; raises CodecError also where there is none, with near names."""
    leaf = leaf_at(message_type, path)
    if leaf is not None:
        return leaf
    inside = message_type.descriptor
    for depth, name in enumerate(path, 1):
        if name not in inside.fields_by_name:
            names = [str(field.name) for field in inside.fields]
            shown = ", ".join(names) or "none"
            raise CodecError(
                f"field {'.'.join(path[:depth])}: message {inside.full_name} has no field {name}"
                f"{near_names(name, names)}; its fields are {shown}"
            )
        inside = inside.fields_by_name[name].message_type
    raise AssertionError("a path of which every name is there has a leaf")


def has_default(field: Any) -> bool:
    """Whether an absent field counts as a value: its type's zero without presence, or its own default."""
    if not field.has_presence:
        return True
    return bool(field.has_default_value) and field.containing_oneof is None


def _leaf(path: tuple[str, ...], steps: tuple[Any, ...]) -> Leaf:
    field = steps[-1]
    nullable = len(steps) > 1 or not has_default(field)
    if _is_time(field):
        return Leaf(path, steps, TIME_TYPE, nullable=True, is_time=True)
    if field.message_type is not None:
        value = field.message_type.fields_by_name["value"]
        return Leaf(path, (*steps, value), _ARROW_TYPES[value.type], nullable=True, is_time=False)
    return Leaf(path, steps, _ARROW_TYPES[field.type], nullable=nullable, is_time=False)


def _is_leaf(field: Any) -> bool:
    return field.message_type is None or _is_time(field) or _is_wrapper(field)


def _is_time(field: Any) -> bool:
    message = field.message_type
    if message is None or message.full_name != _TIME_NAME:
        return False
    kinds = [(name, inner.type) for name, inner in message.fields_by_name.items() if not is_repeated(inner)]
    return {("seconds", _KIND.TYPE_INT64), ("nanos", _KIND.TYPE_INT32)} <= set(kinds)


def _is_wrapper(field: Any) -> bool:
    message = field.message_type
    if message is None or message.full_name not in _WRAPPERS:
        return False
    value = message.fields_by_name.get("value")
    return value is not None and value.message_type is None and not is_repeated(value)


def is_repeated(field: Any) -> bool:
    """Whether a field may come several times, each of which is a value."""
    if hasattr(field, "is_repeated"):  # `label` is deprecated where this is there
        return bool(field.is_repeated)
    return bool(field.label == _KIND.LABEL_REPEATED)


def _refusal(field: Any) -> str | None:
    """Return why a field can neither be a column nor lead to one, or None."""
    if is_repeated(field):
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            return "is a map, which is no column: send each of its values as a field of its own"
        return "is repeated, which is no column: send a message per value"
    if field.type == _KIND.TYPE_GROUP:
        return "is a group, which is no column: make it a message"
    return None


def _words(field: Any) -> str:
    enum = field.enum_type
    return f"an enum ({enum.full_name})" if enum is not None else str(_ARROW_TYPES[field.type])
