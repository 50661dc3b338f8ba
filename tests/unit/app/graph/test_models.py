"""What a check tells of models: planted faults are named with their cause, and an honest one passes."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import app.graph.models as checked
from app.config import Settings
from app.graph.outcome import Outcome
from app.graph.trial import Trial
from app.wiring.planning import declared_graph
from operators.graph.graph import Graph
from operators.graph.plan import plan_graph
from schemas.clocks import NS_PER_S
from tests.stage.pages import page_model

ROWS = 400
MODEL = """\
import json
import random

import numpy as np


class Line:
    def __init__(self):
        self.weights = [0.0, 0.0]

    def fit(self, x, y):
        self.weights = [float((x[:, 0] * y).mean()), float(y.mean())]

    def predict(self, x):
        return x[:, 0] * self.weights[0] + self.weights[1]

    def save(self):
        return json.dumps(self.weights).encode()

    @classmethod
    def load(cls, raw):
        made = cls()
        made.weights = json.loads(raw)
        return made
"""
RANDOM = MODEL.replace("float(y.mean())]", "random.random()]")
BY_BATCH = MODEL.replace("self.weights[1]\n\n", "x.mean() * 1e-16 + self.weights[1]\n\n")


def rows() -> pa.RecordBatch:
    draws = np.random.default_rng(1)
    return pa.record_batch(
        {
            "event_ns": np.cumsum(draws.integers(1, NS_PER_S // 5, ROWS)),
            "symbol": pa.array(draws.choice(["A", "B"], ROWS)),
            "price": 50 + np.cumsum(draws.normal(0, 0.1, ROWS)),
            "left_offset": np.arange(ROWS),
            "left_index": pa.array(np.zeros(ROWS), pa.int32()),
        }
    )


def outcome(folder: Path, source: str, **more: Any) -> Outcome:
    (folder / "my_models.py").write_text(source)
    label = {"price": "price", "horizon_rows": 3, "max_ns": NS_PER_S}
    score = {
        "kind": "model",
        "from": "aligned",
        "function": "my_models.py:Line",
        "x": ["price"],
        "y": "outcome.label",
        "tile_ns": NS_PER_S,
        "returns": {"score": "float64"},
        "out": {},
        **more,
    }
    nodes = {
        "outcome": {"kind": "label", "from": "aligned", "fixed_horizon": label, "out": {}},
        "score": score,
    }
    settings = Settings.model_validate({"graph": nodes}).read_from(folder / "my.toml")
    batch = rows()
    plan = plan_graph(declared_graph(settings), batch.schema)
    trial = Trial(make=lambda: Graph(plan), rows=batch, on="event_ns", key=("symbol",), plan=plan)
    assert checked.has_models(trial)
    return checked.models(trial, trial.run(), np.random.default_rng(3))


def test_a_model_of_pytorch_passes(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed (TORCH=0)")
    made = outcome(tmp_path, page_model("import torch"), function="my_models.py:Net")
    assert made.difference is None, made.cause
    assert made.result == "score equal"


def test_an_honest_model_passes(tmp_path: Path) -> None:
    made = outcome(tmp_path, MODEL)
    assert made.difference is None, made.cause
    assert made.result == "score equal"


def test_a_fit_that_is_not_the_same_twice_is_named(tmp_path: Path) -> None:
    made = outcome(tmp_path, RANDOM)
    assert made.difference is not None
    assert made.difference.node == "score"
    assert made.cause.startswith("not the same twice: fit gives another artefact")


def test_a_predict_that_rounds_by_batch_is_named_with_both_values(tmp_path: Path) -> None:
    made = outcome(tmp_path, BY_BATCH)
    assert made.difference is not None
    assert made.difference.column == "score"
    assert made.difference.value != made.difference.other
    assert made.cause.startswith("predict rounds by batch: give it tile = ...")


def test_a_split_that_leaks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the time of its row alone, a label trains that nobody knows yet."""
    monkeypatch.setattr(checked, "trainable", lambda samples, moment_ns, *_: samples.start_ns < moment_ns)
    made = outcome(tmp_path, MODEL)
    assert made.difference is not None
    assert made.cause.startswith("looks ahead: rows that are not known at the moment of its fit change it")


def test_a_model_without_a_label_before_its_embargo_is_said(tmp_path: Path) -> None:
    made = outcome(tmp_path, MODEL, fit={"embargo": {"rows": ROWS}})
    assert made.difference is None
    assert "no label that is known before its embargo" in made.result
