"""Set-up works anywhere: what is installed is pinned, and nothing says where from."""

import re
import tomllib
from typing import Any

import pytest

import gpu_sink
from tests.tidy.tree import ROOT, python_files, texts

LOCKS = [
    "requirements.lock",
    "requirements-torch.lock",
    "requirements-quix.lock",
    "requirements-models.lock",
    "requirements-ray.lock",
    "requirements-notebooks.lock",
    "requirements-fuzz.lock",
]

# Put together from parts, so that the rule does not break itself.
REGISTRY_HOSTS = [
    ".".join(parts)
    for parts in (
        ["pypi", "org"],
        ["python" + "hosted", "org"],
        ["repo1", "maven", "org"],
        ["repo", "maven", "apache", "org"],
        ["registry", "npmjs", "org"],
        ["proxy", "golang", "org"],
        ["static", "crates", "io"],
        ["anaconda", "org"],
        ["download", "pytorch", "org"],
        ["pypi", "nvidia", "com"],
    )
]
INDEX_SETTINGS = ["-".join(parts) for parts in (["index", "url"], ["find", "links"], ["trusted", "host"])]
HOMES = ["/" + "root/", "/" + "home/", "/" + "Users/"]


def project() -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def makefile_targets() -> dict[str, str]:
    """Targets that a person calls, in order, with what follows their colon."""
    lines = (ROOT / "Makefile").read_text().splitlines()
    matches = (re.match(r"([a-z][a-z-]*):(?!=)(.*)", line) for line in lines)
    return {match[1]: match[2] for match in matches if match}


def test_no_file_names_a_registry_or_an_index() -> None:
    for name, text in texts():
        lowered = text.lower()
        for word in [*REGISTRY_HOSTS, *INDEX_SETTINGS]:
            assert word not in lowered, f"{name} says {word}"


def test_no_file_names_somebodys_home() -> None:
    assert not [(name, home) for name, text in texts() for home in HOMES if home in text]


@pytest.mark.parametrize("lock", LOCKS)
def test_each_requirement_is_pinned_and_has_a_hash(lock: str) -> None:
    blocks = re.split(r"\n(?=[A-Za-z0-9])", (ROOT / lock).read_text().strip())
    assert len(blocks) > 1
    for block in blocks:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z0-9,_-]+\])?==[^\s=]+", block), f"{lock}: not pinned: {block}"
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), f"{lock}: no hash: {block}"


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_no_address(lock: str) -> None:
    assert "://" not in (ROOT / lock).read_text()


def test_every_target_says_what_it_does() -> None:
    silent = [target for target, rest in makefile_targets().items() if not re.search(r"## \S", rest)]
    assert not silent


def test_help_is_the_first_target_and_the_default() -> None:
    assert next(iter(makefile_targets())) == "help"
    assert ".DEFAULT_GOAL := help" in (ROOT / "Makefile").read_text()


def test_no_target_is_mistaken_for_a_file() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(phony.split()) == set(makefile_targets())


def test_quix_streams_holds_nobody_back() -> None:
    ours, _, rival, *_ = ((ROOT / lock).read_text() for lock in LOCKS)
    assert "quixstreams==" in rival
    assert "quixstreams==" not in ours


def test_the_kafka_client_is_one_that_the_native_reader_is_proven_with() -> None:
    requirements = [
        *project()["project"]["optional-dependencies"]["kafka"],
        *(d for d in project()["dependency-groups"]["app"] if d.startswith("confluent-kafka")),
    ]
    assert len(requirements) == 2
    assert all(requirement.endswith("<2.13") for requirement in requirements)
    (locked,) = re.findall(r"^confluent-kafka==(\d+)\.(\d+)", (ROOT / LOCKS[0]).read_text(), re.MULTILINE)
    assert (int(locked[0]), int(locked[1])) < (2, 13)


def test_the_broker_of_make_kafka_loses_no_marker_and_its_snappy_has_no_known_advisories() -> None:
    pom = (ROOT / "docker/kafka/pom.xml").read_text()
    (version,) = re.findall(r"<kafka.version>(\d+)\.(\d+)\.(\d+)<", pom)
    # KAFKA-20734: 4.2.0 to 4.4.0 at least; tests.broker.test_kafka_faults tells of a later one.
    assert tuple(map(int, version)) == (4, 1, 2)
    (snappy,) = re.findall(r"<artifactId>snappy-java</artifactId>\s*<version>([\d.]+)<", pom)
    # CVE-2026-93451, -93452, -108104 and -116590: up to 1.1.10.9.
    assert tuple(map(int, snappy.split("."))) >= (1, 1, 10, 10)


def test_the_root_project_is_the_client_alone() -> None:
    packages = {name.rsplit("/", 1)[0].replace("/", ".") for name in python_files("gpu_sink")}
    assert project()["tool"]["setuptools"]["packages"] == sorted(packages)


def test_the_client_states_its_version_and_every_public_name_is_there() -> None:
    assert gpu_sink.__version__ == project()["project"]["version"]
    assert [name for name in gpu_sink.__all__ if not hasattr(gpu_sink, name)] == []
