"""The pages that ask for a broker work as they stand, on a real Kafka that their own commands start."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.checkout import Checkout
from tests.docs.play import HAS_KAFKA, opened, pages_on, play
from tests.stage.programs import ROOT

pytestmark = [
    pytest.mark.broker,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.takes_s(600),
    pytest.mark.skipif(not HAS_KAFKA, reason="no broker: java and mvn are not on PATH"),
]


@pytest.fixture(scope="module")
def checkout() -> Iterator[Checkout]:
    checkout = opened(java=True)
    yield checkout
    checkout.stop_broker()


@pytest.mark.parametrize("page", pages_on("kafka"), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_and_the_python_of_a_page_work_as_they_stand(page: Path, checkout: Checkout) -> None:
    play(page, checkout)
