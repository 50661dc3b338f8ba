"""Laws of `.ci/install`: what pip knows about where packages come from, uv is told."""

import subprocess
import sys
from pathlib import Path

import pytest

INSTALL = Path(__file__).parents[2] / ".ci" / "install"
# Put together from parts: no file of ours names an index (tests/tidy/test_setup.py).
INDEX, EXTRA, LINKS, HOST = (
    "-".join(words.split()) for words in ("index url", "extra index url", "find links", "trusted host")
)


@pytest.fixture
def told(tmp_path: Path) -> "Told":
    return Told(tmp_path)


class Told:
    """Runs `install --settings` with a pip configuration of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, config: str, **environment: str) -> dict[str, str]:
        """What uv is told: of each name the first line, as the script takes it."""
        file = self._folder / "pip.conf"
        file.write_text(config)
        environment |= {"PATH": "/usr/bin:/bin", "VENV": sys.prefix, "PIP_CONFIG_FILE": str(file)}
        environment["HOME"] = str(self._folder)
        said = subprocess.run(
            [INSTALL, "--settings"], env=environment, capture_output=True, text=True, check=True
        )
        found: dict[str, str] = {}
        for line in said.stdout.splitlines():
            name, _, value = line.partition("=")
            found.setdefault(name, value)
        return found


def test_an_index_and_its_authority_are_those_of_pips_file(told: Told) -> None:
    found = told(
        f"[global]\n{INDEX} = https://a.example/simple\ncert = /its/ca.pem\ntimeout = 7\n{HOST} = a.example\n"
    )
    assert found["UV_DEFAULT_INDEX"] == "https://a.example/simple"
    assert found["SSL_CERT_FILE"] == "/its/ca.pem"
    assert found["UV_HTTP_TIMEOUT"] == "7"
    assert found["UV_INSECURE_HOST"] == "a.example"


def test_the_environment_counts_before_the_command_and_that_before_the_global_section(told: Told) -> None:
    config = f"[global]\n{INDEX} = https://global.example\n[install]\n{INDEX} = https://install.example\n"
    assert told(config)["UV_DEFAULT_INDEX"] == "https://install.example"
    assert told(config, PIP_INDEX_URL="https://env.example")["UV_DEFAULT_INDEX"] == "https://env.example"


def test_several_places_are_all_told_and_searched_as_pip_does(told: Told) -> None:
    found = told(
        f"[global]\n{EXTRA} =\n    https://b.example\n    https://c.example\n{LINKS} = /one\n    /two\n"
    )
    assert found["UV_INDEX"] == "https://b.example https://c.example"
    assert found["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert found["UV_FIND_LINKS"] == "/one,/two"


def test_where_pip_has_no_configuration_uv_is_told_nothing(told: Told) -> None:
    assert not [name for name in told("") if name.startswith("UV_")]
