"""Deliveries: what was sent before a mark, whatever overtakes it."""

from topics.kafka.deliveries import Deliveries


def deliveries() -> tuple[Deliveries, list[str]]:
    failures: list[str] = []
    return Deliveries(lambda error, message: failures.append(f"{message}: {error}")), failures


def test_a_mark_is_reached_once_everything_sent_before_it_is_told_of() -> None:
    sent, _ = deliveries()
    first = sent.on_delivery
    sent.sent()
    sent.sent()
    mark = sent.mark()
    first(None, "a")
    assert not sent.reached(mark)
    first(None, "b")
    assert sent.reached(mark)


def test_what_was_sent_after_a_mark_neither_holds_it_up_nor_stands_in_for_it() -> None:
    sent, _ = deliveries()
    before = sent.on_delivery
    sent.sent()
    mark = sent.mark()
    after = sent.on_delivery
    sent.sent()
    sent.sent()
    after(None, "overtakes")
    assert not sent.reached(mark)
    before(None, "a")
    assert sent.reached(mark)
    later = sent.mark()
    assert not sent.reached(later)
    after(None, "b")
    assert sent.reached(later)


def test_a_later_mark_waits_for_all_stretches_before_it() -> None:
    sent, _ = deliveries()
    first = sent.on_delivery
    sent.sent()
    early, late = sent.mark(), sent.mark()
    assert not sent.reached(late)
    first(None, "a")
    assert sent.reached(late)
    assert sent.reached(early)


def test_a_failure_is_passed_on_and_holds_nothing_up() -> None:
    sent, failures = deliveries()
    told = sent.on_delivery
    sent.sent()
    mark = sent.mark()
    told("too large", "a")
    assert failures == ["a: too large"]
    assert sent.reached(mark)
