"""A broker of one's own, to kill or to stop."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stage.kafka_process import SCRIPT, kafka_script


@pytest.fixture(scope="module")
def folder(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for a broker of one's own; the shared broker shows that one can run here."""
    if not (SCRIPT.parents[2] / "build/kafka").exists():
        pytest.skip(f"the broker at {kafka_bootstrap} was not started here, so none of our own is")
    folder = tmp_path_factory.mktemp("broker") / "kafka"
    yield folder
    kafka_script("stop", KAFKA_DIR=str(folder))
