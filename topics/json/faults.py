"""Why a message cannot be read, in words."""

from typing import Final

from topics.json import text_kernel as text
from topics.json.skip_kernel import DEPTH_MAX

_EXPECTED: Final = {
    text.VALUE: "a value",
    text.VALUE_OR_END: "a value or ']'",
    text.NAME: "a name in quotes",
    text.NAME_OR_END: "a name in quotes or '}'",
    text.COLON: "':'",
    text.NEXT_IN_OBJECT: "',' or '}'",
    text.NEXT_IN_ARRAY: "',' or ']'",
    text.DIGIT: "a digit",
    text.ESCAPE: "an escape",
    text.TEXT_END: "'\"'",
    text.MESSAGE_END: "the end of the message",
}
_WHOLE: Final = {
    text.NOT_UTF8: "not UTF-8",
    text.EMPTY: "the message is empty",
    text.NULL_MESSAGE: "null value",
    text.TOO_LARGE: "larger than message_size_max",
    text.NO_HEADER: "no Confluent header: a 0 and 4 bytes of schema id before the JSON",
    text.TOO_MANY_ROWS: "more rows than rows_max",
    text.TOO_DEEP: f"not JSON: nested deeper than {DEPTH_MAX}",
}


def fault_words(fault: int, address: int, size: int) -> str:
    """Say what is wrong with the message of `size` bytes at `address`, and at which of its bytes."""
    code, position = text.fault_parts(fault)
    if code in _WHOLE:
        return _WHOLE[code]
    place = position - address
    if code == text.CONTROL:
        return f"not JSON: a control character in a text at byte {place}"
    there = ", where the message ends" if place == size else ""
    return f"not JSON: {_EXPECTED[code]} expected at byte {place}{there}"
