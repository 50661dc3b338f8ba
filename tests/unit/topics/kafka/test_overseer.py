"""A call that never returns is left behind; others are as if they were made here."""

import subprocess
import sys
import threading

import pytest

from tests.stage.programs import ROOT
from topics.kafka.overseer import Overseer


def test_calls_are_made_in_their_order_by_one_thread_that_is_not_ours() -> None:
    overseer, threads = Overseer("overseen"), list[threading.Thread]()
    for _ in range(3):
        overseer.call(lambda: threads.append(threading.current_thread()), 5.0)
    assert [thread.name for thread in threads] == ["overseen"] * 3
    assert len(set(threads)) == 1
    overseer.close()
    threads[0].join(5.0)
    assert not threads[0].is_alive()


def test_what_a_call_raises_is_raised_here_and_the_next_one_is_made() -> None:
    overseer = Overseer("overseen")

    def fail() -> None:
        raise LookupError("nothing there")

    with pytest.raises(LookupError, match="nothing there"):
        overseer.call(fail, 5.0)
    overseer.call(lambda: None, 5.0)
    overseer.close()


def test_a_call_that_does_not_return_in_time_is_a_timeout() -> None:
    overseer, released = Overseer("overseen"), threading.Event()
    with pytest.raises(TimeoutError):
        overseer.call(released.wait, 0.05)
    released.set()


def test_the_end_of_the_process_does_not_wait_for_a_call_that_never_returns() -> None:
    told = (
        "import threading\n"
        "from topics.kafka.overseer import Overseer\n"
        "try: Overseer('overseen').call(threading.Event().wait, 0.05)\n"
        "except TimeoutError: print('left behind')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout == "left behind\n"
