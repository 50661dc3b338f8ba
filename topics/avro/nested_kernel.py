"""Records that are not flat: a row is a run of a small program, which skips what nobody asked for.

A program (`topics.avro.nested_plan`) has the instructions of `topics.avro.value_kernel` and those below.  The
work for a message is bounded by its bytes: an item takes at least one, items without bytes are not counted
out, and calls nest at most STACK_SIZE deep.

A list that is wanted is read twice.  With its row, its items are checked and counted, and it is noted where
it lies.  Once all rows are there, `read_lists` reads the items of a column into a room that has their number.
"""

import numpy as np
from numba import njit

from schemas.batch import Int64s
from topics.avro.value_kernel import (
    BAD_BRANCH,
    BAD_ITEMS,
    BAD_ITEMS_END,
    BAD_ITEMS_SIZE,
    FAULTS,
    INSTRUCTION_WIDTH,
    LOWER,
    LOWER_LOW,
    OPERATION,
    PROMOTION,
    SIZE,
    SLOT,
    TOO_DEEP,
    UPPER,
    UPPER_LOW,
    VALID,
    read_field,
)
from topics.avro.varint import read_varint
from topics.raw_access import load_word, store_byte, store_word

# Operations beyond those of values; `size` is their argument.
BRANCH = 16  # a union's branch below `size`: that many JUMPs follow
JUMP = 17  # go on at instruction `size`
FAIL = 18  # the message is at fault: `size` says how
CONSTANT = 19  # a null or a default that is not on the wire
BLOCKS = (
    20  # the next block of an array or map, whose items have at least `size` bytes; in the end to `upper`
)
NEXT = 21  # the next item of the block that began at instruction `size`
CALL = 22  # run the subroutine at instruction `size`
RETURN = 23
END = 24  # of the row
# A list whose items have at least `size` bytes.  The next instruction reads an item and drops it, the one
# after that reads it into a room of items.
LIST = 25
FLOW = BRANCH  # the first of them

# What becomes of a value in its cell; `size` is the argument.
AS_IT_IS = 0
WHOLE_TO_DOUBLE = 1
WHOLE_TO_FLOAT = 2
FLOAT_TO_DOUBLE = 3
SCALED = 4  # a number times `size`
SYMBOL_TO_TEXT = 5  # an enum's index; at address `size` lie the symbols' addresses, then their sizes

# Calls and blocks within each other, in one value that is skipped.
STACK_SIZE = 1024
# What is noted of a list, in rows of spans: its count of items, its address, the address after it, and the
# instruction that reads an item.  Where the count is 0, nothing else is looked at.
LIST_WIDTH = 4


@njit(nogil=True, cache=True)
def _promote(row: int, instruction: int, promotion: int, words: int, spans: int, capacity: int) -> None:
    """Make what was written into what the column holds; a null is zeros, and stays so."""
    slot = load_word(instruction + 8 * SLOT)
    if slot < 0:
        return
    argument = load_word(instruction + 8 * SIZE)
    cell = words + 8 * (slot * capacity + row)
    if promotion == SYMBOL_TO_TEXT:
        cell = spans + 8 * (slot * capacity + row)
        if load_word(cell + 8 * capacity) == 0:
            return
        symbol = argument + 8 * load_word(cell)
        count = load_word(instruction + 8 * UPPER) + 1
        store_word(cell, load_word(symbol))
        store_word(cell + 8 * capacity, load_word(symbol + 8 * count))
        return
    word = load_word(cell)
    if promotion == WHOLE_TO_DOUBLE:
        word = int(np.float64(word).view(np.int64))
    elif promotion == WHOLE_TO_FLOAT:
        word = int(np.float32(word).view(np.int32))
    elif promotion == FLOAT_TO_DOUBLE:
        word = int(np.float64(np.int32(word).view(np.float32)).view(np.int64))
    elif promotion == SCALED:
        word = word * argument
    store_word(cell, word)


@njit(nogil=True, cache=True)
def _write_constant(row: int, instruction: int, words: int, spans: int, valid: int, capacity: int) -> None:
    """Write a column's `upper` words, to its spans where `lower` says so; `size` is the validity."""
    validity = load_word(instruction + 8 * VALID)
    if validity >= 0:
        store_byte(valid + validity * capacity + row, load_word(instruction + 8 * SIZE))
    table = spans if load_word(instruction + 8 * LOWER) else words
    cell = table + 8 * (load_word(instruction + 8 * SLOT) * capacity + row)
    store_word(cell, load_word(instruction + 8 * LOWER_LOW))
    if load_word(instruction + 8 * UPPER) == 2:
        store_word(cell + 8 * capacity, load_word(instruction + 8 * UPPER_LOW))


@njit(nogil=True, cache=True)
def _read_items(
    position: int,
    end: int,
    item_size_min: int,
    item: int,
    instruction: int,
    words: int,
    spans: int,
    valid: int,
    capacity: int,
) -> tuple[int, int]:
    """Read an array, its first item as `item`; return the address after it (or a fault) and the next item."""
    promotion = load_word(instruction + 8 * PROMOTION)
    while True:
        left, position = read_varint(position, end)
        if left == 0:  # the end, or a fault
            return position, item
        block_end = 0
        if left < 0:
            size, position = read_varint(position, end)
            if position < 0:
                return position, item
            if size < 0 or size > end - position:
                return BAD_ITEMS_SIZE, item
            block_end = position + size
            left = -left
        # The first comparison catches the one count whose negative does not exist.
        if left < 0 or left > (end - position) // item_size_min:
            return BAD_ITEMS, item
        while left > 0:
            position = read_field(position, end, item, instruction, words, spans, valid, capacity)
            if position < 0:
                return position, item
            if promotion != AS_IT_IS:
                _promote(item, instruction, promotion, words, spans, capacity)
            item += 1
            left -= 1
        if block_end > 0 and position != block_end:
            return BAD_ITEMS_END, item


