"""Models fitted and published on a real Kafka while its worker runs, and the same inputs replayed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from app.audit.topics import audit
from app.day.content_hash import content_hash
from app.fit.publish import newest_frontier_ns
from app.reading.aligned import write_output
from app.reading.row_files import read_rows
from replay.market.generate import generate_day
from replay.store.days import HistoryStore
from tests.contract.bus.conftest import HASTY
from tests.stage.day_runs import DATE, DayRun, small_days, until
from tests.stage.graph_days import said_parities
from tests.stage.programs import Answer, App, started
from topics.kafka.bus import KafkaBus

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.takes_s(60)]

BEFORE = "2024-01-12"
NS_PER_MINUTE = 60 * 10**9
TILE_NS = 5 * NS_PER_MINUTE
OPENS_NS = 1_705_329_000 * 10**9  # 09:30 in New York
FIRST_NS = OPENS_NS + 30 * NS_PER_MINUTE
PASSED_NS = OPENS_NS + 40 * NS_PER_MINUTE
SECOND_NS = OPENS_NS + 240 * NS_PER_MINUTE
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
tile = "5m"
fit = { every = "1h" }
returns = { score = "float64" }
[graph.score.out]
columns = ["mid", "score"]
status = "column"
"""


class Fits:
    """A pipeline on Kafka with a model, and the commands that fit, publish and show it."""

    def __init__(self, run: DayRun, run_app: App) -> None:
        self.run, self._app = run, run_app

    def fit(self, mode: str, valid_from_ns: int) -> Answer:
        """Fit on the day before, published from a moment on."""
        chosen = ("--mode", mode, "--valid-from", valid_from_ns, "--publish")
        return self.say("fit", "score", "--date", BEFORE, "--store", self.run.folder / "../history", *chosen)

    def listed(self, *words: str) -> list[dict[str, Any]]:
        """The records of the folder, or with `--on-broker` of the topic."""
        found: list[dict[str, Any]] = json.loads(self.say("models", "score", "--json", *words).out)
        return found

    def say(self, *words: object) -> Answer:
        """A command of `graph`."""
        return self._app("graph", *words, "--config", self.run.config)

    def level(self, valid_from_ns: int) -> float:
        """What the model that is valid from a moment on gives for each row."""
        (record,) = [one for one in self.listed() if one["valid_from_ns"] == valid_from_ns]
        artefact = self.run.pipeline.settings.graph.models + f"/{record['sha256']}.model"
        return float(json.loads(Path(artefact).read_bytes()))


@pytest.fixture
def fits(kafka_bootstrap: str, tmp_path: Path, run_app: App) -> Iterator[Fits]:
    bus = KafkaBus(kafka_bootstrap, HASTY)
    (tmp_path / "my_models.py").write_text(MODELS)
    config = tmp_path / "my.toml"
    config.write_text(GRAPH.replace("my_models.py", str(tmp_path / "my_models.py")))
    generate_day(HistoryStore(tmp_path / "history"), BEFORE, symbols=4, trades=600, quotes=2_000)
    days = small_days(tmp_path / "history")
    run = DayRun.on(bus, days, tmp_path / "run", f"test-{uuid4().hex[:12]}", config=config)
    yield Fits(run, run_app)
    settings = run.pipeline.settings
    bus.admin().delete([settings.topic(name) for name in (*settings.stream_names, *settings.output_names)])


def worked(fits: Fits) -> None:
    """Publish the day to a worker, with a model before its first row and another while it runs."""
    run = fits.run
    publication = run.publication(step_rows_max=3_000)
    before = fits.fit("in-sample", FIRST_NS)
    assert before.code == 0, before.err
    with started("app", "align", "--config", run.config, "--until-final") as worker:
        publication.step()
        publication.step()
        until(lambda: (newest_frontier_ns(run.pipeline) or 0) > PASSED_NS, "the worker commits", 120)
        assert (newest_frontier_ns(run.pipeline) or 0) < SECOND_NS
        there = fits.listed()
        late = fits.fit("test", PASSED_NS)
        assert late.code == 2, late.out
        assert "the frontier of a task is at" in late.error
        assert "choose a later moment with --valid-from" in late.error
        assert fits.listed() == there == fits.listed("--on-broker")
        after = fits.fit("test", SECOND_NS)
        assert after.code == 0, after.err
        assert "published 1 of 1" in after.out
        publication.run()
        publication.close()
        _, err = worker.communicate(timeout=120)
        assert worker.returncode == 0, err


def test_a_model_published_while_a_worker_runs_is_used_from_its_moment_on_and_so_in_a_replay(
    fits: Fits, run_app: App, tmp_path: Path
) -> None:
    worked(fits)
    run = fits.run
    assert audit(run.pipeline).violations == []
    parities = said_parities(run, "score")
    write_output(run.pipeline, "score", tmp_path / "live")
    live = read_rows(tmp_path / "live")
    levels = {None: None, FIRST_NS: fits.level(FIRST_NS), SECOND_NS: fits.level(SECOND_NS)}
    assert levels[FIRST_NS] != levels[SECOND_NS]
    seen = set()
    for row in live.select(["event_ns", "mid", "score"]).to_pylist():
        begin_ns = row["event_ns"] // TILE_NS * TILE_NS
        valid = max((ns for ns in (FIRST_NS, SECOND_NS) if ns <= begin_ns), default=None)
        assert row["score"] == (None if row["mid"] is None else levels[valid]), row
        seen.add(valid)
    assert seen == set(levels)

    for words in (("reset", "--yes"), ("topics", "apply")):
        answer = run_app(*words, "--config", run.config)
        assert answer.code == 0, answer.err
    assert fits.say("models", "--publish").out.count("published: score") == 2
    run.join()
    assert said_parities(run, "score") == parities
    asked = ("--date", DATE, "--store", tmp_path / "history", "--out", tmp_path / "files")
    files = run_app("backtest", "--config", run.config, *asked)
    assert files.code == 0, files.err
    order = ["event_ns", "symbol"]
    assert content_hash(read_rows(tmp_path / "files/score"), order_by=order) == content_hash(
        live, order_by=order
    )
