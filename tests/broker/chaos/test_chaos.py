"""Every fault of F1 to F25 but F2 in a short scene: nothing lost, doubled, changed or out of order.

`make chaos` plays the longer forms too, and all of them again and again.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker.chaos.faults import FAULTS, Fault
from tests.broker.chaos.performance import play
from tests.broker.chaos.theatre import Theatre
from tests.stage.kafka_process import SCRIPT

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.takes_s(460)]

TESTED = [fault for fault in FAULTS if fault.tested]
PLAIN = ("F1", "F7", "F19")  # what commits and state are without a graph, which needs more topics


@pytest.fixture(scope="module")
def theatre(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    with Theatre(kafka_bootstrap, tmp_path_factory.mktemp("theatre")) as theatre:
        yield theatre


@pytest.mark.parametrize("fault", TESTED, ids=[fault.name for fault in TESTED])
def test_no_row_is_lost_doubled_changed_or_out_of_order(
    fault: Fault, theatre: Theatre, tmp_path: Path
) -> None:
    require_clean(fault, theatre, tmp_path, graph=True)


@pytest.mark.parametrize("code", PLAIN)
def test_nor_is_one_where_there_is_no_graph(code: str, theatre: Theatre, tmp_path: Path) -> None:
    fault = next(fault for fault in TESTED if fault.code == code)
    require_clean(fault, theatre, tmp_path, graph=False)


def require_clean(fault: Fault, theatre: Theatre, folder: Path, *, graph: bool) -> None:
    if fault.broker == "own" and not (SCRIPT.parents[2] / "build/kafka").exists():
        pytest.skip(f"the broker at {theatre.shared} was not started here, so none of our own is")
    outcome = play(fault, theatre, folder, seed=1, graph=graph)
    assert outcome.failed == ""
    assert outcome.figures.clean, outcome.figures
    assert outcome.figures.rows > 0
    assert (outcome.figures.node_rows > 0) == graph


def test_every_fault_has_a_scene() -> None:
    assert {fault.code for fault in FAULTS} == {f"F{n}" for n in range(1, 26)}
    assert {fault.code for fault in TESTED} == {f"F{n}" for n in range(1, 26) if n != 2}
