"""`graph fit` and `graph models` as they are typed, over small days, and what a backtest makes of models."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from replay.market.generate import generate_day
from replay.store.days import HistoryStore
from tests.stage.programs import Answer, App

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.takes_s(120)]

DATES = ("2024-01-15", "2024-01-16")
MODELS = '''\
import json


class Mean:
    """The mean label, whatever the row."""

    def __init__(self):
        self.level = 0.0

    def fit(self, x, y):
        self.level = float(y.mean())

    def predict(self, x):
        return x[:, 0] * 0 + self.level

    def save(self):
        return json.dumps(self.level).encode()

    @classmethod
    def load(cls, raw):
        made = cls()
        made.level = json.loads(raw)
        return made
'''
GRAPH = """\
[graph.tick]
from = "aligned"
[graph.tick.features]
mid = "(quote_bid_price + quote_ask_price) / 2"
[graph.outcome]
kind = "label"
from = "tick"
fixed_horizon = { price = "mid", horizon = "5m" }
[graph.score]
kind = "model"
from = "tick"
function = "my_models.py:Mean"
x = ["mid"]
y = "outcome.label"
tile = "15m"
fit = { every = "2h", over = "4h" }
returns = { score = "float64" }
[graph.score.out]
columns = ["mid", "score"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "my_models.py").write_text(MODELS)
    (tmp_path / "my.toml").write_text(GRAPH)
    for date in DATES:
        generate_day(HistoryStore(tmp_path / "history"), date, symbols=2, trades=400, quotes=800)
    return tmp_path


def run(run_app: App, folder: Path, *words: object) -> Answer:
    return run_app("graph", *words, "--config", folder / "my.toml")


def listed(run_app: App, folder: Path) -> list[dict[str, object]]:
    answer = run(run_app, folder, "models", "score", "--json")
    assert answer.code == 0
    records: list[dict[str, object]] = json.loads(answer.out)
    return records


def test_models_are_fitted_listed_used_and_taken_back(project: Path, run_app: App) -> None:
    store = ("--store", project / "history")
    fitted = run(run_app, project, "fit", "score", "--date", "..".join(DATES), *store)
    assert fitted.code == 0, fitted.err
    first = listed(run_app, project)
    assert len(first) > 2
    again = run(run_app, project, "fit", "score", "--date", "..".join(DATES), *store)
    assert again.code == 0, again.err
    assert listed(run_app, project) == first  # the same artefacts of the same rows
    later = run(run_app, project, "fit", "score", "--date", DATES[1], *store)
    assert later.code == 0, later.err
    assert listed(run_app, project) == first  # whatever days are at hand
    words = ("--date", DATES[1], *store, "--out", project / "out")
    made = run_app("backtest", "--config", project / "my.toml", *words)
    assert made.code == 0, made.out + made.err  # its audit found nothing
    rows = pq.read_table(project / "out/score").to_pylist()
    scores = {row["score"] for row in rows if row["score"] is not None}
    levels = {json.loads((project / "models" / f"{one['sha256']}.model").read_bytes()) for one in first}
    assert len(scores) > 1
    assert scores <= levels
    moment = first[0]["valid_from_ns"]
    assert run(run_app, project, "models", "score", "--take-back", moment).code == 0
    assert [one["valid_from_ns"] for one in listed(run_app, project)] == [
        one["valid_from_ns"] for one in first[1:]
    ]


def test_folds_measure_and_keep_no_model(project: Path, run_app: App) -> None:
    answer = run(
        run_app,
        project,
        "fit",
        "score",
        "--date",
        DATES[0],
        "--store",
        project / "history",
        "--mode",
        "folds",
    )
    assert answer.code == 0, answer.err
    assert answer.out.count("fold ") == 5
    assert listed(run_app, project) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("tick", "--date", DATES[0]), "tick is no node with a model; the models are score"),
        (("score", "--date", "2023-01-01..2023-01-02"), "the history has none of these days"),
        (("score", "--date", DATES[0], "--valid-from", "5"), "--valid-from is for one model"),
    ],
)
def test_bad_input_is_refused_in_a_line(
    project: Path, run_app: App, words: tuple[str, ...], message: str
) -> None:
    answer = run(run_app, project, "fit", *words, "--store", project / "history")
    assert answer.code == 2
    assert message in answer.error
