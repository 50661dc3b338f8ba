"""Values of columns in another unit, and a value in the place of nulls: of each row by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import pyarrow as pa
import pyarrow.compute as pc

from replay.errors import HistoryError


@dataclass(frozen=True, slots=True)
class ValueRules:
    """By column the factor that its values are multiplied by, then the text of what stands for nulls."""

    factors: Mapping[str, Fraction] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, factors: Sequence[str], defaults: Sequence[str]) -> "ValueRules":
        """Read COLUMN=FACTOR, a number or a fraction, and COLUMN=VALUE.

        Raises HistoryError for anything else.
        """
        read = {name: _factor(name, text) for name, text in _pairs(factors, "--factor price=1/10000")}
        return cls(read, dict(_pairs(defaults, "--default tape=C")))

    @property
    def names(self) -> set[str]:
        """The columns that are changed."""
        return {*self.factors, *self.defaults}

    def type_of(self, name: str, kind: pa.DataType) -> pa.DataType:
        """The type of a column's values afterwards; raises HistoryError where they cannot be changed so.

        Whole numbers stay int64 where their factor is whole; else numbers become float64.
        """
        factor = self.factors.get(name)
        if factor is not None:
            if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
                raise HistoryError(f"column {name!r} is {kind}: only whole numbers and floats take a factor")
            kind = pa.int64() if pa.types.is_integer(kind) and factor.denominator == 1 else pa.float64()
        if name in self.defaults:
            self._default(name, kind)
        return kind

    def schema(self, schema: pa.Schema) -> pa.Schema:
        """Columns with the types of their values afterwards."""
        return pa.schema([each.with_type(self.type_of(each.name, each.type)) for each in schema])

    def apply(self, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
        """Return the values of a column; raises HistoryError for one that the type cannot hold.

        A whole number and a factor give the float64 that is nearest to their product.
        """
        kind = self.type_of(name, values.type)
        if name in self.factors:
            values = _multiplied(name, values, self.factors[name], kind)
        return pc.fill_null(values, self._default(name, kind)) if name in self.defaults else values

    def batch(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return rows with the values of all columns."""
        columns = [self.apply(name, rows.column(name)) for name in rows.schema.names]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema(rows.schema))

    def _default(self, name: str, kind: pa.DataType) -> pa.Scalar:
        text = self.defaults[name]
        try:
            return pa.array([text], pa.string()).cast(kind)[0]
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise HistoryError(f"--default {name}={text}: {text!r} is no {kind}") from None


def _multiplied(
    name: str, values: pa.Array | pa.ChunkedArray, factor: Fraction, kind: pa.DataType
) -> pa.Array | pa.ChunkedArray:
    numerator, denominator = factor.numerator, factor.denominator
    try:
        if pa.types.is_integer(values.type):
            exact = pc.multiply_checked(values.cast(pa.int64()), pa.scalar(numerator, pa.int64()))
            # Arrow refuses to make a float of a whole number that it cannot hold exactly.
            return exact if kind == pa.int64() else pc.divide(exact.cast(kind), float(denominator))
        return pc.divide(pc.multiply(values.cast(kind), float(numerator)), float(denominator))
    except pa.ArrowInvalid as refused:
        raise HistoryError(f"column {name!r} times {factor}: {refused}") from None


def _factor(name: str, text: str) -> Fraction:
    try:
        factor = Fraction(text)
    except (ValueError, ZeroDivisionError):
        factor = Fraction(0)
    if factor <= 0 or max(factor.numerator, factor.denominator) > 2**53:
        raise HistoryError(f"--factor {name}={text}: write a number above 0, or a fraction, such as 1/10000")
    return factor


def _pairs(lines: Sequence[str], example: str) -> list[tuple[str, str]]:
    pairs = [(name, text) for name, _, text in (line.partition("=") for line in lines)]
    for (name, text), line in zip(pairs, lines, strict=True):
        if not name or not text:
            raise HistoryError(f"{example.split()[0]} {line!r}: write it as {example}")
    twice = [name for place, (name, _) in enumerate(pairs) if name in dict(pairs[:place])]
    if twice:
        raise HistoryError(f"{example.split()[0]} names {twice[0]} twice")
    return pairs
