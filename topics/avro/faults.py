"""Why a message could not be read, in words that name the row, the field and the rule."""

from typing import Final

from topics.avro import decode_kernel
from topics.avro import value_kernel as kernel
from topics.avro.nested_kernel import STACK_SIZE
from topics.avro.plan import FieldProgram
from topics.avro.varint import CUT_SHORT, TOO_LONG

_WORDS: Final = {
    CUT_SHORT: "the message ends inside a value",
    TOO_LONG: "a variable-length integer goes on beyond 64 bits",
    kernel.BAD_BRANCH: "no such branch in the union",
    kernel.NULL_VALUE: "null in a column that must have a value",
    kernel.OUT_OF_RANGE: "a number outside the range of its type",
    kernel.BAD_BOOLEAN: "a boolean that is neither 0 nor 1",
    kernel.NEGATIVE_LENGTH: "a negative length",
    kernel.BAD_TEXT: "text that is not UTF-8",
    kernel.BAD_DECIMAL: "a decimal without bytes, or of more digits than its type has",
    kernel.TRAILING_BYTES: "bytes follow the last row",
    kernel.BAD_COUNT: "an array block promises more rows than the message can hold",
    kernel.TOO_MANY_ROWS: "more rows than rows_max",
    kernel.NO_COUNT: "the row count of an array block cannot be read",
    kernel.BAD_BLOCK_SIZE: "an array block does not end where its size says",
    kernel.BAD_MATCH: "a branch of the union that the column cannot hold",
    kernel.TOO_DEEP: f"arrays, maps or records more than {STACK_SIZE} deep",
    kernel.BAD_ITEMS: "an array or map promises more items than the message can hold",
    kernel.BAD_ITEMS_SIZE: "a block of an array or map is said to be larger than the message",
    kernel.BAD_ITEMS_END: "a block of an array does not end where its size says",
}
# These concern the message, not one of its fields.
_WHOLE: Final = frozenset(
    {
        kernel.TRAILING_BYTES,
        kernel.BAD_COUNT,
        kernel.NO_COUNT,
        kernel.TOO_MANY_ROWS,
        kernel.BAD_BLOCK_SIZE,
    }
)

HEADER_WORDS: Final = {
    decode_kernel.NULL: "null value",
    decode_kernel.NO_HEADER: "shorter than the 5 bytes that name its schema",
    decode_kernel.NO_MAGIC: "does not begin with the byte 0 of the Confluent wire format",
    decode_kernel.TOO_LARGE: "larger than message_size_max",
}


def fault_reason(fault: int, row: int, program: FieldProgram) -> str:
    """Put a fault of `decode_messages` (below 0) into words."""
    field, code = divmod(-fault, kernel.FAULTS)
    words = _WORDS[-code]
    return words if -code in _WHOLE else f"row {row}, field {program.fields[field]}: {words}"
