"""Laws of the files for people with an engine, as far as they can be checked without one."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "docker/compose.yaml"
DOCKERFILE = ROOT / "docker/Dockerfile"
POM = ROOT / "docker/kafka/pom.xml"

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


def test_an_engine_that_knows_compose_takes_the_file() -> None:
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "compose", "version"], check=False).returncode
    ):
        pytest.skip("no docker client with compose here")
    subprocess.run(["docker", "compose", "-f", str(COMPOSE), "config", "--quiet"], check=True)
