"""The slow way to read Protobuf: the library's own parser, one object per message, and its reflection."""

from collections.abc import Sequence
from typing import Any, Final

from google.protobuf import message_factory
from google.protobuf.message import DecodeError

NS_PER_S: Final = 1_000_000_000
WRAPPED: Final = "Value"  # how the names of the wrapper types end
TIMESTAMP_TYPE: Final = "google.protobuf.Timestamp"


class TimeOutOfRange(ValueError):
    """A Timestamp that the library accepts and no int64 of nanoseconds holds."""


def read_slowly(descriptor: Any, data: bytes, paths: Sequence[tuple[str, ...]]) -> list[Any] | None:
    """Return the value at each path, None where it is absent; None instead where the library refuses.

    Raises TimeOutOfRange for a time that does not fit.
    """
    try:
        message = message_factory.GetMessageClass(descriptor).FromString(data)
    except DecodeError:
        return None
    return [_value(message, path) for path in paths]


def _value(message: Any, path: Sequence[str]) -> Any:
    *outer, last = path
    for name in outer:
        if not message.HasField(name):
            return None
        message = getattr(message, name)
    field = message.DESCRIPTOR.fields_by_name[last]
    if field.has_presence and not message.HasField(last):
        defaulted = field.has_default_value and field.containing_oneof is None
        return _plain(field, field.default_value) if defaulted else None
    return _plain(field, getattr(message, last))


def _plain(field: Any, value: Any) -> Any:
    if field.enum_type is not None:
        names = [one.name for one in field.enum_type.values if one.number == value]
        return names[0] if names else str(value)
    if field.message_type is None:
        return value
    if field.message_type.full_name != TIMESTAMP_TYPE:
        assert field.message_type.full_name.endswith(WRAPPED)
        return value.value
    time_ns = value.seconds * NS_PER_S + value.nanos
    if not 0 <= value.nanos < NS_PER_S or not -(2**63) <= time_ns < 2**63:
        raise TimeOutOfRange(f"{value.seconds} s and {value.nanos} ns")
    return time_ns
