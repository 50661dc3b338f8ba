"""Laws of the broker's pom: pinned, and fetched from whatever repository the machine is set to."""

import re
from pathlib import Path

POM = (Path(__file__).parents[3] / "docker/kafka/pom.xml").read_text()


def test_the_pom_names_no_repository() -> None:
    assert "epository>" not in POM
    assert re.findall(r"https?://(?!maven\.apache\.org/POM/4\.0\.0\b)\S+", POM) == []


def test_every_version_in_the_pom_is_pinned() -> None:
    versions = re.findall(r"<(?:kafka\.)?version>(.+?)</", POM)
    assert len(versions) == 6
    assert [v for v in versions if v != "${kafka.version}" and not re.fullmatch(r"\d+(\.\d+)*", v)] == []
