"""Whole numbers of two and of four words, as processors add and multiply them: exact sums that are near.

A number is its words, each an int64, the lowest first; the highest has the sign.  Compiled, each function is
a few instructions with their carries, which numba has no name for; in plain Python integers are of any
length.
"""

import inspect
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from llvmlite import ir
from numba import types
from numba.extending import lower_builtin, type_callable

Two: TypeAlias = tuple[int, int]
Four: TypeAlias = tuple[int, int, int, int]

WORD: Final = 64  # bits
WORD_MASK: Final = (1 << WORD) - 1

_I64: Final = ir.IntType(64)
_I128: Final = ir.IntType(128)
_I256: Final = ir.IntType(256)


def integer(words: tuple[int, ...]) -> int:
    """The number that words are."""
    *lower, highest = (int(word) for word in words)
    return sum((word & WORD_MASK) << (WORD * place) for place, word in enumerate(lower)) + (
        highest << (WORD * len(lower))
    )


def _words(number: int, count: int) -> tuple[int, ...]:
    """The words of a number that so many hold; higher bits are let go."""
    lower = [(number >> (WORD * place)) & WORD_MASK for place in range(count)]
    return tuple(word - (1 << WORD) if word >> (WORD - 1) else word for word in lower)


def shifted(mantissa: int, shift: int) -> Two:
    """mantissa * 2**shift, 0 <= shift < 64, of a mantissa of at most 63 bits that is not negative."""
    low, high = _words(int(mantissa) << int(shift), 2)
    return low, high


def two_sum(low: int, high: int, x: int, x_high: int, sign: int) -> Two:
    """The first number and `sign` times the second one; sign is 1 or -1."""
    low, high = _words(integer((low, high)) + int(sign) * integer((x, x_high)), 2)
    return low, high


def with_square(w0: int, w1: int, w2: int, w3: int, x: int, x_high: int, sign: int) -> Four:
    """The number of four words and `sign` times the square of another one, which is not negative."""
    w0, w1, w2, w3 = _words(integer((w0, w1, w2, w3)) + int(sign) * integer((x, x_high)) ** 2, 4)
    return w0, w1, w2, w3


def spread(n: int, low: int, high: int, w0: int, w1: int, w2: int, w3: int) -> Four:
    """n * Q - S * S, for S of two words and Q of four."""
    w0, w1, w2, w3 = _words(int(n) * integer((w0, w1, w2, w3)) - integer((low, high)) ** 2, 4)
    return w0, w1, w2, w3


def distance(n: int, x: int, x_high: int, low: int, high: int) -> Two:
    """n * x - S, both of two words."""
    low, high = _words(int(n) * integer((x, x_high)) - integer((low, high)), 2)
    return low, high


def normal(low: int, high: int) -> tuple[int, int, int]:
    """The number times a power of two, so that its highest word has 62 bits and a sign; the power comes last.

    Of 0 it is 0 and 127.
    """
    number = integer((low, high))
    power = 127 - (number if number >= 0 else ~number).bit_length()
    low, high = _words(number << power, 2)
    return low, high, power


def top(low: int, middle: int, high: int) -> tuple[int, int, int]:
    """The 127 highest bits of three words without a sign, which are not 0 in the highest: as two, high first.

    And how many bits of the highest word are 0 before its first.
    """
    number = sum((int(word) & WORD_MASK) << (WORD * place) for place, word in enumerate((low, middle, high)))
    zeros = 3 * WORD - number.bit_length()
    lower, upper = _words((number << zeros) >> (WORD + 1), 2)
    return upper, lower, zeros


def _wide(builder: ir.IRBuilder, words: Any, kind: ir.IntType, *, signed: bool = True) -> Any:
    """Words as one integer of a kind that is at least as long."""
    number = ir.Constant(kind, 0)
    for place, word in enumerate(words):
        extend = builder.sext if signed and place == len(words) - 1 else builder.zext
        part = extend(word, kind)
        number = builder.or_(number, builder.shl(part, kind(WORD * place))) if place else part
    return number


def _give(target: Any, builder: ir.IRBuilder, signature: Any, number: Any, count: int, *more: Any) -> Any:
    """The words of an integer as a tuple, and what comes behind them."""
    kind = number.type
    words = [builder.trunc(builder.lshr(number, kind(WORD * place)), _I64) for place in range(count)]
    return target.make_tuple(builder, signature.return_type, [*words, *more])


def _signed(builder: ir.IRBuilder, number: Any, sign: Any) -> Any:
    """A number, or what takes it away where the sign is -1: nothing where the sign is known."""
    mask = builder.sext(builder.ashr(sign, _I64(WORD - 1)), number.type)
    return builder.sub(builder.xor(number, mask), mask)


def _product(builder: ir.IRBuilder, x: Any, y: Any) -> Any:
    """The product of two words without a sign, of 256 bits: one instruction."""
    return builder.zext(builder.mul(builder.zext(x, _I128), builder.zext(y, _I128)), _I256)


