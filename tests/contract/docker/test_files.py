"""Laws of the files for people with an engine, as far as they can be checked without one."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.commands.exporter import PORT
from app.config import Settings

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "docker/compose.yaml"
DOCKERFILE = ROOT / "docker/Dockerfile"
POM = ROOT / "docker/kafka/pom.xml"
MONITORING = ROOT / "docker/monitoring"

_LINE = re.compile(r"^(?P<indent> *)(?:- \"[^\"]+\"|(?P<key>[\w.-]+):(?: (?P<value>\"[^\"]*\"|[\w.:/-]+))?)$")


def outline(text: str) -> dict[str, str]:
    """The paths of a YAML file of plain mappings and quoted list items; fails for anything else."""
    found: dict[str, str] = {}
    open_keys: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.match(line)
        assert match, f"line {number} is not one we can read: {line}"
        depth, odd = divmod(len(match["indent"]), 2)
        assert not odd, f"line {number} is indented by an odd number of blanks"
        assert depth <= len(open_keys), f"line {number} is indented too far"
        if match["key"]:
            open_keys = [*open_keys[:depth], match["key"]]
            path = "/".join(open_keys)
            assert path not in found, f"line {number} says {path} again"
            found[path] = (match["value"] or "").strip('"')
    return found


def test_compose_runs_the_kafka_that_make_kafka_runs() -> None:
    version = re.search(r"<kafka.version>(.+)</kafka.version>", POM.read_text())
    assert version
    assert outline(COMPOSE.read_text())["services/kafka/image"] == f"apache/kafka:{version[1]}"


def test_compose_builds_the_worker_from_our_dockerfile_and_waits_for_the_broker() -> None:
    compose = outline(COMPOSE.read_text())
    for service in ("topics", "worker"):
        context = (COMPOSE.parent / compose[f"services/{service}/build/context"]).resolve()
        assert context / compose[f"services/{service}/build/dockerfile"] == DOCKERFILE
    assert compose["services/topics/depends_on/kafka/condition"] == "service_healthy"
    assert compose["services/worker/depends_on/topics/condition"] == "service_completed_successfully"


def test_compose_gives_its_clients_the_address_the_broker_advertises_to_them() -> None:
    compose = outline(COMPOSE.read_text())
    advertised = compose["services/kafka/environment/KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert f"INSIDE://{compose['services/worker/environment/TIDEMARK_BUS__BOOTSTRAP']}" in advertised


def test_the_dockerfile_copies_what_is_there_and_every_package_the_worker_needs() -> None:
    copied = re.findall(r"^COPY (\S+) ", DOCKERFILE.read_text(), re.MULTILINE)
    assert {"app", "replay", "operators", "topics", "state", "schemas", "requirements.lock"} <= set(copied)
    assert [name for name in copied if not (ROOT / name).exists()] == []


def services() -> dict[str, Any]:
    """The services of the compose file, read by a library for YAML."""
    described: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    return described


def test_what_is_not_needed_to_join_is_behind_a_profile() -> None:
    plain = {name for name, service in services().items() if "profiles" not in service}
    assert plain == {"kafka", "topics", "worker"}
    assert {one for service in services().values() for one in service.get("profiles", ())} == {
        "registry",
        "prometheus",
        "grafana",
    }


def test_every_file_that_a_container_is_given_is_there_and_every_volume_is_declared() -> None:
    volumes = set(yaml.safe_load(COMPOSE.read_text())["volumes"])
    sources = [one.split(":")[0] for service in services().values() for one in service.get("volumes", ())]
    files = [one for one in sources if one.startswith(".")]
    assert len(files) == 5
    assert [one for one in files if not (COMPOSE.parent / one).is_file()] == []
    assert {one for one in sources if not one.startswith(".")} == volumes


def test_prometheus_asks_on_loopback_where_worker_and_exporter_answer() -> None:
    config = yaml.safe_load((MONITORING / "prometheus.yaml").read_text())
    targets = {
        job["job_name"]: job["static_configs"][0]["targets"][0].split(":") for job in config["scrape_configs"]
    }
    worker = services()["worker"]["environment"]
    assert targets["tidemark-workers"] == ["127.0.0.1", worker["TIDEMARK_METRICS__PORT"]]
    assert targets["tidemark-exporter"] == ["127.0.0.1", str(PORT)]
    assert config["rule_files"] == ["rules.yml"]
    for name in ("exporter", "prometheus"):
        assert services()[name]["network_mode"] == "service:worker"


def test_grafana_reads_prometheus_by_the_name_that_it_has() -> None:
    (source,) = yaml.safe_load((MONITORING / "grafana-source.yaml").read_text())["datasources"]
    assert source["url"] == f"http://{services()['prometheus']['network_mode'].split(':')[1]}:9090"
    (provider,) = yaml.safe_load((MONITORING / "grafana-dashboards.yaml").read_text())["providers"]
    dashboards = [one for one in services()["grafana"]["volumes"] if one.endswith(".json:ro")]
    assert [Path(one.split(":")[1]).parent for one in dashboards] == [Path(provider["options"]["path"])]


def test_every_port_is_on_loopback_and_every_setting_is_one() -> None:
    ports = [one for service in services().values() for one in service.get("ports", ())]
    assert len(ports) == 3
    assert all(one.startswith("127.0.0.1:") for one in ports)
    for service in services().values():
        for name in service.get("environment", {}):
            section, _, key = name.removeprefix("TIDEMARK_").lower().partition("__")
            if name.startswith("TIDEMARK_"):
                assert key in type(getattr(Settings(), section)).model_fields, name


def test_an_engine_that_knows_compose_takes_the_file() -> None:
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "compose", "version"], check=False).returncode
    ):
        pytest.skip("no docker client with compose here")
    subprocess.run(["docker", "compose", "-f", str(COMPOSE), "config", "--quiet"], check=True)