@njit(nogil=True, cache=True)
def _note_list(
    position: int, end: int, row: int, instruction: int, spans: int, valid: int, capacity: int
) -> int:
    """Check and count a list's items, and note where they lie; return the address after it, or a fault."""
    check = instruction + 8 * INSTRUCTION_WIDTH
    size_min = load_word(instruction + 8 * SIZE)
    # For a literal 0 numba would compile all that reads an item once more, which takes 2 s.
    zero = int(np.int64(0))
    after, count = _read_items(position, end, size_min, zero, check, zero, zero, zero, zero)
    if after < 0:
        return after
    validity = load_word(instruction + 8 * VALID)
    if validity >= 0:
        store_byte(valid + validity * capacity + row, 1)
    cell = spans + 8 * (load_word(instruction + 8 * SLOT) * capacity + row)
    store_word(cell, count)
    store_word(cell + 8 * capacity, position)
    store_word(cell + 16 * capacity, after)
    store_word(cell + 24 * capacity, check + 8 * INSTRUCTION_WIDTH)
    return after


@njit(nogil=True, cache=True)
def read_lists(
    count: Int64s,
    address: Int64s,
    after: Int64s,
    instruction: Int64s,
    words: int,
    spans: int,
    valid: int,
    capacity: int,
) -> int:
    """Read the items of one column's lists, of which each row is noted; return how many were read.

    `words`, `spans` and `valid` are the addresses of tables for as many items as the rows have, `capacity`.
    """
    item, one = int(np.int64(0)), int(np.int64(1))  # not literal: see `_note_list`
    for row in range(count.size):
        if count[row] > 0:
            position, item = _read_items(
                address[row], after[row], one, item, instruction[row], words, spans, valid, capacity
            )
            assert position == after[row]
    return item


@njit(nogil=True, cache=True)
def _next_block(
    position: int, end: int, step: int, instruction: int, stack: int, top: int
) -> tuple[int, int, int]:
    """Begin the next block of an array or map; one that says its size is passed over at once."""
    count, position = read_varint(position, end)
    if position < 0:
        return position, step, top
    if count == 0:
        return position, load_word(instruction + 8 * UPPER), top
    if count < 0:
        size, position = read_varint(position, end)
        if position < 0:
            return position, step, top
        if size < 0 or size > end - position:
            return BAD_ITEMS_SIZE, step, top
        return position + size, step, top
    item_size_min = load_word(instruction + 8 * SIZE)
    if item_size_min == 0:
        return position, step, top
    if count > (end - position) // item_size_min:
        return BAD_ITEMS, step, top
    if top == STACK_SIZE:
        return TOO_DEEP, step, top
    store_word(stack + 8 * top, count)
    return position, step + 1, top + 1


@njit(nogil=True, cache=True)
def _flow(position: int, end: int, step: int, instruction: int, stack: int, top: int) -> tuple[int, int, int]:
    """Run an instruction about the way on; return the address (or a fault), the step and the stack's top."""
    operation = load_word(instruction + 8 * OPERATION)
    argument = load_word(instruction + 8 * SIZE)
    if operation == BRANCH:
        branch, position = read_varint(position, end)
        if position < 0:
            return position, step, top
        if branch < 0 or branch >= argument:
            return BAD_BRANCH, step, top
        return position, step + 1 + branch, top
    if operation == JUMP:
        return position, argument, top
    if operation == BLOCKS:
        return _next_block(position, end, step, instruction, stack, top)
    if operation == NEXT:
        left = load_word(stack + 8 * (top - 1)) - 1
        if left == 0:
            return position, argument, top - 1
        store_word(stack + 8 * (top - 1), left)
        return position, argument + 1, top
    if operation == CALL:
        if top == STACK_SIZE:
            return TOO_DEEP, step, top
        store_word(stack + 8 * top, step + 1)
        return position, argument, top + 1
    if operation == RETURN:
        return position, load_word(stack + 8 * (top - 1)), top - 1
    return argument, step, top  # FAIL


@njit(nogil=True, cache=True)
def read_nested(
    position: int,
    end: int,
    row: int,
    program: int,
    words: int,
    spans: int,
    valid: int,
    capacity: int,
    stack: int,
) -> int:
    """Read one record; return the address after it, or a fault less FAULTS for each instruction before.

    `stack` is the address of STACK_SIZE words.
    """
    step = top = int(np.int64(0))  # not literal: see `_note_list`
    while True:
        instruction = program + 8 * INSTRUCTION_WIDTH * step
        operation = load_word(instruction + 8 * OPERATION)
        if operation < FLOW:
            position = read_field(position, end, row, instruction, words, spans, valid, capacity)
            if position < 0:
                return position - step * FAULTS
            promotion = load_word(instruction + 8 * PROMOTION)
            if promotion != AS_IT_IS:
                _promote(row, instruction, promotion, words, spans, capacity)
            step += 1
        elif operation == CONSTANT:
            _write_constant(row, instruction, words, spans, valid, capacity)
            step += 1
        elif operation == LIST:
            position = _note_list(position, end, row, instruction, spans, valid, capacity)
            if position < 0:
                return position - step * FAULTS
            step += 3
        elif operation == END:
            return position
        else:
            at = step
            position, step, top = _flow(position, end, step, instruction, stack, top)
            if position < 0:
                return position - at * FAULTS
