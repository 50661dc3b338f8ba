"""Why a message could not be read, in words that name the field, the place and the rule."""

from typing import Final

from topics.protobuf import kernel, value_kernel, varint
from topics.protobuf.program import MessageProgram, MessageSlots

_WORDS: Final = {
    varint.CUT_SHORT: "the message ends inside it, or what encloses it does",
    varint.TOO_LONG: "a variable-length integer of more than 10 bytes",
    varint.BAD_TAG: "a tag of more than 32 bits",
    varint.BAD_LENGTH: "a length of more than 31 bits",
    kernel.BAD_NUMBER: "a tag with the field number 0",
    kernel.BAD_WIRE_TYPE: "a tag with a wire type that does not exist",
    kernel.END_GROUP: "the end of a group that was not begun",
    kernel.TOO_DEEP: f"messages and groups more than {kernel.DEPTH_MAX} deep",
    value_kernel.BAD_TEXT: "text that is not UTF-8",
    kernel.BAD_TIME: "a time that nanoseconds of 64 bits do not hold, or nanos outside 0 to 999999999",
}
# The number of a field is not known or does not matter.
_UNNAMED: Final = frozenset({varint.BAD_TAG, kernel.BAD_NUMBER})


def fault_reason(fault: list[int], program: MessageProgram, slots: MessageSlots) -> str:
    """Put a row of the kernel's `faults` into words; places count from the message's first byte."""
    code, place, number, node = fault
    if code == kernel.BAD_TIME:
        return f"field {'.'.join(slots.fields[number].path)}: {_WORDS[code]}"
    prefix, descriptor = program.nodes[node]
    if code in _UNNAMED or number == 0:
        inside = f"message {prefix.removesuffix('.')}, " if prefix else ""
        return f"{inside}byte {place}: {_WORDS[code]}"
    declared = descriptor.fields_by_number.get(number)
    name = f"{prefix}{declared.name}" if declared is not None else f"{prefix}{number} (not of this type)"
    return f"field {name}, byte {place}: {_WORDS[code]}"
