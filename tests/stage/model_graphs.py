"""A graph with a model, and models for it: weights, a level, and a limit above which they fail."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from app.config import Settings
from app.wiring.model_store import ModelRecord, ModelStore
from tests.stage.market import Market

SOURCE = '''\
import numpy as np


class Line:
    """Weights and a limit above which it fails."""

    def __init__(self):
        self.numbers = np.zeros(3)

    def fit(self, x, y):
        self.numbers = np.array([y.mean(), x.mean(), 1e9])

    def predict(self, x):
        if x[:, 0].max() > self.numbers[2]:
            raise ArithmeticError("too large")
        return x[:, 0] * self.numbers[0] + self.numbers[1]

    def save(self):
        return self.numbers.tobytes()

    @classmethod
    def load(cls, raw):
        made = cls()
        made.numbers = np.frombuffer(raw)
        if made.numbers.size != 3:
            raise ValueError("three numbers are wanted")
        return made
'''
TILE = 5
FIRST, SECOND = (2.0, 1.0, 1e9), (-1.0, 0.5, 1e9)


def graph(folder: Path, **more: Any) -> dict[str, Any]:
    """A model over the join, what looks back at it, and the label that it would learn."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "my_models.py").write_text(SOURCE)
    return {
        "models": str(folder / "models"),
        "base": {"from": "aligned", "features": {"wave": "50 + abs(abs(quote_bid - 20) - 10)"}},
        "outcome": {
            "kind": "label",
            "from": "base",
            "fixed_horizon": {"price": "wave", "horizon_rows": 2, "max_ns": 9},
        },
        "score": {
            "kind": "model",
            "from": "base",
            "function": f"{folder / 'my_models.py'}:Line",
            "x": ["wave"],
            "y": "outcome.label",
            "tile_ns": TILE,
            "returns": {"score": "float64"},
            "failures_max": 1,
            "out": {"status": "column"},
            **more,
        },
        "behind": {"from": "score", "features": {"slow": "rolling_mean(score, rows=3)"}, "out": {}},
    }


def records(
    folder: Path, of: Mapping[str, Any], moments: Mapping[int, tuple[float, ...]]
) -> list[ModelRecord]:
    """Records of models with these numbers; their artefacts are in the folder of models."""
    settings = Settings.model_validate({"graph": of})
    store = ModelStore.of(settings)
    meaning = Market(folder / f"meaning-{len(list(folder.iterdir()))}", graph=of).pipeline.models["score"]
    return [
        ModelRecord("score", meaning.meaning, ns, store.put(np.array(numbers).tobytes()), 9, "0" * 16)
        for ns, numbers in moments.items()
    ]


def with_models(folder: Path, moments: Mapping[int, tuple[float, ...]], **more: Any) -> dict[str, Any]:
    """The graph, with the records of these models in its folder."""
    of = graph(folder, **more)
    ModelStore(folder / "models").add(records(folder, of, moments))
    return of
