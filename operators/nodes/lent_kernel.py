"""Arrays lent to kernels: where their values begin and how far apart rows are, and nothing else.

numba hands an array to a function as ten words, counts who refers to its memory, and looks at each index for
a count from the end.  A kernel that calls a few small functions for each row spends more on that than on what
it computes.  What is lent is read and written at places from 0 on, and belongs to the caller, who holds it
for as long as the call lasts.
"""

import operator
from typing import Any, Final, TypeVar

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, overload, register_model

Array = TypeVar("Array")

ROWS: Final = "C"  # how the values of an array lie: row after row, or column after column
COLUMNS: Final = "F"

# Of what is lent: its parts, the latter of two dimensions alone.
DATA: Final = 0
STRIDE: Final = 1


class LentType(types.Type):
    """An array of one or two dimensions that is lent, in numba's eyes."""

    def __init__(self, dtype: Any, ndim: int, layout: str) -> None:
        assert ndim in (1, 2), f"an array of {ndim} dimensions is not lent"
        assert layout in (ROWS, COLUMNS), "an array whose values lie apart is not lent"
        self.dtype, self.ndim, self.layout = dtype, ndim, layout
        super().__init__(name=f"lent({dtype}, {ndim}, {layout})")


@register_model(LentType)
class _LentModel(models.StructModel):
    def __init__(self, manager: Any, kind: LentType) -> None:
        data: Any = types.CPointer(kind.dtype)  # type: ignore[no-untyped-call]
        members = [("data", data), ("stride", types.intp)]
        super().__init__(manager, kind, members[: kind.ndim])  # type: ignore[no-untyped-call]


@intrinsic
def _lend(context: Any, array: Any) -> Any:
    kind = LentType(array.dtype, array.ndim, array.layout)

    def code(target: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        whole = target.make_array(signature.args[0])(target, builder, values[0])
        lent = builder.insert_value(_nothing(target, kind), whole.data, DATA)
        if kind.ndim == 2:
            step = builder.extract_value(whole.strides, 0 if kind.layout == ROWS else 1)
            step = builder.sdiv(step, whole.itemsize, flags=["exact"])
            lent = builder.insert_value(lent, step, STRIDE)
        return lent

    return kind(array), code


def lend(array: Array) -> Array:
    """Return the array as one that is lent; the array itself in plain Python."""
    return array


@overload(lend)
def _lent(array: Any) -> Any:
    def again(array: Any) -> Any:
        return array

    def compiled(array: Any) -> Any:
        return _lend(array)  # type: ignore[call-arg]  # numba gives the context

    return again if isinstance(array, LentType) else compiled


def _address(target: Any, builder: ir.IRBuilder, kind: Any, value: Any, places: Any) -> Any:
    """Where a value lies; `places` are an index a dimension, each with its type."""
    data = builder.extract_value(value, DATA)
    at = [target.cast(builder, index, of_index, types.intp) for index, of_index in places]
    if kind.ndim == 1:
        return builder.gep(data, at)
    major, minor = at if kind.layout == ROWS else at[::-1]
    first = builder.mul(major, builder.extract_value(value, STRIDE))
    return builder.gep(data, [builder.add(first, minor)])


def _nothing(target: Any, kind: LentType) -> Any:
    return ir.Constant(target.get_value_type(kind), ir.Undefined)


def _places(builder: ir.IRBuilder, kind: Any, value: Any) -> Any:
    if isinstance(kind, types.Integer):
        return [(value, kind)]
    return [(builder.extract_value(value, number), kind[number]) for number in range(len(kind))]


def _is_place(lent: Any, index: Any) -> bool:
    """Whether an index names one value."""
    if lent.ndim == 1:
        return isinstance(index, types.Integer)
    pair = isinstance(index, types.BaseTuple) and len(index) == 2
    return pair and all(isinstance(one, types.Integer) for one in index)


@intrinsic
def _read(context: Any, lent: Any, index: Any) -> Any:
    def code(target: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        kind, of_index = signature.args
        return builder.load(_address(target, builder, kind, values[0], _places(builder, of_index, values[1])))

    return lent.dtype(lent, index), code


@intrinsic
def _write(context: Any, lent: Any, index: Any, value: Any) -> Any:
    def code(target: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        kind, of_index, of_value = signature.args
        address = _address(target, builder, kind, values[0], _places(builder, of_index, values[1]))
        builder.store(target.cast(builder, values[2], of_value, kind.dtype), address)
        return target.get_dummy_value()

    return types.none(lent, index, value), code


@intrinsic
def _row(context: Any, lent: Any, index: Any) -> Any:
    """A row of an array whose rows lie one after another."""
    row = LentType(lent.dtype, 1, ROWS)

    def code(target: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        of_index = signature.args[1]
        data, stride = (builder.extract_value(values[0], part) for part in (DATA, STRIDE))
        place = builder.mul(target.cast(builder, values[1], of_index, types.intp), stride)
        return builder.insert_value(_nothing(target, row), builder.gep(data, [place]), DATA)

    return row(lent, index), code


@overload(operator.getitem)
def _getitem(lent: Any, index: Any) -> Any:
    def one(lent: Any, index: Any) -> Any:
        return _read(lent, index)  # type: ignore[call-arg]

    def row(lent: Any, index: Any) -> Any:
        return _row(lent, index)  # type: ignore[call-arg]

    if not isinstance(lent, LentType):
        return None
    if _is_place(lent, index):
        return one
    return row if lent.layout == ROWS and isinstance(index, types.Integer) else None


@overload(operator.setitem)
def _setitem(lent: Any, index: Any, value: Any) -> Any:
    def compiled(lent: Any, index: Any, value: Any) -> Any:
        _write(lent, index, value)  # type: ignore[call-arg]

    return compiled if isinstance(lent, LentType) and _is_place(lent, index) else None
