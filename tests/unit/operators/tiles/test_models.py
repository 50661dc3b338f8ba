"""Which model is valid when, and that a node uses it for whole tiles and remembers which it used."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pytest

from operators.rows.groups import Groups
from operators.tiles.calls import TileError
from operators.tiles.models import LOADED_MAX, Models, Run, ValidModel
from operators.tiles.node import TileNode
from operators.tiles.settings import UserFunction
from tests.oracles.tiles import Row, Way
from tests.stage.tile_nodes import planned_of, sealed_of, valued_of


class Shelf:
    """Models that add a number to each value, and which of them were loaded."""

    def __init__(self) -> None:
        self.loaded: list[str] = []

    def load(self, sha256: str) -> Run:
        self.loaded.append(sha256)

        def run(rows: pa.RecordBatch) -> Mapping[str, pa.Array]:
            values = rows.column("value").to_numpy() + int(sha256, 16)
            return {"y": pa.array(np.asarray(values, np.float64))}

        return run


def models_of(*valid: tuple[int, str]) -> Models:
    models = Models(Shelf().load)
    models.put(ValidModel(*one) for one in valid)
    return models


def node_of(models: Models, groups: Groups) -> TileNode:
    def never(_: pa.RecordBatch) -> Mapping[str, pa.Array]:
        raise AssertionError("a model is run as of a moment")

    function = UserFunction(never, "0" * 16, "numpy", "my_models.py:1", models)
    return TileNode("score", "0" * 16, planned_of(function, Way(10, 0, 0)), groups)


def rows(*times_ns: int) -> list[Row]:
    return [Row(time_ns, "A", float(time_ns), number) for number, time_ns in enumerate(times_ns)]


def test_the_last_model_of_a_moment_or_an_earlier_one_is_valid() -> None:
    models = models_of((20, "2"), (10, "1"))
    assert [models.at(ns) for ns in (9, 10, 19, 20, 99)] == [
        None,
        ValidModel(10, "1"),
        ValidModel(10, "1"),
        ValidModel(20, "2"),
        ValidModel(20, "2"),
    ]
    assert models.run_at(9) is None


def test_a_digest_hangs_on_all_models_up_to_a_moment_and_on_no_later_one() -> None:
    models, more = models_of((10, "1"), (20, "2")), models_of((10, "1"), (20, "2"), (30, "3"))
    assert models.digest(9) == ""
    assert models.digest(25) == more.digest(25) == more.digest(20)
    assert len({more.digest(ns) for ns in (10, 20, 30)}) == 3
    assert models_of((10, "1"), (20, "4")).digest(20) != models.digest(20)
    assert models_of((10, "1"), (21, "2")).digest(21) != models.digest(21)


def test_the_same_models_put_again_are_no_change() -> None:
    models = models_of((10, "1"))
    changes = models.changes
    models.put([ValidModel(10, "1")])
    assert models.changes == changes
    models.put([ValidModel(10, "2")])
    assert models.changes == changes + 1


def test_a_few_models_stay_loaded() -> None:
    shelf = Shelf()
    models = Models(shelf.load)
    models.put(ValidModel(ns, f"{ns:x}") for ns in range(LOADED_MAX + 1))
    for ns in (0, 1, 0, 1, *range(LOADED_MAX + 1), 0):
        models.run_at(ns)
    assert shelf.loaded == [f"{ns:x}" for ns in (*range(LOADED_MAX + 1), 0)]


def test_a_model_that_is_valid_inside_a_tile_is_used_from_the_next_one_on() -> None:
    groups = Groups()
    node = node_of(models_of((5, "100"), (20, "200")), groups)
    made = node.take((sealed_of(rows(1, 9, 10, 19, 20), 40, groups),))
    assert valued_of(made) == [
        (None, "warming"),
        (None, "warming"),
        (266.0, "ok"),
        (275.0, "ok"),
        (532.0, "ok"),
    ]


@pytest.mark.parametrize("comes_back", [False, True])
def test_a_model_that_comes_too_late_or_was_used_and_is_gone_is_told(comes_back: bool) -> None:
    for later in ([(10, "1"), (20, "2")], [], [(10, "3")], [(11, "1")]):
        groups = Groups()
        models = models_of((10, "1"))
        node = node_of(models, groups)
        node.take((sealed_of(rows(12, 20), 30, groups),))
        if comes_back:
            kept = node.snapshot().puts
            node = node_of(models, groups)
            node.restore(kept)
        models.put(ValidModel(*one) for one in later)
        with pytest.raises(TileError, match="came too late"):
            node.take((sealed_of([], 30, groups),))


@pytest.mark.parametrize("comes_back", [False, True])
def test_a_model_of_a_later_tile_is_taken_up(comes_back: bool) -> None:
    groups = Groups()
    models = models_of((10, "1"))
    node = node_of(models, groups)
    node.take((sealed_of(rows(12, 20), 30, groups),))
    if comes_back:
        kept = node.snapshot().puts
        node = node_of(models, groups)
        node.restore(kept)
    models.put([ValidModel(10, "1"), ValidModel(21, "2")])  # inside the last tile, which it does not touch
    made = node.take((sealed_of(rows(30), 40, groups),))
    assert valued_of(made) == [(32.0, "ok")]
