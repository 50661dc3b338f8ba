"""A broker that is away is waited for, and one that stays away ends the wait."""

import pytest

from app.process import away
from app.process.away import wait_out
from topics.bus import BusUnavailableError


class Broker:
    """Answers from an attempt on; time passes only in pauses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answers_at: int) -> None:
        self.attempts = 0
        self.now_ns = 0
        self._answers_at = answers_at
        monkeypatch.setattr(away, "pause", self._pause)
        monkeypatch.setattr(away, "monotonic_ns", lambda: self.now_ns)

    def ask(self) -> str:
        self.attempts += 1
        if self.attempts < self._answers_at:
            raise BusUnavailableError(f"no answer to attempt {self.attempts}")
        return "answer"

    def _pause(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1e9)


def test_the_first_answer_is_taken_without_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(monkeypatch, answers_at=1)
    assert (wait_out(broker.ask), broker.attempts, broker.now_ns) == ("answer", 1, 0)


def test_it_is_asked_again_until_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(monkeypatch, answers_at=40)
    assert (wait_out(broker.ask), broker.attempts) == ("answer", 40)


def test_a_broker_that_stays_away_is_given_up_with_its_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(monkeypatch, answers_at=10_000)
    with pytest.raises(BusUnavailableError, match="no answer to attempt 60"):
        wait_out(broker.ask)
    assert away.WAIT_MAX_NS < broker.now_ns <= away.WAIT_MAX_NS + away.AGAIN_S * 1e9 + 1
