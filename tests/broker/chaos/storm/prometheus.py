"""A real Prometheus with our rules: what it scrapes, and which alerts fired from when to when."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from tests.stage.day_runs import until
from tests.stage.programs import ROOT

RULES: Final = ROOT / "docs/monitoring/rules.yml"
EVERY_S: Final = 2
HOST: Final = "127.0.0.1"
PATIENCE_S: Final = 30.0


class NoPrometheusError(Exception):
    """There is no Prometheus on the PATH (Debian: prometheus)."""


@dataclass(frozen=True, slots=True)
class Fired:
    """An alert that fired without a break, by the wall clock in seconds."""

    name: str
    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A Prometheus that runs."""

    port: int

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            return self._get("/-/ready")[0] == 200
        except (OSError, HTTPException):
            return False

    def scraped(self) -> Mapping[str, str]:
        """What the last scrape of each target came to, by its address: `up`, `down` or `unknown`."""
        targets = json.loads(self._get("/api/v1/targets")[1])["data"]["activeTargets"]
        return {target["labels"]["instance"]: target["health"] for target in targets}

    def fired(self, begin_s: float, end_s: float) -> list[Fired]:
        """The alerts that fired in this stretch, in the order of their begin."""
        asked = {"query": 'ALERTS{alertstate="firing"}', "start": begin_s, "end": end_s, "step": EVERY_S}
        answer = json.loads(self._get(f"/api/v1/query_range?{urlencode(asked)}")[1])
        found = [one for series in answer["data"]["result"] for one in stretches(series)]
        return sorted(found, key=lambda one: (one.begin_s, one.name))

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = HTTPConnection(HOST, self.port, timeout=PATIENCE_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def stretches(series: Mapping[str, Any]) -> Iterator[Fired]:
    """The stretches without a gap of more than two evaluations of one series of `ALERTS`."""
    name, times = series["metric"]["alertname"], [float(at) for at, _ in series["values"]]
    begin = times[0]
    for before, after in zip(times, [*times[1:], float("inf")], strict=True):
        if after - before > 2 * EVERY_S:
            yield Fired(name, begin, before)
            begin = after


@contextmanager
def prometheus(folder: Path, port: int, targets: Sequence[int]) -> Iterator[Prometheus]:
    """A Prometheus that scrapes these ports of loopback; raises NoPrometheusError."""
    program = shutil.which("prometheus")
    if program is None:
        raise NoPrometheusError("no prometheus on PATH (Debian: apt-get install prometheus)")
    folder.mkdir(parents=True)
    every = f"{EVERY_S}s"
    config = {
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
        "rule_files": [str(RULES)],
        "scrape_configs": [
            {"job_name": "tidemark", "static_configs": [{"targets": [f"{HOST}:{one}" for one in targets]}]}
        ],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={HOST}:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        running = Prometheus(port)
        until(running.ready, "Prometheus answers", PATIENCE_S)
        yield running
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
