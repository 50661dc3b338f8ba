"""One call runs a whole program over a batch of rows, tile by tile.

A call from Python for each segment and tile costs more than what it computes where a batch has 100 rows.
The kernels of segments are called by their addresses: compiled into this one, they would take minutes.
"""

from typing import Any, Final

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

from operators.nodes import places as at
from operators.nodes.ahead_kernel import ask_on, ask_rings, ask_states
from operators.nodes.evaluate_kernel import load
from operators.nodes.history_kernel import enter, leave
from operators.nodes.lent_kernel import lend
from operators.nodes.row_kernel import Grid
from operators.nodes.stateful_kernel import FAMILIES
from operators.nodes.store_kernel import reorder, store
from schemas.batch import Int64s

COMPILED: Final = hasattr(FAMILIES[0], "overloads")  # else kernels run as plain Python

# Columns of `segments`.
ADDRESS: Final = 0
FIRST: Final = 1
BEHIND: Final = 2

# Of what numba holds an array by: who counts the references to its memory, and the object of Python.
MEMINFO: Final = 0
PARENT: Final = 1


def address_of(family: int) -> int:
    """Where the kernel of a family begins, which has been compiled or loaded; its number in plain Python."""
    if not COMPILED:
        return family
    kernel: Any = FAMILIES[family]
    (compiled,) = kernel.overloads.values()
    return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))


@intrinsic
def _jump(context: Any, address: Any, arguments: Any) -> Any:
    """Call the kernel at an address, which takes the elements of a tuple and returns nothing.

    Arrays are lent: they come without their counts of references, which kernels would raise and lower for
    each row, 20 cycles each time.  The caller holds them for as long as the call lasts.
    """

    def lent(builder: ir.IRBuilder, kind: Any, value: Any) -> Any:
        for place in (MEMINFO, PARENT) if isinstance(kind, types.Array) else ():
            value = builder.insert_value(value, ir.Constant(value.type.elements[place], None), place)
        return value

    def code(target: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        taken = list(signature.args[1])
        calls = target.call_conv
        form = calls.get_function_type(types.none, taken)
        kernel = builder.inttoptr(values[0], form.as_pointer())
        parameters = [
            lent(builder, kind, builder.extract_value(values[1], number)) for number, kind in enumerate(taken)
        ]
        status, _ = calls.call_function(builder, kernel, types.none, taken, parameters)
        with builder.if_then(status.is_error, likely=False):
            calls.return_status_propagate(builder, status)
        return target.get_dummy_value()

    return types.none(address, arguments), code


def call(address: int, arguments: tuple[Any, ...]) -> None:
    """Call the kernel of a family."""
    FAMILIES[address](*arguments)


@overload(call)
def _call(address: Any, arguments: Any) -> Any:
    def compiled(address: Any, arguments: Any) -> Any:
        _jump(address, arguments)  # type: ignore[call-arg]  # numba gives the context

    return compiled


@njit(nogil=True, cache=True)
def run_program(
    loads: Grid,
    lines: Grid,
    segments: Grid,
    stores: Grid,
    floats: Grid,
    float_words: Grid,
    ints: Grid,
    bools: Grid,
    status: Grid,
    in_floats: Grid,
    in_ints: Grid,
    in_bits: Grid,
    in_valid: Grid,
    in_shift: Int64s,
    in_valid_shift: Int64s,
    out_floats: Grid,
    out_ints: Grid,
    out_bytes: Grid,
    out_bits: Grid,
    out_valid: Grid,
    out_counts: Grid,
    out_reasons: Grid,
    coming: Grid,
    retention: Int64s,
    places: Grid,
    rings: Grid,
    kept: Grid,
    kept_status: Grid,
    kept_time: Int64s,
    lists: Grid,
    words: Int64s,
    word_floats: Grid,
    hints: Grid,
    stride: int,
    remembers: int,
    keeps: int,
    ordered: int,
    lower: int,
    rows: int,
) -> None:
    """Run a program over the `rows` of the inputs; features go to the outputs from row `lower` on.

    Where rows are `ordered`, what is coming has them by symbol, and says which row each is.

    `segments` has for each the address of its kernel and which of the `lines` are its own; `hints` are what
    `ahead_kernel` asks for, none where memory is near, and `stride` is the words of a symbol.  The arrays are
    those of `Registers`, `Inputs`, `Outputs` and `Memory`, one by one: tuples of arrays take three times as
    long to hand over.
    """
    tile, order = floats.shape[1], lend(coming[at.ROW])
    for first in range(0, rows, tile):
        count = min(tile, rows - first)
        load(
            loads,
            lend(in_floats),
            lend(in_ints),
            lend(in_bits),
            lend(in_valid),
            lend(in_shift),
            lend(in_valid_shift),
            lend(floats),
            lend(ints),
            lend(bools),
            lend(status),
            order,
            ordered,
            first,
            count,
        )
        if remembers != 0:
            if hints.shape[0] > 0:
                ask_rings(lend(coming), first, lend(rings.reshape(-1)), count)
            enter(lend(coming), first, lend(places), lend(rings), lend(kept_time), keeps, count)
            if hints.shape[0] > 0:
                columns, pool = kept.shape[0], lend(kept.T.reshape(-1))
                pool_status = lend(kept_status.T.reshape(-1))
                ask_states(hints, stride, lend(places), pool, columns, lend(words), count)
                ask_on(
                    hints,
                    stride,
                    lend(places),
                    pool,
                    pool_status,
                    columns,
                    lend(kept_time),
                    lend(words),
                    count,
                )
        for number in range(segments.shape[0]):
            call(
                segments[number, ADDRESS],
                (
                    lines[segments[number, FIRST] : segments[number, BEHIND]],
                    floats,
                    float_words,
                    ints,
                    bools,
                    status,
                    places,
                    kept,
                    kept_status,
                    kept_time,
                    lists,
                    words,
                    word_floats,
                    count,
                ),
            )
        store(
            stores,
            floats,
            ints,
            bools,
            status,
            out_floats,
            out_ints,
            out_bytes,
            out_bits,
            out_valid,
            out_counts,
            out_reasons,
            lower + first,
            count,
        )
        if keeps != 0:
            of_rings = lend(places), lend(rings), lend(kept_time)
            leave(*of_rings, retention[0], retention[1], retention[2], count)
    if ordered != 0:
        where, spare = lend(coming[at.PLACE]), lend(coming[at.SPARE])
        outputs = out_floats, out_ints, out_bytes, out_bits, out_valid, out_reasons
        reorder(stores, *outputs, where, spare, lower, rows)