def _square(builder: ir.IRBuilder, low: Any, high: Any) -> Any:
    """The square of a number of two words without a sign, of which the higher one has at most 62 bits."""
    crossed = builder.shl(_product(builder, low, high), _I256(WORD + 1))
    outer = builder.shl(_product(builder, high, high), _I256(2 * WORD))
    return builder.add(builder.add(_product(builder, low, low), crossed), outer)


def _shifted(target: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
    mantissa, shift = values
    kept = builder.and_(shift, _I64(WORD - 1))
    low = builder.shl(mantissa, kept)
    high = builder.lshr(builder.lshr(mantissa, _I64(1)), builder.xor(kept, _I64(WORD - 1)))
    return target.make_tuple(builder, signature.return_type, [low, high])


def _two_sum(target: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
    low, high, x, x_high, sign = values
    added = _signed(builder, _wide(builder, (x, x_high), _I128), sign)
    return _give(target, builder, signature, builder.add(_wide(builder, (low, high), _I128), added), 2)


def _with_square(target: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
    *words, x, x_high, sign = values
    added = _signed(builder, _square(builder, x, x_high), sign)
    return _give(target, builder, signature, builder.add(_wide(builder, words, _I256), added), 4)


def _spread(target: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
    n, low, high, *words = values
    negative = builder.sext(builder.ashr(high, _I64(WORD - 1)), _I128)
    size = _wide(builder, (low, high), _I128)
    size = builder.sub(builder.xor(size, negative), negative)
    parts = [builder.trunc(builder.lshr(size, _I128(WORD * place)), _I64) for place in range(2)]
    total = _product(builder, words[0], n)
    for place, word in enumerate(words[1:], 1):
        total = builder.add(total, builder.shl(_product(builder, word, n), _I256(WORD * place)))
    return _give(target, builder, signature, builder.sub(total, _square(builder, *parts)), 4)


def _distance(target: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
    n, x, x_high, low, high = values
    times = builder.mul(_wide(builder, (x, x_high), _I128), builder.zext(n, _I128))
    return _give(target, builder, signature, builder.sub(times, _wide(builder, (low, high), _I128)), 2)


def _zeros(builder: ir.IRBuilder, word: Any) -> Any:
    """How many bits of a word are 0 before its first: 64 of 0."""
    return builder.ctlz(word, ir.Constant(ir.IntType(1), 0))


def _normal(target: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
    low, high = values
    sign = builder.ashr(high, _I64(WORD - 1))
    upper = builder.xor(high, sign)
    is_short = builder.icmp_signed("==", upper, _I64(0))
    # Where the higher word says the sign alone, the lower one is moved there, whole but for its last bit.
    zeros = builder.select(
        is_short,
        builder.add(_zeros(builder, builder.xor(low, sign)), _I64(WORD)),
        _zeros(builder, upper),
    )
    power = builder.sub(zeros, _I64(1))
    # Word by word, so that a loop does it to several numbers at once.
    kept = builder.and_(power, _I64(WORD - 1))
    moved = builder.shl(low, kept)
    over = builder.lshr(builder.lshr(low, _I64(1)), builder.xor(kept, _I64(WORD - 1)))
    is_far = builder.icmp_signed(">=", power, _I64(WORD))
    high = builder.select(is_far, moved, builder.or_(builder.shl(high, kept), over))
    low = builder.select(is_far, _I64(0), moved)
    return target.make_tuple(builder, signature.return_type, [low, high, power])


def _top(target: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
    low, middle, high = values
    zeros = builder.and_(_zeros(builder, high), _I64(WORD - 1))
    behind = builder.xor(zeros, _I64(WORD - 1))

    def moved(word: Any, next_word: Any) -> Any:
        rest = builder.lshr(builder.lshr(next_word, _I64(1)), behind)
        return builder.or_(builder.shl(word, zeros), rest)

    upper, lower = moved(high, middle), moved(middle, low)
    lower = builder.or_(builder.shl(upper, _I64(WORD - 1)), builder.lshr(lower, _I64(1)))
    upper = builder.lshr(upper, _I64(1))
    return target.make_tuple(builder, signature.return_type, [upper, lower, zeros])


def _compile(function: Callable[..., Any], count: int, code: Callable[..., Any]) -> None:
    """Let kernels call a function of words, which gives `count` of them, by the instructions of `code`."""

    parameters = inspect.signature(function)
    result: Any = types.UniTuple(types.int64, count)  # type: ignore[no-untyped-call]

    @type_callable(function)
    def _typed(context: Any) -> Any:
        def words(*arguments: Any) -> Any:
            return result(*(types.int64,) * len(arguments))

        vars(words)["__signature__"] = parameters  # what numba asks it for
        return words

    lower_builtin(function, *(types.int64,) * len(parameters.parameters))(code)  # type: ignore[no-untyped-call]


_compile(shifted, 2, _shifted)
_compile(two_sum, 2, _two_sum)
_compile(with_square, 4, _with_square)
_compile(spread, 4, _spread)
_compile(distance, 2, _distance)
_compile(normal, 3, _normal)
_compile(top, 3, _top)
