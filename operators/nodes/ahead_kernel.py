"""Asks for the memory that a tile of rows is going to read, all at once, before any of it is waited for.

The state of a symbol lies in some dozens of lines of memory.  With a thousand symbols most of them are in no
near cache, and to wait for one after the other takes as long as all that is computed.
"""

from typing import Any, Final

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

from operators.nodes import places as at
from operators.nodes.exact_kernel import DIGITS, HIGHEST, LOWEST
from operators.nodes.lent_kernel import DATA as DATA_OF_LENT
from operators.nodes.row_kernel import Grid
from schemas.batch import Int64s

# What lies at a place among the words of a symbol: nothing that leads on, the ordinal at which a window
# begins, an exact sum.
PLAIN: Final = 0
BEGINS: Final = 1
SUM: Final = 2

LINE_WORDS: Final = 8  # of a line of the processor's cache

NEAR: Final = 3  # llvm.prefetch: to every level of the cache
DATA: Final = 1


@intrinsic
def _prefetch(context: Any, words: Any, place: Any) -> Any:
    """Ask for the line of a word of a one-dimensional array that is lent."""

    def code(target: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        data = builder.extract_value(values[0], DATA_OF_LENT)
        address = builder.bitcast(builder.gep(data, [values[1]]), ir.IntType(8).as_pointer())
        flag = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [address.type, flag, flag, flag])
        function = builder.module.declare_intrinsic("llvm.prefetch", [address.type], kind)
        builder.call(function, [address, flag(0), flag(NEAR), flag(DATA)])
        return target.get_dummy_value()

    return types.none(words, types.int64), code


def ask(words: Grid, place: int) -> None:
    """Ask for the line of a word of what is lent; nothing hangs on it."""


@overload(ask)
def _ask(words: Any, place: Any) -> Any:
    def compiled(words: Any, place: Any) -> Any:
        _prefetch(words, place)  # type: ignore[call-arg]  # numba gives the context

    return compiled


@njit(nogil=True, cache=True)
def ask_rings(coming: Grid, lower: int, rings: Int64s, rows: int) -> None:
    """Ask for where the rings of a tile's symbols are; `rings` one after another."""
    for i in range(rows):
        g = coming[at.GROUP, lower + i]
        if g >= 0:
            ask(rings, g * at.RINGS)


@njit(nogil=True, cache=True)
def ask_states(
    hints: Grid, stride: int, places: Grid, kept: Int64s, columns: int, words: Int64s, rows: int
) -> None:
    """Ask for the words of a tile's symbols, and for the rows that come in; `kept` row after row.

    A row whose symbol is that of the row before it finds the words there.
    """
    last = -1
    for i in range(rows):
        g = places[at.GROUP, i]
        if g < 0:
            continue
        if g != last:
            last = g
            for k in range(hints.shape[0]):
                ask(words, g * stride + hints[k, 0])
        ask(kept, places[at.SLOT, i] * columns)


@njit(nogil=True, cache=True)
def ask_on(
    hints: Grid,
    stride: int,
    places: Grid,
    kept: Int64s,
    kept_status: Grid,
    columns: int,
    kept_time: Int64s,
    words: Int64s,
    rows: int,
) -> None:
    """Ask for what these words lead to: the rows with which windows begin, and the digits of sums.

    As a row comes to a window, one leaves it, mostly.
    """
    last, ahead = -1, 0
    for i in range(rows):
        g = places[at.GROUP, i]
        if g < 0:
            continue
        ahead = ahead + 1 if g == last else 0
        last = g
        start, mask = places[at.RING, i], places[at.ROOM, i]
        for k in range(hints.shape[0]):
            o, kind = g * stride + hints[k, 0], hints[k, 1]
            if kind == BEGINS:
                slot = start + ((words[o] + ahead) & mask)
                ask(kept, slot * columns)
                if ahead % LINE_WORDS == 0:
                    ask(kept_status, slot * columns)
                    ask(kept_time, slot)
            elif ahead != 0:
                break  # those of windows come first
            elif kind == SUM:
                ask(words, o + DIGITS + words[o + LOWEST])
                ask(words, o + DIGITS + words[o + HIGHEST])
