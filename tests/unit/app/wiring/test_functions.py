"""Functions of the user: what is wrong with one is said with its place, and its meaning is all it reaches."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from app.config import Settings
from app.settings.graph import Loaded
from app.wiring.functions import function_anywhere, load_functions

NODE: dict[str, Any] = {
    "from": "aligned",
    "function": "my_nodes.py:smooth",
    "context": {"rows": 2},
    "tile_ns": 10,
    "returns": {"y": "float64"},
}
SMOOTH = """\
import polars as pl

from helpers import twice

LIMIT = 3


def smooth(rows: pl.DataFrame) -> pl.DataFrame:
    \"\"\"Smooth.\"\"\"
    return rows.select(y=twice(pl.col("x")) + LIMIT)


def other(rows: pl.DataFrame) -> pl.DataFrame:
    return rows
"""
POLARS = "import polars as pl\n"
HELPERS = "import deeper\n\n\ndef twice(x):\n    return deeper.scaled(x)\n\n\ndef unused():\n    return 1\n"
DEEPER = "FACTOR = 2\n\n\ndef scaled(x):\n    return FACTOR * x\n"


def project(folder: Path, text: str = SMOOTH, helpers: str = HELPERS, deeper: str = DEEPER) -> Settings:
    for name, source in (("my_nodes", text), ("helpers", helpers), ("deeper", deeper)):
        (folder / f"{name}.py").write_text(source)
    file = folder / "my.toml"
    return Settings.model_validate({"graph": {"smooth": NODE}}).read_from(file)


def loaded(settings: Settings) -> Loaded:
    return load_functions(settings)["smooth"]


def refusal(folder: Path, text: str) -> str:
    function, mistakes = loaded(project(folder, text))
    assert function is None
    (mistake,) = mistakes
    assert mistake.setting == "function"
    return mistake.message


def meaning(settings: Settings) -> str:
    function, mistakes = loaded(settings)
    assert function is not None, mistakes
    return function.meaning


ROWS = pa.record_batch(
    {
        "x": pa.array([1.0, None, 3.0]),
        "n": pa.array([1, None, 3], pa.int64()),
        "symbol": pa.array(["A", "B", None]),
        "flag": pa.array([True, None, False]),
    }
)


def test_a_function_is_called_with_what_its_files_say_now(tmp_path: Path) -> None:
    function, _ = loaded(project(tmp_path))
    assert function is not None
    assert function.run(ROWS)["y"].to_pylist() == [5.0, None, 9.0]
    assert function.place == "my_nodes.py:8"
    assert function.engine.startswith("polars ")
    again, _ = loaded(project(tmp_path, deeper=DEEPER.replace("2", "4")))
    assert again is not None
    assert again.run(ROWS)["y"].to_pylist() == [7.0, None, 15.0]


@pytest.mark.parametrize(
    "changed",
    [
        {"text": SMOOTH.replace("+ LIMIT", "- LIMIT")},
        {"text": SMOOTH.replace("LIMIT = 3", "LIMIT = 4")},
        {"helpers": HELPERS.replace("scaled(x)", "scaled(x) + 0")},
        {"deeper": DEEPER.replace("FACTOR * x", "x * FACTOR")},
        {"deeper": DEEPER.replace("2", "4")},
        {"deeper": "import math\nmath.pi\n" + DEEPER},
    ],
    ids=[
        "itself",
        "a constant",
        "a helper",
        "two files away",
        "a constant two files away",
        "what runs there",
    ],
)
def test_a_change_of_anything_that_is_reached_changes_the_meaning(
    tmp_path: Path, changed: dict[str, str]
) -> None:
    before = meaning(project(tmp_path))
    assert meaning(project(tmp_path, **changed)) != before


def test_comments_docstrings_white_space_and_what_is_not_reached_change_nothing(tmp_path: Path) -> None:
    before = meaning(project(tmp_path))
    text = SMOOTH.replace('"""Smooth."""', '"""Other words."""').replace(
        "    return rows\n", "    return None\n"
    )
    helpers = HELPERS.replace("return 1", "return 2").replace("def twice", "# twice\ndef twice")
    assert meaning(project(tmp_path, text, helpers, DEEPER + "\n# the end\n")) == before


def test_methods_and_names_of_its_own_are_followed(tmp_path: Path) -> None:
    text = SMOOTH.replace("def smooth", "def eval(x):\n    return x\n\n\ndef smooth").replace(
        "twice(", "eval("
    )
    assert meaning(project(tmp_path, text.replace("rows.select", "rows.eval"))) != meaning(
        project(tmp_path, text)
    )


def test_nothing_of_a_project_stays_behind_in_the_process(tmp_path: Path) -> None:
    import sys

    before = set(sys.modules)
    project(tmp_path, SMOOTH.replace("helpers", "state"))
    (tmp_path / "state.py").write_text(HELPERS)
    settings = project(tmp_path, SMOOTH.replace("helpers", "state"))
    function, _ = loaded(settings)
    assert function is not None
    assert function.run(ROWS)["y"].to_pylist() == [5.0, None, 9.0]
    assert not {"helpers", "deeper", "my_nodes"} & (set(sys.modules) - before)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "my_nodes.py has no function smooth"),
        ("def smoth(rows):\n    return rows\n", "has no function smooth; smoth?"),
        ("def smooth(rows):\n    return rows\n", "does not say what rows is: pl.DataFrame"),
        ("def smooth(rows: int) -> int:\n    return rows\n", "rows of smooth is int: expected pl.DataFrame"),
        (
            "import polars as pl\ndef smooth(rows: pl.DataFrame):\n    return rows\n",
            "does not say what it gives",
        ),
        (
            f"{POLARS}import pyarrow as pa\ndef smooth(rows: pl.DataFrame) -> pa.Table:\n    return rows\n",
            "takes DataFrame and says that it gives Table",
        ),
        ("def smooth(rows, more):\n    return rows\n", "takes the rows alone"),
        ("async def smooth(rows):\n    return rows\n", "is no plain function"),
        ("smooth = 3\n", "has no function smooth"),
        ("def smooth(rows:\n", "my_nodes.py:1: is no Python"),
        (
            "import nowhere_at_all\ndef smooth(rows: nowhere_at_all.X):\n    return rows\n",
            "nor an installed package",
        ),
        ("1 / 0\ndef smooth(rows):\n    return rows\n", "cannot be loaded: ZeroDivisionError"),
        ("raise SystemExit\ndef smooth(rows):\n    return rows\n", "cannot be loaded: Ended: SystemExit"),
        ("def smooth(rows):\n    import helpers\n    return helpers.twice(rows)\n", "import it at the top"),
        ("def smooth(rows):\n    return __import__('helpers')\n", "my_nodes.py:2: what __import__ reaches"),
        (
            "import importlib as i\ndef smooth(rows):\n    i.import_module('helpers')\n",
            "import_module reaches",
        ),
        ("from runpy import run_path as r\ndef smooth(rows):\n    r('helpers.py')\n", "run_path reaches"),
        ("exec('X = 3')\ndef smooth(rows):\n    return X\n", "my_nodes.py:1: what exec reaches"),
        ("import helpers\ndef smooth(rows):\n    globals()['helpers']\n", "globals reaches"),
    ],
)
def test_a_function_that_cannot_be_used_is_refused_with_its_place(
    tmp_path: Path, text: str, message: str
) -> None:
    assert message in refusal(tmp_path, text)


def test_a_file_that_is_not_there_is_named_whole(tmp_path: Path) -> None:
    settings = project(tmp_path)
    (tmp_path / "my_nodes.py").unlink()
    _, (mistake,) = loaded(settings)
    assert str(tmp_path / "my_nodes.py") in mistake.message
    assert function_anywhere(settings, "my_nodes.py:smooth") == f"{tmp_path / 'my_nodes.py'}:smooth"


ENGINES = {
    "polars": "import polars as pl\ndef smooth(rows: pl.DataFrame) -> pl.DataFrame:\n"
    "    return rows.select(y=pl.col('x') * 2)\n",
    "pandas": "import pandas as pd\ndef smooth(rows: pd.DataFrame) -> pd.DataFrame:\n"
    "    assert str(rows['n'].dtype) == 'Int64' and str(rows['flag'].dtype) == 'boolean'\n"
    "    return pd.DataFrame({'y': rows['x'] * 2})\n",
    "pyarrow": "import pyarrow as pa\nimport pyarrow.compute as pc\ndef smooth(rows: pa.Table) -> pa.Table:\n"
    "    return pa.table({'y': pc.multiply(rows['x'], 2.0)})\n",
    "numpy": "import numpy as np\ndef smooth(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:\n"
    "    assert rows['n'].mask.tolist() == [False, True, False] and rows['symbol'][2] is None\n"
    "    return {'y': rows['x'] * 2}\n",
}


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_gives_nulls_as_nulls(tmp_path: Path, engine: str) -> None:
    function, mistakes = loaded(project(tmp_path, ENGINES[engine]))
    assert function is not None, mistakes
    assert function.engine.startswith(f"{engine} ")
    assert function.run(ROWS)["y"].to_pylist() == [2.0, None, 6.0]


@pytest.mark.filterwarnings("ignore:The inplace keyword")
@pytest.mark.parametrize("inplace", [False, True])
def test_pandas_rows_in_another_order_are_refused(tmp_path: Path, inplace: bool) -> None:
    text = ENGINES["pandas"].replace("rows['x'] * 2", "rows.sort_values('x', ascending=False)['x']")
    if inplace:
        text = text.replace(
            "    return", "    rows.sort_values('x', ascending=False, inplace=True)\n    return"
        )
    function, _ = loaded(project(tmp_path, text))
    assert function is not None
    with pytest.raises(ValueError, match="another order"):
        function.run(ROWS)


def test_arrays_that_a_function_changes_are_its_own(tmp_path: Path) -> None:
    text = ENGINES["numpy"].replace("    return", "    rows['x'][0] = 7\n    return")
    function, _ = loaded(project(tmp_path, text))
    assert function is not None
    values = np.array([1.0, np.nan, 3.0])
    rows = ROWS.set_column(0, "x", pa.array(values, from_pandas=True))
    assert function.run(rows)["y"].to_pylist() == [14.0, None, 6.0]
    assert values[0] == 1.0
