"""Laws of work on several things at once: results in order, the first failure told, the rest given up."""

import threading

import pytest

from app.process.threads import each, require_wanted

WAIT_S = 10.0


def test_results_come_in_the_order_of_the_items_whichever_is_done_first() -> None:
    last_is_done = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert last_is_done.wait(WAIT_S)
        if item == 3:
            last_is_done.set()
        return item * item

    assert each(work, range(4), threads=4) == [0, 1, 4, 9]


def test_with_one_thread_nothing_happens_at_once() -> None:
    running = threading.Lock()

    def work(_: int) -> None:
        assert running.acquire(blocking=False)
        running.release()

    each(work, range(8), threads=1)


def test_a_failure_ends_the_others_at_their_next_look_and_the_rest_never_begins() -> None:
    begun: list[int] = []
    second_begun = threading.Event()

    def work(item: int) -> None:
        begun.append(item)
        if item == 0:
            assert second_begun.wait(WAIT_S)
            raise ValueError("of the first")
        second_begun.set()
        while True:
            require_wanted()

    with pytest.raises(ValueError, match="of the first"):
        each(work, range(50), threads=2)
    assert len(begun) <= 3  # the free thread may take one more before the failure is heard of


def test_of_two_failures_that_of_the_first_item_is_told() -> None:
    second_failed = threading.Event()

    def work(item: int) -> None:
        if item == 1:
            second_failed.set()
            raise KeyError("of the second")
        assert second_failed.wait(WAIT_S)
        raise ValueError("of the first")

    with pytest.raises(ValueError, match="of the first"):
        each(work, range(2), threads=2)


def test_work_outside_of_it_is_always_wanted() -> None:
    with pytest.raises(ValueError, match="gone"):
        each(lambda _: int("gone"), range(1), threads=1)
    require_wanted()
