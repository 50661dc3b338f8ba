"""One fit: its artefact comes back as it was, the same each time, and what fails is told with its place."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from app.config import Settings
from app.errors import RunError
from app.fit.fitting import FittedModel, Measure, fit_model, measured, predicted
from app.fit.samples import Samples, joined, samples_of
from app.wiring.functions import load_functions
from app.wiring.models import FittedModels
from operators.tiles.settings import ModelSettings

SOURCE = """\
import json

import numpy as np


class Mean:
    def __init__(self):
        self.level = 0.0

    def fit(self, x, y):
        self.level = float(y.mean())
        x[:] = 0.0

    def predict(self, x):
        return x[:, 0] * 0 + self.level

    def save(self):
        return json.dumps(self.level).encode()

    @classmethod
    def load(cls, raw):
        made = cls()
        made.level = json.loads(raw)
        return made


class Forgetful(Mean):
    def save(self):
        return b"0.0"


class Broken(Mean):
    def fit(self, x, y):
        raise ArithmeticError("no such row")


class Numb(Mean):
    def predict(self, x):
        return [0.0] * len(x)
"""


def fitted_of(folder: Path, name: str = "Mean", **more: Any) -> FittedModels:
    (folder / "my_models.py").write_text(SOURCE)
    node = {
        "kind": "model",
        "from": "aligned",
        "function": f"my_models.py:{name}",
        "tile_ns": 10,
        "x": ["a"],
        "y": "outcome.label",
        "returns": {"score": "float64"},
        **more,
    }
    settings = Settings.model_validate({"graph": {"score": node}}).read_from(folder / "my.toml")
    function, mistakes = load_functions(settings)["score"]
    assert function is not None, mistakes
    assert isinstance(function.models, FittedModels)
    return function.models


def samples(rows: int = 50) -> Samples:
    draws = np.random.default_rng(2)
    starts = np.arange(rows, dtype=np.int64)
    return Samples(draws.normal(size=(rows, 1)), draws.normal(size=rows), starts, starts + 3)


def fit(folder: Path, name: str = "Mean") -> FittedModel:
    return fit_model(fitted_of(folder, name).fitted, samples())


def test_an_artefact_is_the_same_each_time_and_comes_back_as_it_was(tmp_path: Path) -> None:
    one, other = fit(tmp_path), fit(tmp_path)
    assert one.raw == other.raw
    assert one.rows == 50
    assert predicted(one.prediction, samples().x)[:, 0] == pytest.approx(samples().y.mean())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Forgetful", "predicts otherwise than what was saved"),
        ("Broken", "fit with 50 rows: ArithmeticError: no such row"),
        ("Numb", "predict gave list, not an array"),
    ],
)
def test_what_fails_is_told_with_its_place(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(RunError, match=message):
        fit(tmp_path, name)


def test_no_row_is_no_fit(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no row trains"):
        fit_model(fitted_of(tmp_path).fitted, samples().choose(np.array([], np.int64)))


def test_a_measure_is_that_of_its_definition(tmp_path: Path) -> None:
    made = fit(tmp_path)
    few = Samples(np.zeros((3, 1)), np.array([1.0, -1.0, 0.0]), np.arange(3), np.arange(3))
    level = samples().y.mean()
    got = measured(made.prediction, few)
    assert got.rows == 3
    assert got.error == pytest.approx(np.mean((few.y - level) ** 2))
    assert got.correlation is None  # it gives one value
    assert got.hits == 0.5
    assert measured(made.prediction, few.choose(np.array([], np.int64))) == Measure(0)
    assert "sign right 50.0%" in got.words


def test_samples_are_rows_with_a_label_and_every_column_in_order_of_time() -> None:
    rows = pa.table(
        {
            "event_ns": pa.array([3, 1, 2, 4, 5], pa.int64()),
            "a": [1.0, 2.0, None, float("nan"), 5.0],
            "b": pa.array([True, False, True, True, True]),
            "label": pa.array([1, -1, 1, 1, None], pa.int8()),
            "info_end_ns": pa.array([7, 10, 7, 6, None], pa.int64()),  # of a feed whose clock is behind
            "label_known_ns": pa.array([9, 8, 7, 6, None], pa.int64()),
        }
    )
    made = samples_of(ModelSettings(x=("a", "b"), y="outcome.label"), rows, "event_ns")
    assert made.x.tolist() == [[2.0, 0.0], [1.0, 1.0]]
    assert made.y.tolist() == [-1.0, 1.0]
    assert made.start_ns.tolist() == [1, 3]
    assert made.known_ns.tolist() == [10, 9]  # a label is not known before the last row that it hangs on
    both = joined([made, made])
    assert both.start_ns.tolist() == [1, 1, 3, 3]
