"""Kernels read and write messages where they lie, by address: whoever calls these has checked the bounds.

Addresses are int64 (user space never reaches the sign bit), so that no expression mixes signed and unsigned,
which numba would turn into a float.  Every load and store is unaligned, little endian and of a fixed size.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_memcpy: Any = cgutils.raw_memcpy
_intrinsic: Any = intrinsic
_ir: Any = ir
_VOID: Any = _ir.VoidType()
_POINTER: Any = cgutils.voidptr_t
_INTEGERS = {8: cgutils.int8_t, 32: cgutils.int32_t, 64: cgutils.intp_t}


def _load(bits: int) -> Any:
    def load(_typing: Any, _address: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            pointer = builder.inttoptr(args[0], _INTEGERS[bits].as_pointer())
            value = builder.load(pointer, align=1)
            return value if bits == 64 else builder.zext(value, cgutils.intp_t)

        return types.int64(types.int64), generate

    return _intrinsic(load)


load_byte: Callable[[int], int] = _load(8)  # (address) -> 0..255
load_half: Callable[[int], int] = _load(32)  # (address) -> the next 4 bytes, zero extended
load_word: Callable[[int], int] = _load(64)  # (address) -> the next 8 bytes


def _store(bits: int) -> Any:
    def store(_typing: Any, _address: Any, _value: Any) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            pointer = builder.inttoptr(args[0], _INTEGERS[bits].as_pointer())
            value = args[1] if bits == 64 else builder.trunc(args[1], _INTEGERS[bits])
            builder.store(value, pointer, align=1)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64), generate

    return _intrinsic(store)


store_byte: Callable[[int, int], None] = _store(8)  # (address, value): the lowest byte of value
store_half: Callable[[int, int], None] = _store(32)  # (address, value): the lowest 4 bytes of value
store_word: Callable[[int, int], None] = _store(64)  # (address, value): all 8 bytes of value


def _copy(_typing: Any, _to: Any, _from: Any, _size: Any) -> Any:
    """Copy `size` bytes between places that do not overlap."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        to_pointer = builder.inttoptr(args[0], cgutils.voidptr_t)
        from_pointer = builder.inttoptr(args[1], cgutils.voidptr_t)
        _memcpy(builder, to_pointer, from_pointer, args[2], 1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


def _call(result: Any, *arguments: Any) -> Any:
    """Return how to call the C function at an address with words, which are cut to `arguments`."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        function = builder.inttoptr(args[0], _ir.FunctionType(result, arguments).as_pointer())
        passed = [_narrowed(builder, word, kind) for word, kind in zip(args[1:], arguments, strict=True)]
        returned = builder.call(function, passed)
        return context.get_dummy_value() if result is _VOID else builder.ptrtoint(returned, cgutils.intp_t)

    answer = types.void if result is _VOID else types.int64
    return answer(*[types.int64] * (1 + len(arguments))), generate


def _narrowed(builder: Any, word: Any, kind: Any) -> Any:
    if kind is _POINTER:
        return builder.inttoptr(word, kind)
    return word if kind is cgutils.intp_t else builder.trunc(word, kind)


def _call_with(_typing: Any, _function: Any, _first: Any) -> Any:
    return _call(_VOID, _POINTER)


def _call_for(_typing: Any, _function: Any, _first: Any) -> Any:
    return _call(_POINTER, _POINTER)


def _call_pair(_typing: Any, _function: Any, _first: Any, _second: Any) -> Any:
    return _call(_POINTER, _POINTER, _POINTER)


def _call_numbered(_typing: Any, _function: Any, _first: Any, _number: Any) -> Any:
    return _call(_POINTER, _POINTER, cgutils.int32_t)


def _call_four(_typing: Any, _function: Any, _first: Any, _second: Any, _third: Any, _fourth: Any) -> Any:
    return _call(_POINTER, _POINTER, _POINTER, _POINTER, _POINTER)


def _call_sized(_typing: Any, _function: Any, _first: Any, _second: Any, _size: Any) -> Any:
    return _call(_POINTER, _POINTER, _POINTER, cgutils.intp_t)


def _trailing_zeros(_typing: Any, _value: Any) -> Any:
    """Count the zero bits below the lowest set bit; 64 for 0."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], cgutils.false_bit)

    return types.int64(types.int64), generate


def _leading_zeros(_typing: Any, _value: Any) -> Any:
    """Count the zero bits above the highest set bit; 64 for 0."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.ctlz(args[0], cgutils.false_bit)

    return types.int64(types.int64), generate


def _multiply_high(_typing: Any, _left: Any, _right: Any) -> Any:
    """Return the upper 64 bits of the product of two words without a sign."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        wide = _ir.IntType(128)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        return builder.trunc(builder.lshr(product, wide(64)), cgutils.intp_t)

    return types.int64(types.int64, types.int64), generate


def _double_bits(_typing: Any, _value: Any) -> Any:
    """Return the bits of a float64."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], cgutils.intp_t)

    return types.int64(types.float64), generate


def _single_bits(_typing: Any, _bits: Any) -> Any:
    """Return the bits of the float32 nearest to a float64, which is given by its bits."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        single = builder.fptrunc(builder.bitcast(args[0], _ir.DoubleType()), _ir.FloatType())
        return builder.zext(builder.bitcast(single, _INTEGERS[32]), cgutils.intp_t)

    return types.int64(types.int64), generate


copy_bytes: Callable[[int, int, int], None] = _intrinsic(_copy)  # (to, from, size)
trailing_zeros: Callable[[int], int] = _intrinsic(_trailing_zeros)
leading_zeros: Callable[[int], int] = _intrinsic(_leading_zeros)
multiply_high: Callable[[int, int], int] = _intrinsic(_multiply_high)
double_bits: Callable[[float], int] = _intrinsic(_double_bits)
single_bits: Callable[[int], int] = _intrinsic(_single_bits)
call_with: Callable[[int, int], None] = _intrinsic(_call_with)  # (function, pointer)
call_for: Callable[[int, int], int] = _intrinsic(_call_for)  # (function, pointer) -> pointer
# (function, pointer, pointer) -> pointer, or a number of 8 bytes
call_pair: Callable[[int, int, int], int] = _intrinsic(_call_pair)
# (function, pointer, number of 4 bytes) -> pointer
call_numbered: Callable[[int, int, int], int] = _intrinsic(_call_numbered)
# (function, pointer, pointer, pointer, pointer) -> pointer, or a number of 8 bytes
call_four: Callable[[int, int, int, int, int], int] = _intrinsic(_call_four)
# (function, pointer, pointer, size) -> pointer
call_with_sized: Callable[[int, int, int, int], int] = _intrinsic(_call_sized)
