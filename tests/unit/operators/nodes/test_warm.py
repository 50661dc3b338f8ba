"""What compiles kernels beforehand knows all families of steps with state."""

import pyarrow as pa

from operators.formula.features import read_features, root_source
from operators.nodes.opcodes import FAMILIES
from operators.nodes.program import lay_out, make_program
from operators.nodes.warm import FORMULAS


def test_each_family_has_a_formula_that_compiles_its_kernel() -> None:
    assert len(FORMULAS) == len(FAMILIES)
    source = root_source("aligned", pa.schema({"x": pa.float64()}))
    for number, formula in enumerate(FORMULAS.values()):
        features, errors = read_features("warm", source, {"y": formula})
        assert features is not None, errors
        slots = lay_out(features.steps, features.roots, features.columns)
        segments = make_program(features.steps, features.roots, slots).segments
        assert number in {segment.family for segment in segments}, formula
