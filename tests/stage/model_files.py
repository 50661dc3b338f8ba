"""Files of models as a user writes them, loaded, and an object that tells whether a pickle was run."""

from pathlib import Path
from typing import Any

from app.config import Settings
from app.wiring.functions import load_functions
from app.wiring.models import FittedModels
from operators.tiles.settings import UserFunction

HEAD = "import numpy as np\n\n\n"
PLAIN = '''\
class Sum:
    """The sum of the columns, times a number."""

    def __init__(self, times=1.0):
        self.times = times

    def fit(self, x, y):
        pass

    def predict(self, x):
        return sum(x.T) * self.times

    def save(self):
        return repr(self.times).encode()

    @classmethod
    def load(cls, raw):
        return cls(float(raw))


def doubled():
    return Sum(2.0)
'''


def load(folder: Path, text: str, name: str = "Sum", **more: Any) -> tuple[UserFunction | None, str]:
    """The model of a file of this text, or why there is none; `more` are keys of its node."""
    (folder / "my_models.py").write_text(text)
    node = {
        "kind": "model",
        "from": "aligned",
        "function": f"my_models.py:{name}",
        "tile_ns": 10,
        "x": ["a", "b"],
        "y": "outcome.label",
        "returns": {"score": "float64"},
        **more,
    }
    settings = Settings.model_validate({"graph": {"score": node}}).read_from(folder / "my.toml")
    function, mistakes = load_functions(settings)["score"]
    return function, mistakes[0].message if mistakes else ""


def fitted(folder: Path, text: str, name: str = "Sum", **more: Any) -> FittedModels:
    """The models of such a file."""
    function, why = load(folder, text, name, **more)
    assert function is not None, why
    assert isinstance(function.models, FittedModels)
    return function.models


class Planted:
    """An object that counts how often it was made out of a pickle."""

    calls = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return Planted.run, ()

    @classmethod
    def run(cls) -> None:
        """What a pickle would run."""
        cls.calls += 1
