"""Signals: what has nothing to commit ends at once, and the rest counts them until its turn is over."""

import signal

import pytest

from app.cli import STOPS, ended_by_signals, stop_on_signals


@pytest.mark.parametrize("number", STOPS)
def test_who_has_nothing_to_commit_is_ended_by_a_signal_with_its_words(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as ended, ended_by_signals("nothing was read"):
        signal.raise_signal(number)
    assert ended.value.code == 0
    assert capfd.readouterr().err == "nothing was read\n"
    assert signal.getsignal(number) is before


def test_signals_that_are_counted_meanwhile_are_counted_afterwards() -> None:
    before = [signal.getsignal(number) for number in STOPS]
    try:
        with ended_by_signals("nothing was read"):
            stopping = stop_on_signals()
            assert not stopping()
        signal.raise_signal(signal.SIGTERM)
        assert stopping()
    finally:
        for number, handler in zip(STOPS, before, strict=True):
            signal.signal(number, handler)
