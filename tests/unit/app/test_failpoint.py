"""Where a worker may be told to kill itself."""

import pytest

from app.commands.align import require_loopback
from app.errors import UsageError


@pytest.mark.parametrize("bootstrap", ["broker.example:9092", "127.0.0.1:9092,10.0.0.7:9092"])
def test_a_worker_that_would_kill_itself_is_for_a_broker_on_loopback_alone(bootstrap: str) -> None:
    with pytest.raises(UsageError, match=r"for tests with a broker on loopback.*leave it out"):
        require_loopback(bootstrap)


def test_a_failpoint_with_a_broker_on_loopback_is_let_be() -> None:
    require_loopback("127.0.0.1:9092, localhost:9093,[::1]:9094")
