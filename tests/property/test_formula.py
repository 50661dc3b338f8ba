"""Formulas against their definition: random trees over random columns, in bits, and why each null is one."""

import itertools

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.formula.functions.table import FUNCTIONS
from operators.nodes.formula import FormulaNode, Nulls
from operators.nodes.places import TILE
from operators.sealed import Sealed
from tests.oracles.formula import Null, Value
from tests.property.formula_cases import (
    ARROW,
    OF_A_ROW,
    Term,
    batches,
    call,
    expected,
    features_and_terms,
    kinds_of,
    read,
    rows_of,
    values_of,
    without_reasons,
)

pytestmark = pytest.mark.takes_s(80)


def taken(node: FormulaNode, rows: pa.RecordBatch) -> pa.RecordBatch:
    """The rows that a node gives for rows; for none, none with its columns."""
    out = node.take((Sealed(rows, 0),)).rows
    empty = [pa.array([], field.type) for field in node.layout]
    return pa.RecordBatch.from_arrays(empty, schema=node.layout) if out is None else out


def nulls_among(values: list[Value]) -> Nulls:
    return Nulls(values.count(Null.NULL_IN), values.count(Null.DOMAIN))


@given(features_and_terms(), batches())
def test_each_value_is_that_of_the_definition(terms: dict[str, Term], batch: pa.RecordBatch) -> None:
    node = FormulaNode("tick", read(terms))
    out = taken(node, batch)
    out.validate(full=True)
    rows = rows_of(batch)
    for name, term in terms.items():
        by_definition = expected(term, rows)
        assert out.schema.field(name).type == ARROW[term.kind]
        assert values_of(out[name]) == without_reasons(by_definition), term.text
        assert node.counts[name] == nulls_among(by_definition), term.text


@pytest.mark.parametrize("name", OF_A_ROW)
@given(st.data())
@settings(max_examples=60)
def test_each_function_of_the_table_is_that_of_its_oracle(name: str, data: st.DataObject) -> None:
    function = FUNCTIONS[name]
    kind = data.draw(st.sampled_from(sorted(kinds_of(function))))
    terms = {"x": data.draw(call(function, kind, 1, {}))}
    batch = data.draw(batches(rows_max=20))
    node = FormulaNode("tick", read(terms))
    by_definition = expected(terms["x"], rows_of(batch))
    out = taken(node, batch)
    assert out.schema.field("x").type == ARROW[terms["x"].kind]
    assert values_of(out["x"]) == without_reasons(by_definition), terms["x"].text
    assert node.counts["x"] == nulls_among(by_definition), terms["x"].text


@given(features_and_terms(), batches())
def test_each_null_has_the_reason_of_the_definition(terms: dict[str, Term], batch: pa.RecordBatch) -> None:
    node = FormulaNode("tick", read(terms))
    for number, row in enumerate(rows_of(batch)):
        node.take((Sealed(batch.slice(number, 1), 0),))
        for name, term in terms.items():
            assert node.counts[name] == nulls_among([term.value(row)]), term.text


@given(features_and_terms(), batches(rows_max=30), st.lists(st.integers(0, 30), max_size=5))
def test_cuts_change_no_bit(terms: dict[str, Term], batch: pa.RecordBatch, cuts: list[int]) -> None:
    node = FormulaNode("tick", read(terms))
    whole = taken(node, batch)
    counts = dict(node.counts)
    bounds = sorted({0, batch.num_rows, *(cut for cut in cuts if cut < batch.num_rows)})
    parts = []
    summed = dict.fromkeys(counts, Nulls(0, 0))
    for lower, upper in itertools.pairwise(bounds):
        parts.append(taken(node, batch.slice(lower, upper - lower)))
        summed = {
            name: Nulls(*map(sum, zip(summed[name], node.counts[name], strict=True))) for name in counts
        }
    for name in node.layout.names:
        assert [value for part in parts for value in values_of(part[name])] == values_of(whole[name])
    assert summed == counts


@given(features_and_terms(), batches(), st.integers(0, 2 * TILE + 20))
def test_a_row_is_the_same_wherever_it_stands_in_a_large_batch(
    terms: dict[str, Term], batch: pa.RecordBatch, before: int
) -> None:
    node = FormulaNode("tick", read(terms))
    if batch.num_rows == 0:
        return
    other = pa.Table.from_batches([batch] * (before // batch.num_rows + 2)).combine_chunks().to_batches()[0]
    out = taken(node, other).slice(before // batch.num_rows * batch.num_rows, batch.num_rows)
    out.validate(full=True)
    assert [values_of(out[name]) for name in terms] == [values_of(taken(node, batch)[name]) for name in terms]
