"""One law for every function that looks back: its values are those of its definition, however rows arrive.

The functions are those of the table, their settings drawn from what the table says of them.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.nodes import history
from tests.oracles.features.table import ORACLES
from tests.property.history_cases import (
    LOOKING_BACK,
    PLAIN_PYTHON,
    ROWS_MOST,
    SYMBOLS,
    Case,
    Run,
    cases,
    context_of,
    differences,
    expected,
    features_of,
)

# Plain Python takes a hundred times as long for a row.
# Some two hundred laws: a tenth of the examples that others have.
EXAMPLES: Final[dict[str, Any]] = {
    "max_examples": 5 if PLAIN_PYTHON else max(5, settings().max_examples // 10)
}
CUTS: Final = st.lists(st.integers(0, ROWS_MOST), max_size=6)
ORDERS: Final = st.permutations(range(len(SYMBOLS)))


@pytest.fixture(autouse=True, scope="module")
def _rows_run_symbol_by_symbol() -> Iterator[None]:
    """As with many symbols: parts of a stream that are short run in the order of their rows all the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "CACHE_WORDS", 0)
        yield


def assert_same(case: Case, values: list[Any], wanted: list[Any], ulps: int = 0) -> None:
    wrong = differences(values, wanted, ulps)
    assert not wrong, (case.formula, wrong, case.symbol, case.time_ns, case.session, case.batch.to_pydict())


def test_each_function_that_looks_back_has_an_oracle() -> None:
    assert set(LOOKING_BACK) <= set(ORACLES)


@pytest.mark.parametrize("name", LOOKING_BACK)
@given(st.data())
@settings(**EXAMPLES)
def test_its_values_are_those_of_the_oracle(name: str, data: st.DataObject) -> None:
    case = data.draw(cases(name))
    values = Run(features_of(case)).stream(case)
    assert_same(case, values, expected(case), ORACLES[name].allowance(case.settings))


@pytest.mark.parametrize("name", LOOKING_BACK)
@given(st.data(), CUTS)
@settings(**EXAMPLES)
def test_cuts_and_a_restore_at_any_row_change_no_bit(name: str, data: st.DataObject, cuts: list[int]) -> None:
    case = data.draw(cases(name))
    features = features_of(case)
    whole = Run(features).stream(case)
    assert_same(case, Run(features).stream(case, range(case.rows)), whole)
    first, second = sorted(data.draw(st.tuples(*[st.integers(0, case.rows)] * 2)))
    run, values = Run(features), []
    for lower, upper in ((0, first), (first, second)):
        values += [value for row in range(lower, upper) for value in run.take(case, row, row + 1)]
        run.keep()
    restored = Run(features, data.draw(ORDERS))
    restored.node.restore(reversed(run.store.items()))
    restored.store = dict(run.store)
    bounds = sorted({second, case.rows, *(cut for cut in cuts if second < cut < case.rows)})
    for lower, upper in pairwise(bounds):
        values += restored.take(case, lower, upper)
        restored.keep()
    assert_same(case, values, whole)
    again = Run(features)
    again.node.restore(restored.store.items())
    assert again.take(case, case.rows, case.rows) == []


@pytest.mark.parametrize("name", LOOKING_BACK)
@given(st.data())
@settings(**EXAMPLES)
def test_other_symbols_between_change_no_bit(name: str, data: st.DataObject) -> None:
    case = data.draw(cases(name))
    features = features_of(case)
    together = Run(features).stream(case)
    for number in set(case.symbol):
        places = [row for row in range(case.rows) if case.symbol[row] == number]
        alone = case.of(places)
        assert_same(alone, Run(features).stream(alone), [together[place] for place in places])


@pytest.mark.parametrize("name", LOOKING_BACK)
@given(st.data())
@settings(**EXAMPLES)
def test_a_slice_that_starts_one_context_earlier_has_the_same_bits(name: str, data: st.DataObject) -> None:
    case = data.draw(cases(name))
    features = features_of(case)
    first = data.draw(st.integers(0, case.rows))
    if features.memories["y"] != "window":
        return
    places = sorted(context_of(case, features, first))
    part = case.of([*places, *range(first, case.rows)])
    values = Run(features).stream(part)[len(places) :]
    assert_same(part, values, Run(features).stream(case)[first:])
