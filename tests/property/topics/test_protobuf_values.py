"""Whatever the type and the bytes: columns hold what the library's parser reads, and dead is what it refuses.

Differences that are meant: a time that no column holds, and what BAD_TEXT and BAD_NUMBER say, are dead; an
enum's unknown number is its digits, also where proto2 takes it for an unknown field; the inside of a field
that no column wants is not looked at (here all are wanted, where messages are mutated).

`python -m tests.property.topics.test_protobuf_values 100000` tries that many types.
"""

import itertools
import math
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tests.oracles.protobuf_values import TimeOutOfRange, read_slowly
from tests.stage.blocks import block_of
from tests.stage.guarded import GuardedPage, guarded_page
from tests.stage.protobuf_cases import Case
from topics.protobuf.columns import message_columns
from topics.protobuf.decode import ProtobufValues
from topics.values import FieldPath, Values

MESSAGES = 12
SEEDS = st.integers(0, 2**63 - 1)

# Where the decoder is stricter than the library; a time that no column holds is one more such case.
BAD_TEXT = "text that is not UTF-8"  # of proto2, which lets it be: a column of text cannot
BAD_NUMBER = "a tag with the field number 0"  # in an unknown group, where the library does not look


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal, of the same sign, or both not a number."""
    if isinstance(left, float) and isinstance(right, float):
        both = math.isnan(left) and math.isnan(right)
        return both or (left == right and math.copysign(1, left) == math.copysign(1, right))
    return type(left) is type(right) and bool(left == right)


def plain(column: pa.Array) -> list[Any]:
    """The values of a column, times as nanoseconds."""
    values: list[Any] = (
        column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
    ).to_pylist()
    return values


def rows_of(values: Values) -> dict[int, list[Any]]:
    """The row of each message that has one."""
    if values.columns is None:
        return {}
    values.columns.validate(full=True)
    names = np.repeat(values.message, values.rows_of).tolist()
    rows = map(list, zip(*map(plain, values.columns.columns), strict=True))
    return dict(zip(names, rows, strict=True))


def check(case: Case, messages: list[bytes], values: Values, paths: list[tuple[str, ...]]) -> int:
    """Hold what was read against the library; return how many messages both have read."""
    dead = {row.message: row.reason for row in values.dead}
    rows, agreed = rows_of(values), 0
    assert sorted([*dead, *rows]) == list(range(len(messages)))
    for number, message in enumerate(messages):
        try:
            expected = read_slowly(case.type.descriptor, message, paths)
        except TimeOutOfRange:
            assert number in dead, f"{message!r} has a time that does not fit"
            continue
        if number in dead:
            stricter = (case.proto2 and BAD_TEXT in dead[number]) or BAD_NUMBER in dead[number]
            assert stricter or expected is None, f"{dead[number]}, but the library reads {message!r}"
            continue
        assert expected is not None, f"the library refuses {message!r}"
        for path, mine, theirs in zip(paths, rows[number], expected, strict=True):
            closed = case.proto2 and isinstance(mine, str) and mine.lstrip("-").isdecimal()
            assert same(mine, theirs) or closed, f"{path}: {mine!r}, not {theirs!r}, of {message!r}"
        agreed += 1
    return agreed


def decoder_of(case: Case) -> tuple[ProtobufValues, list[tuple[str, ...]]]:
    leaves = message_columns(case.type).leaves
    fields = [FieldPath(pa.field(leaf.name, leaf.type, leaf.nullable), leaf.path) for leaf in leaves]
    return ProtobufValues(case.type, fields), [leaf.path for leaf in leaves]


def read(decoder: ProtobufValues, messages: list[bytes]) -> Values:
    block = block_of([(b"K", message, offset) for offset, message in enumerate(messages)])
    return decoder.read(block, np.arange(len(messages)))


@given(seed=SEEDS)
def test_columns_hold_what_the_library_reads(seed: int) -> None:
    case = Case(seed)
    decoder, paths = decoder_of(case)
    messages = [case.message() for _ in range(MESSAGES)]
    check(case, messages, read(decoder, messages), paths)


@given(seed=SEEDS)
def test_mutated_messages_are_dead_where_the_library_refuses_them(seed: int) -> None:
    case = Case(seed)
    decoder, paths = decoder_of(case)
    messages = [case.mutated() for _ in range(MESSAGES)]
    check(case, messages, read(decoder, messages), paths)


@given(seed=SEEDS)
def test_some_columns_hold_what_all_of_them_would(seed: int) -> None:
    """Members of a oneof that no column wants clear the others all the same."""
    case = Case(seed)
    leaves = [leaf for leaf in message_columns(case.type).leaves if case.draw.random() < 0.5]
    fields = [FieldPath(pa.field(leaf.name, leaf.type, leaf.nullable), leaf.path) for leaf in leaves * 2]
    messages = [case.message() for _ in range(MESSAGES)]
    if fields:
        paths = [leaf.path for leaf in leaves * 2]
        check(case, messages, read(ProtobufValues(case.type, fields), messages), paths)


def try_guarded(case: Case, page: GuardedPage) -> None:
    """Read messages that end where memory may no longer be read."""
    decoder, paths = decoder_of(case)
    for message in itertools.chain(*[(case.message(), case.mutated()) for _ in range(MESSAGES // 2)]):
        if len(message) <= 4096:
            block = replace(block_of([(b"K", message, 0)]), value=page.at_the_edge(message))
            check(case, [message], decoder.read(block, np.arange(1)), paths)


@given(seed=SEEDS)
def test_no_message_is_read_beyond_its_end(seed: int) -> None:
    with guarded_page() as page:
        try_guarded(Case(seed), page)


def main(types: int) -> int:
    """Try so many types, half of their messages mutated."""
    agreed = 0
    with guarded_page() as page:
        for seed in range(types):
            case = Case(seed)
            decoder, paths = decoder_of(case)
            messages = [
                *[case.message() for _ in range(MESSAGES)],
                *[case.mutated() for _ in range(MESSAGES)],
            ]
            agreed += check(case, messages, read(decoder, messages), paths)
            try_guarded(case, page)
    sys.stdout.write(f"{agreed} of {2 * MESSAGES * types} messages were read, as the library reads them\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
