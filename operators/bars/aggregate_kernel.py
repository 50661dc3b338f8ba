"""What formulas sum up inside a bar: sums and means exactly, the others by comparing or by their order.

Of an aggregate's words the first one counts its values; behind it lies the value, or the exact sums.  A null
is no value; without any the result is null, but for a count.
"""

from typing import Final

from operators.bars import words as at
from operators.bars.compiled import inlined, kernel
from operators.bars.held_kernel import settle
from operators.bars.words import Closed, Float64s, Rule, State, Trades
from operators.nodes import exact_kernel as exact
from operators.nodes.exact_kernel import FLOAT_MAX, SIZE
from schemas.batch import Int64s

SUM: Final = 0
MEAN: Final = 1
WMEAN: Final = 2
MIN: Final = 3
MAX: Final = 4
FIRST: Final = 5
LAST: Final = 6
COUNT: Final = 7

# Columns of an aggregate: which it is, its value and its weight among those of a trade, its words.
OPCODE: Final = 0
VALUE: Final = 1
WEIGHT: Final = 2
PLACE: Final = 3

# Its words: how many values, whether a product was too large, and the value or the sums.
VALUES: Final = 0
TOO_LARGE: Final = 1
HELD: Final = 2
WEIGHTS: Final = HELD + SIZE
SETTLE_VALUES: Final = 1 << 20  # a digit holds 2**31 addends


def words_of(opcode: int) -> int:
    """How many words an aggregate has."""
    return HELD + (2 * SIZE if opcode == WMEAN else SIZE if opcode in (SUM, MEAN) else 1)


def sums_of(opcode: int) -> tuple[int, ...]:
    """Where its exact sums lie among its words."""
    return (HELD, WEIGHTS) if opcode == WMEAN else (HELD,) if opcode in (SUM, MEAN) else ()


@kernel
def begin(rule: Rule, state: State, o: int) -> None:
    """Begin all aggregates of a bar."""
    words = state.words
    for k in range(rule.aggregates.shape[0]):
        opcode, a = rule.aggregates[k, OPCODE], o + rule.aggregates[k, PLACE]
        words[a + VALUES] = words[a + TOO_LARGE] = 0
        if opcode <= WMEAN:
            exact.clear(words, a + HELD)
        else:
            words[a + HELD] = 0
        if opcode == WMEAN:
            exact.clear(words, a + WEIGHTS)


@inlined
def add(rule: Rule, state: State, o: int, trades: Trades, i: int) -> None:
    """Add a trade to all aggregates."""
    words, floats = state.words, state.floats
    for k in range(rule.aggregates.shape[0]):
        opcode, a = rule.aggregates[k, OPCODE], o + rule.aggregates[k, PLACE]
        x, w = rule.aggregates[k, VALUE], rule.aggregates[k, WEIGHT]
        if not trades.there[x, i] or (opcode == WMEAN and not trades.there[w, i]):
            continue
        value = trades.values[x, i]
        if opcode == WMEAN:
            weight = trades.values[w, i]
            if not exact.add_product(words, floats, a + HELD, value, weight, 1):
                words[a + TOO_LARGE] = 1
            _add(words, floats, a + WEIGHTS, weight)
        elif opcode <= MEAN:
            _add(words, floats, a + HELD, value)
        elif opcode == MIN:
            if words[a + VALUES] == 0 or value < floats[a + HELD]:
                floats[a + HELD] = value
        elif opcode == MAX:
            if words[a + VALUES] == 0 or value > floats[a + HELD]:
                floats[a + HELD] = value
        elif opcode == LAST or (opcode == FIRST and words[a + VALUES] == 0):
            floats[a + HELD] = value
        words[a + VALUES] += 1
        if opcode <= WMEAN and words[a + VALUES] % SETTLE_VALUES == 0:
            settle(words, a + HELD)
            if opcode == WMEAN:
                settle(words, a + WEIGHTS)


@kernel
def write(rule: Rule, state: State, o: int, is_empty: bool, closed: Closed, used: int) -> None:
    """Write all aggregates of a bar: two columns each, the value and whether there is one."""
    words, floats = state.words, state.floats
    for k in range(rule.aggregates.shape[0]):
        opcode, a = rule.aggregates[k, OPCODE], o + rule.aggregates[k, PLACE]
        column = at.COLUMNS + 2 * k
        count = 0 if is_empty else words[a + VALUES]
        if opcode == COUNT:
            closed.ints[column, used], closed.ints[column + 1, used] = count, 1
            continue
        value = 0.0
        there = count > 0 and words[a + TOO_LARGE] == 0
        if there:
            if opcode == SUM:
                value = exact.nearest(words, a + HELD)
            elif opcode == MEAN:
                value = exact.mean(words, a + HELD, count)
            elif opcode == WMEAN:
                weight = exact.nearest(words, a + WEIGHTS)
                there = weight != 0.0 and abs(weight) <= FLOAT_MAX
                if there:
                    value = exact.nearest(words, a + HELD) / weight
            else:
                value = floats[a + HELD]
            there = there and abs(value) <= FLOAT_MAX
        closed.floats[column, used] = value if there else 0.0
        closed.ints[column + 1, used] = there


@kernel
def _add(words: Int64s, floats: Float64s, o: int, value: float) -> None:
    floats[o + exact.SCRATCH] = value
    exact.add(words, o, words[o + exact.SCRATCH], 1)
