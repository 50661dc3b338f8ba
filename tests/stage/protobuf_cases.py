"""Random message types of Protobuf, and random messages of them as the library and others would write."""

import random
import struct
from typing import Any, Final

from google.protobuf import descriptor_pb2, message_factory

from topics.protobuf.message_type import MessageType, message_type_of_files

KIND: Final[Any] = descriptor_pb2.FieldDescriptorProto
SCALARS: Final = (
    KIND.TYPE_DOUBLE, KIND.TYPE_FLOAT, KIND.TYPE_INT32, KIND.TYPE_INT64, KIND.TYPE_UINT32, KIND.TYPE_UINT64,
    KIND.TYPE_SINT32, KIND.TYPE_SINT64, KIND.TYPE_FIXED32, KIND.TYPE_FIXED64, KIND.TYPE_SFIXED32,
    KIND.TYPE_SFIXED64, KIND.TYPE_BOOL, KIND.TYPE_STRING, KIND.TYPE_BYTES,
)  # fmt: skip
SIGNED_32: Final = {KIND.TYPE_INT32, KIND.TYPE_SINT32, KIND.TYPE_SFIXED32}
SIGNED_64: Final = {KIND.TYPE_INT64, KIND.TYPE_SINT64, KIND.TYPE_SFIXED64}
UNSIGNED_32: Final = {KIND.TYPE_UINT32, KIND.TYPE_FIXED32}
WRAPPERS: Final = ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
LEVELS: Final = 3
NUMBER_MAX: Final = 2**29 - 1
RESERVED: Final = range(19_000, 20_000)
DEFAULTS: Final = {
    KIND.TYPE_DOUBLE: "-1.5", KIND.TYPE_FLOAT: "0.1", KIND.TYPE_INT32: "-7", KIND.TYPE_UINT64: str(2**64 - 1),
    KIND.TYPE_BOOL: "true", KIND.TYPE_STRING: "dé", KIND.TYPE_BYTES: "\\001\\377",
}  # fmt: skip


def add_field(message: Any, name: str, number: int, kind: int, **more: Any) -> Any:
    """Add a field that is not repeated, unless `more` says so."""
    return message.field.add(name=name, number=number, type=kind, **{"label": KIND.LABEL_OPTIONAL, **more})


def varint(number: int) -> bytes:
    """A number as groups of seven bits."""
    data = bytearray()
    number &= 2**64 - 1
    while number >= 0x80:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    data.append(number)
    return bytes(data)


def field_bytes(number: int, wire_type: int, value: int | bytes) -> bytes:
    """A field as it is written: the value of a varint or of fixed bytes, or what has a length."""
    tag = varint(number << 3 | wire_type)
    if isinstance(value, bytes):
        return tag + varint(len(value)) + value
    if wire_type == 0:
        return tag + varint(value)
    return tag + struct.pack(
        "<Q" if wire_type == 1 else "<I", value & (2 ** (64 if wire_type == 1 else 32) - 1)
    )


class Case:
    """A random message type of a seed, and as many random messages as are wanted."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.proto2 = self.draw.random() < 0.3
        file = descriptor_pb2.FileDescriptorProto(name="case.proto", package="case")
        file.syntax = "proto2" if self.proto2 else "proto3"
        file.dependency.extend(["google/protobuf/timestamp.proto", "google/protobuf/wrappers.proto"])
        enum = file.enum_type.add(name="E")
        numbers = {
            0,
            *self.draw.sample([1, 2, -1, -5, 300, 5_000, 2**31 - 1, -(2**31)], self.draw.randrange(8)),
        }
        for number in [0, *sorted(numbers - {0})]:
            enum.value.add(name=f"N{number}".replace("-", "_"), number=number)
        self.enum_numbers = sorted(numbers)
        for level in reversed(range(LEVELS)):
            self._add_message(file, level)
        last = len(file.message_type) - 1
        self.type: MessageType = message_type_of_files([file.SerializeToString()], (last,))
        self.make = message_factory.GetMessageClass(self.type.descriptor)

    def number(self, taken: set[int]) -> int:
        """A field number that is not taken, small more often than not."""
        while True:
            number = self.draw.choice([self.draw.randint(1, 15), self.draw.randint(1, 300), NUMBER_MAX,
                                       self.draw.randint(1, NUMBER_MAX)])  # fmt: skip
            if number not in taken and number not in RESERVED:
                taken.add(number)
                return number

    def _add_message(self, file: Any, level: int) -> None:
        message, taken = file.message_type.add(name=f"M{level}"), set[int]()
        has_oneof = self.draw.random() < 0.7
        if has_oneof:
            message.oneof_decl.add(name="which")
        count, optional = self.draw.randint(1, 9), []
        for place in range(count):
            field = self._add_field(message, f"f{place}", self.number(taken), level)
            # The first one stands in the oneof, since an empty oneof is none.
            if has_oneof and (place == 0 or self.draw.random() < 0.4):
                field.oneof_index = 0
                if self.proto2 and field.type == KIND.TYPE_ENUM:
                    # The library takes an unknown number of a closed enum for no member at all.
                    field.type = KIND.TYPE_STRING
                    field.ClearField("type_name")
            elif self.proto2 and field.type in DEFAULTS and self.draw.random() < 0.5:
                field.default_value = DEFAULTS[field.type]
            elif not self.proto2 and field.type != KIND.TYPE_MESSAGE and self.draw.random() < 0.4:
                optional.append(field)
        for field in optional:  # behind the real oneofs
            field.proto3_optional = True
            field.oneof_index = len(message.oneof_decl)
            message.oneof_decl.add(name=f"_{field.name}")

    def _add_field(self, message: Any, name: str, number: int, level: int) -> Any:
        kind = self.draw.randrange(10)
        if kind < 5:
            return add_field(message, name, number, self.draw.choice(SCALARS))
        if kind == 5:
            return add_field(message, name, number, KIND.TYPE_ENUM, type_name=".case.E")
        if kind == 6:
            inner = "google.protobuf.Timestamp"
        elif kind == 7 or level == LEVELS - 1:
            inner = f"google.protobuf.{self.draw.choice(WRAPPERS)}Value"
        else:
            inner = f"case.M{level + 1}"
        return add_field(message, name, number, KIND.TYPE_MESSAGE, type_name=f".{inner}")

    def message(self) -> bytes:
        """Parts of messages end to end, in any order, some of them twice or of unknown fields."""
        parts: list[bytes] = []
        for _ in range(self.draw.randrange(7)):
            kind = self.draw.randrange(10)
            if kind < 7 or not parts:
                message = self.make()
                self._fill(message)
                parts.append(message.SerializeToString())
            elif kind == 7:
                parts.append(self.draw.choice(parts))
            else:
                parts.append(self._stray(self.draw.choice(self.type.descriptor.fields).number))
        return b"".join(parts)

    def mutated(self) -> bytes:
        """A message cut, spliced, lengthened or changed in a few bytes, or nothing but noise."""
        draw, message = self.draw, self.message()
        kind, cut = draw.randrange(8), draw.randint(0, len(message))
        if kind == 0:
            return draw.randbytes(draw.randrange(40))
        if kind == 1:
            return message[:cut]
        if kind == 2:
            return message + draw.randbytes(draw.randint(1, 12))
        if kind == 3:
            other = self.message()
            return message[:cut] + other[draw.randint(0, len(other)) :]
        changed = bytearray(message)
        for _ in range(draw.randint(1, 3)):
            if changed:
                at = draw.randrange(len(changed))
                changed[at] = draw.randrange(256) if kind < 6 else changed[at] ^ 1 << draw.randrange(8)
        return bytes(changed)

    def _stray(self, known: int) -> bytes:
        """A field that no type has, or one that has it with another wire type, or a group of such."""
        draw, number = self.draw, self.draw.choice([known, 77_777, 9])
        kind = draw.randrange(5)
        if kind == 0:
            return field_bytes(number, 0, draw.getrandbits(draw.choice([3, 32, 64])))
        if kind == 1:
            return field_bytes(number, 1, draw.getrandbits(64))
        if kind == 2:
            return field_bytes(number, 5, draw.getrandbits(32))
        if kind == 3:
            return field_bytes(78_787, 2, draw.randbytes(draw.randrange(20)))
        inner = b"".join(self._stray(known) for _ in range(draw.randrange(3)))
        return varint(number << 3 | 3) + inner + varint(number << 3 | 4)

    def _fill(self, message: Any) -> None:
        """Set some fields of a message."""
        fields = list(message.DESCRIPTOR.fields)
        for field in self.draw.sample(fields, self.draw.randint(0, min(3, len(fields)))):
            if field.message_type is None:
                setattr(message, field.name, self._value(field))
                continue
            inner = getattr(message, field.name)
            inner.SetInParent()
            if field.message_type.full_name.endswith(".Timestamp"):
                inner.seconds = self.draw.choice([0, 1_700_000_000, self.draw.randint(-(2**33), 2**33)])
                inner.nanos = self.draw.choice([0, 999_999_999, self.draw.randrange(10**9)])
            else:
                self._fill(inner)

    def _value(self, field: Any) -> Any:
        draw, kind = self.draw, field.type
        if kind in SIGNED_32:
            return draw.choice(
                [0, -1, 2**31 - 1, -(2**31), draw.randint(-(2**31), 2**31 - 1), draw.randrange(99)]
            )
        if kind in SIGNED_64:
            return draw.choice(
                [0, -1, 2**63 - 1, -(2**63), draw.randint(-(2**63), 2**63 - 1), draw.randrange(99)]
            )
        if kind in UNSIGNED_32:
            return draw.choice([0, 2**32 - 1, draw.getrandbits(32), draw.randrange(99)])
        if kind in (KIND.TYPE_UINT64, KIND.TYPE_FIXED64):
            return draw.choice([0, 2**64 - 1, draw.getrandbits(64), draw.randrange(99)])
        if kind == KIND.TYPE_BOOL:
            return draw.random() < 0.5
        if kind == KIND.TYPE_STRING:
            return draw.choice(["", "a", "AAPL", "naïve €", "😀" * 9, "x" * draw.randrange(200)])
        if kind == KIND.TYPE_BYTES:
            return draw.randbytes(draw.randrange(12))
        if kind == KIND.TYPE_ENUM:
            known = self.proto2 or draw.random() < 0.7  # a closed enum has no other numbers
            return draw.choice(self.enum_numbers) if known else draw.choice([7, -9, 123_456, -(2**31)])
        values = [0.0, -0.0, 1.5, float("inf"), float("nan"), draw.gauss(0, 1e6)]
        return draw.choice([*values, 5e-324, 1e308] if kind == KIND.TYPE_DOUBLE else [*values, 1e-45, 3.4e38])
